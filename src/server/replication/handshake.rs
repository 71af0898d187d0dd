//! How a replica introduces itself to its master, as lines sent and lines answered, up to the
//! answer of PSYNC. Used by the link's task; knows no socket and no engine.

use crate::config::Secret;
use crate::model::{Address, Epoch, Offset, ReplId};

/// All that the handshake needs to know beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub master: Address,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub announce_ip: Option<String>,
    pub announce_port: u16,
    /// Our own epoch; 0: unsupervised.
    pub epoch: Epoch,
    /// The supervisor vouches for a master that cannot show an epoch.
    pub stock_master: bool,
    /// Asks to be followed: the master is to take over the role.
    pub hands_over: bool,
    /// The history we hold and how much of it; `None`: nothing.
    pub position: Option<(ReplId, Offset)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Send these words and ask again with the line that answers.
    Send(Vec<Vec<u8>>),
    /// The stream goes on where we stopped; the id may be new.
    Continue { replid: Option<ReplId> },
    /// An image follows; it stands for this position.
    Full { replid: ReplId, offset: Offset },
    /// An old master without PSYNC answers with the image at once.
    Failed(Fault),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the master answered PING with: {0}")]
    Ping(String),
    #[error("the master refused our credentials (masterauth, masteruser): {0}")]
    Auth(String),
    #[error(
        "the master shows {}, this replica has seen epoch {own}: its data may be older than ours and is not taken",
        shown.map_or_else(|| "no epoch".to_owned(), |epoch| format!("epoch {epoch}"))
    )]
    Epoch { shown: Option<Epoch>, own: Epoch },
    #[error("the master refused PSYNC: {0}")]
    Psync(String),
    #[error("the master answered PSYNC with: {0}")]
    Unintelligible(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Start,
    Ping,
    Auth,
    Port,
    Ip,
    Capabilities,
    Version,
    Epoch,
    Psync,
}

#[derive(Debug)]
pub struct Handshake {
    terms: Terms,
    step: Step,
}

impl Handshake {
    pub fn new(terms: Terms) -> Self {
        Handshake { terms, step: Step::Start }
    }

    pub fn start(&mut self) -> Outcome {
        self.step = Step::Ping;
        words(&["PING"])
    }

    /// The master's answer to what was sent last, without its line end.
    pub fn answer(&mut self, line: &[u8]) -> Outcome {
        let text = String::from_utf8_lossy(line);
        let error = text.strip_prefix('-');
        match self.step {
            Step::Start => self.start(),
            Step::Ping => match error {
                // Without our password it will not even answer PING; AUTH comes next. One whose disk is
                // full still has data to give away.
                Some(why) if !["NOAUTH", "NOPERM", "MISCONF"].iter().any(|known| why.starts_with(known)) => {
                    Outcome::Failed(Fault::Ping(why.to_owned()))
                }
                _ => self.auth(),
            },
            Step::Auth => match error {
                Some(why) => Outcome::Failed(Fault::Auth(refusal(why))),
                None => self.port(),
            },
            // Redis before some version lacks one or the other: go on.
            Step::Port => self.ip(),
            Step::Ip => self.capabilities(),
            Step::Capabilities => {
                self.step = Step::Version;
                words(&["REPLCONF", "version", env!("CARGO_PKG_VERSION")])
            }
            Step::Version => {
                self.step = Step::Epoch;
                words(&["REPLCONF", "vedette-epoch", &self.terms.epoch.to_string()])
            }
            Step::Epoch => {
                let shown = text.strip_prefix(':').and_then(|epoch| epoch.parse().ok());
                self.psync(shown)
            }
            Step::Psync => psync_answer(&text),
        }
    }

    fn auth(&mut self) -> Outcome {
        self.step = Step::Auth;
        match (&self.terms.user, &self.terms.password) {
            (Some(user), Some(password)) => words(&["AUTH", user, password.expose()]),
            (None, Some(password)) => words(&["AUTH", password.expose()]),
            (_, None) => self.port(),
        }
    }

    fn port(&mut self) -> Outcome {
        self.step = Step::Port;
        words(&["REPLCONF", "listening-port", &self.terms.announce_port.to_string()])
    }

    fn ip(&mut self) -> Outcome {
        self.step = Step::Ip;
        match &self.terms.announce_ip {
            Some(ip) => words(&["REPLCONF", "ip-address", ip]),
            None => self.capabilities(),
        }
    }

    fn capabilities(&mut self) -> Outcome {
        self.step = Step::Capabilities;
        words(&["REPLCONF", "capa", "eof", "capa", "psync2"])
    }

    /// A supervised replica takes nothing, neither stream nor image, from a reign before its own:
    /// a master that lost its directory would otherwise wipe what is left (promise P4).
    fn psync(&mut self, shown: Option<Epoch>) -> Outcome {
        let own = self.terms.epoch;
        if own > 0 && !self.terms.stock_master && shown.is_none_or(|epoch| epoch < own) {
            return Outcome::Failed(Fault::Epoch { shown, own });
        }
        self.step = Step::Psync;
        match &self.terms.position {
            Some((replid, offset)) if self.terms.hands_over => {
                words(&["PSYNC", replid.as_str(), &(offset + 1).to_string(), "FAILOVER"])
            }
            Some((replid, offset)) => words(&["PSYNC", replid.as_str(), &(offset + 1).to_string()]),
            None => words(&["PSYNC", "?", "-1"]),
        }
    }
}

/// Why AUTH failed, by the name of the error only: a server that knows no AUTH quotes the words that it
/// was sent, and this text is logged.
fn refusal(why: &str) -> String {
    if why.starts_with("ERR AUTH <password> called without any password") {
        return "it has no password; remove masterauth here or set requirepass there".to_owned();
    }
    let name: String = why.chars().take_while(char::is_ascii_uppercase).take(32).collect();
    format!("it answered with the error {name}")
}

fn psync_answer(text: &str) -> Outcome {
    let mut parts = text.split_ascii_whitespace();
    match parts.next() {
        Some("+FULLRESYNC") => {
            let replid = parts.next().and_then(ReplId::parse);
            let offset = parts.next().and_then(|offset| offset.parse().ok());
            match (replid, offset) {
                (Some(replid), Some(offset)) => Outcome::Full { replid, offset },
                _ => Outcome::Failed(Fault::Unintelligible(text.to_owned())),
            }
        }
        Some("+CONTINUE") => match parts.next().map(ReplId::parse) {
            Some(None) => Outcome::Failed(Fault::Unintelligible(text.to_owned())),
            Some(replid) => Outcome::Continue { replid },
            None => Outcome::Continue { replid: None },
        },
        _ => match text.strip_prefix('-') {
            Some(why) => Outcome::Failed(Fault::Psync(why.to_owned())),
            None => Outcome::Failed(Fault::Unintelligible(text.to_owned())),
        },
    }
}

fn words(words: &[&str]) -> Outcome {
    Outcome::Send(words.iter().map(|word| word.as_bytes().to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(epoch: Epoch) -> Terms {
        Terms {
            master: Address::new("127.0.0.1", 6379),
            user: None,
            password: Some(Secret::new("secret".into())),
            announce_ip: None,
            announce_port: 6380,
            epoch,
            stock_master: false,
            hands_over: false,
            position: Some((ReplId::parse("abc").unwrap(), 41)),
        }
    }

    /// Runs a handshake against scripted answers; what was said and how it ended.
    fn run(terms: Terms, answers: &[&str]) -> (Vec<String>, Outcome) {
        let mut handshake = Handshake::new(terms);
        let mut said = Vec::new();
        let mut outcome = handshake.start();
        let mut answers = answers.iter();
        while let Outcome::Send(words) = &outcome {
            said.push(String::from_utf8(words.join(&b' ')).unwrap());
            let Some(answer) = answers.next() else { break };
            outcome = handshake.answer(answer.as_bytes());
        }
        (said, outcome)
    }

    #[test]
    fn a_refusal_never_repeats_the_password() {
        for answer in [
            "-WRONGPASS invalid username-password pair or user is disabled.",
            "-ERR unknown command 'AUTH', with args beginning with: 'secret'",
            "-secret",
        ] {
            let (said, outcome) = run(terms(0), &["-NOAUTH Authentication required.", answer]);
            assert_eq!(said[1], "AUTH secret");
            let Outcome::Failed(fault) = outcome else { panic!("{outcome:?}") };
            assert!(!fault.to_string().contains("secret"), "{fault}");
        }
        assert!(refusal("WRONGPASS x").contains("WRONGPASS"));
        assert!(!format!("{:?}", Handshake::new(terms(0))).contains("secret"));
    }

    #[test]
    fn a_replica_introduces_itself_and_goes_on_where_it_stopped() {
        let (said, outcome) = run(
            terms(0),
            &[
                "-NOAUTH Authentication required.",
                "+OK",
                "+OK",
                "+OK",
                "-ERR Unrecognized",
                "-ERR no",
                "+CONTINUE",
            ],
        );
        assert_eq!(said[1], "AUTH secret");
        assert_eq!(said[2], "REPLCONF listening-port 6380");
        assert_eq!(said.last().unwrap(), "PSYNC abc 42");
        assert_eq!(outcome, Outcome::Continue { replid: None });
    }

    #[test]
    fn a_supervised_replica_takes_nothing_from_an_older_reign() {
        let answers = |epoch| ["+PONG", "+OK", "+OK", "+OK", "+OK", epoch, "+FULLRESYNC abc 7"];
        let (said, outcome) = run(terms(4), &answers(":3"));
        assert_eq!(outcome, Outcome::Failed(Fault::Epoch { shown: Some(3), own: 4 }));
        assert!(!said.iter().any(|words| words.starts_with("PSYNC")));
        let (_, outcome) = run(terms(4), &answers("-ERR Unrecognized REPLCONF option: vedette-epoch"));
        assert_eq!(outcome, Outcome::Failed(Fault::Epoch { shown: None, own: 4 }));
        let (_, outcome) = run(terms(4), &answers(":4"));
        assert_eq!(outcome, Outcome::Full { replid: ReplId::parse("abc").unwrap(), offset: 7 });
        let stock = Terms { stock_master: true, ..terms(4) };
        let (_, outcome) = run(stock, &answers("-ERR Unrecognized"));
        assert!(matches!(outcome, Outcome::Full { .. }));
    }

    #[test]
    fn hostile_answers_end_the_handshake() {
        for bad in ["+FULLRESYNC", "+FULLRESYNC x y", "what", ""] {
            let (_, outcome) = run(terms(0), &["+PONG", "+OK", "+OK", "+OK", "+OK", ":0", bad]);
            assert!(matches!(outcome, Outcome::Failed(_)), "{bad}");
        }
    }
}
