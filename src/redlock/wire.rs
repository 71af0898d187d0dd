//! What is said to one server: a request of the lock as commands, and its replies as an answer.
//!
//! Promises: whatever is done to a key is done only while it holds our token, in one step at the server:
//! by a script where the server has them, by WATCH and MULTI where it has not (or its ACL forbids EVAL).
//! `SET key token NX PX ttl` is what other RedLock clients say too, so they exclude each other. Has never
//! heard of a socket.

use super::{Answer, Request};
use crate::resp::Reply;
use std::time::Duration;

type Command = Vec<Vec<u8>>;

const RELEASE: &str =
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end";
const RENEW: &str = "if redis.call('get',KEYS[1])~=ARGV[1] then return 0 end \
if tonumber(redis.call('get',KEYS[2]) or '0')<tonumber(ARGV[3]) then redis.call('set',KEYS[2],ARGV[3]) end \
return redis.call('pexpire',KEYS[1],ARGV[2])";
/// WATCH fails when somebody else touched the key; again then, so often.
const TRIES: u32 = 3;

/// What is locked: the key, and the key of its fence beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub lock: Vec<u8>,
    pub fence: Vec<u8>,
}

impl Keys {
    /// `name` and `{name}:fence`: one slot, should they ever stand in a cluster.
    pub fn of(name: &str) -> Keys {
        Keys { lock: name.into(), fence: format!("{{{name}}}:fence").into() }
    }
}

/// How a key is changed only while it is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Script,
    Watch,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these at once; as many replies are wanted at the next step.
    Send(Vec<Command>),
    Done(Answer),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fresh,
    Taking,
    Copying,
    Reading,
    Scripted,
    Watched,
    Committed,
}

/// One request to one server, from its first command to its answer.
#[derive(Debug)]
pub struct Exchange<'a> {
    keys: &'a Keys,
    token: &'a str,
    request: &'a Request,
    /// A server without scripts is found out once.
    pub way: Way,
    /// So many replicas must have it before it counts (WAIT), within this time.
    replicas: (usize, Duration),
    stage: Stage,
    uptime: Duration,
    tries: u32,
}

impl<'a> Exchange<'a> {
    pub fn new(
        keys: &'a Keys,
        token: &'a str,
        request: &'a Request,
        way: Way,
        replicas: (usize, Duration),
    ) -> Exchange<'a> {
        Exchange {
            keys,
            token,
            request,
            way,
            replicas,
            stage: Stage::Fresh,
            uptime: Duration::ZERO,
            tries: 0,
        }
    }

    /// Begins with no replies; then the replies to what was sent.
    pub fn next(&mut self, replies: &[Reply]) -> Step {
        match self.stage {
            Stage::Fresh => self.begin(),
            Stage::Taking => self.taken(replies),
            Stage::Copying => copied(replies, self.replicas.0, self.done()),
            Stage::Reading => self.fence_read(replies),
            Stage::Scripted => self.scripted(replies),
            Stage::Watched => self.watched(replies),
            Stage::Committed => self.committed(replies),
        }
    }

    fn begin(&mut self) -> Step {
        let (stage, commands) = match (self.request, self.way) {
            (Request::Acquire { ttl }, _) => {
                let ttl = millis(*ttl);
                let set =
                    [b"SET".as_slice(), &self.keys.lock, self.token.as_bytes(), b"NX", b"PX", ttl.as_bytes()];
                (
                    Stage::Taking,
                    vec![words(&[b"INFO", b"server"]), words(&set), words(&[b"GET", &self.keys.lock])],
                )
            }
            (Request::ReadFence, _) => (Stage::Reading, vec![self.get_both()]),
            (Request::Renew { .. } | Request::Release, Way::Script) => (Stage::Scripted, vec![self.script()]),
            (Request::Renew { .. } | Request::Release, Way::Watch) => {
                let watch = words(&[b"WATCH", &self.keys.lock, &self.keys.fence]);
                (Stage::Watched, vec![watch, self.get_both()])
            }
        };
        self.stage = stage;
        Step::Send(commands)
    }

    /// Both in one step of the server.
    fn get_both(&self) -> Command {
        words(&[b"MGET", &self.keys.lock, &self.keys.fence])
    }

    fn script(&self) -> Command {
        let token = self.token.as_bytes();
        match self.request {
            Request::Renew { ttl, fence } => {
                let (ttl, fence) = (millis(*ttl), fence.to_string());
                let keys: [&[u8]; 2] = [&self.keys.lock, &self.keys.fence];
                words(&[
                    b"EVAL",
                    RENEW.as_bytes(),
                    b"2",
                    keys[0],
                    keys[1],
                    token,
                    ttl.as_bytes(),
                    fence.as_bytes(),
                ])
            }
            _ => words(&[b"EVAL", RELEASE.as_bytes(), b"1", &self.keys.lock, token]),
        }
    }

    fn taken(&mut self, replies: &[Reply]) -> Step {
        let [info, set, get] = replies else { return odd(replies) };
        match set {
            // Without its uptime it could be one that has just forgotten everything.
            Reply::Simple(ok) if ok == "OK" => match uptime(info) {
                Some(uptime) => {
                    self.uptime = uptime;
                    self.copy()
                }
                None => Step::Done(Answer::Failed(format!(
                    "INFO does not say how long it is up ({})",
                    info.error().unwrap_or("no uptime_in_seconds")
                ))),
            },
            Reply::Null => {
                let holder = get.as_bytes().unwrap_or_default().to_vec();
                Step::Done(Answer::Taken { holder })
            }
            other => odd(std::slice::from_ref(other)),
        }
    }

    fn done(&self) -> Answer {
        match self.request {
            Request::Acquire { .. } => Answer::Granted { uptime: self.uptime },
            _ => Answer::Renewed,
        }
    }

    /// Done here; and at so many replicas?
    fn copy(&mut self) -> Step {
        let (count, within) = self.replicas;
        if count == 0 {
            return Step::Done(self.done());
        }
        self.stage = Stage::Copying;
        Step::Send(vec![words(&[b"WAIT", count.to_string().as_bytes(), millis(within).as_bytes()])])
    }

    fn fence_read(&self, replies: &[Reply]) -> Step {
        match self.both(replies) {
            Err(step) => step,
            Ok((false, _)) => Step::Done(Answer::NotOurs),
            Ok((true, fence)) => Step::Done(Answer::Fence(fence)),
        }
    }

    /// Whether the key is ours, and the fence.
    fn both(&self, replies: &[Reply]) -> Result<(bool, u64), Step> {
        let Some([lock, fence]) = replies.last().and_then(Reply::as_array) else { return Err(odd(replies)) };
        let number = match fence {
            Reply::Null => Some(0),
            other => other.as_str().and_then(|text| text.parse().ok()),
        };
        let name = || String::from_utf8_lossy(&self.keys.fence).into_owned();
        let number = number
            .ok_or_else(|| Step::Done(Answer::Failed(format!("the key {} holds no number", name()))))?;
        Ok((lock.as_bytes() == Some(self.token.as_bytes()), number))
    }

    fn scripted(&mut self, replies: &[Reply]) -> Step {
        let [reply] = replies else { return odd(replies) };
        match reply {
            Reply::Integer(done) => self.concluded(*done != 0),
            Reply::Error(text) if has_no_scripts(text) => {
                self.way = Way::Watch;
                self.begin()
            }
            _ => odd(replies),
        }
    }

    fn concluded(&mut self, done: bool) -> Step {
        match (self.request, done) {
            (Request::Release, true) => Step::Done(Answer::Released),
            (_, false) => Step::Done(Answer::NotOurs),
            (_, true) => self.copy(),
        }
    }

    fn watched(&mut self, replies: &[Reply]) -> Step {
        let (ours, stands) = match self.both(replies) {
            Err(step) => return step,
            Ok(both) => both,
        };
        self.stage = Stage::Committed;
        if !ours {
            return Step::Send(vec![words(&[b"UNWATCH"])]);
        }
        let change = match self.request {
            Request::Renew { ttl, fence } => {
                let mut change = vec![words(&[b"PEXPIRE", &self.keys.lock, millis(*ttl).as_bytes()])];
                if stands < *fence {
                    change.push(words(&[b"SET", &self.keys.fence, fence.to_string().as_bytes()]));
                }
                change
            }
            _ => vec![words(&[b"DEL", &self.keys.lock])],
        };
        let begin = std::iter::once(words(&[b"MULTI"]));
        Step::Send(begin.chain(change).chain([words(&[b"EXEC"])]).collect())
    }

    fn committed(&mut self, replies: &[Reply]) -> Step {
        match replies {
            [unwatched] if unwatched.is_ok() => Step::Done(Answer::NotOurs),
            [_, .., Reply::Array(done)] => match done.first() {
                Some(Reply::Integer(done)) => self.concluded(*done != 0),
                _ => odd(done),
            },
            [_, .., Reply::Null] if self.tries < TRIES => {
                self.tries += 1;
                self.begin()
            }
            [_, .., Reply::Null] => {
                Step::Done(Answer::Failed("somebody else keeps changing the key".to_owned()))
            }
            _ => odd(replies),
        }
    }
}

fn copied(replies: &[Reply], wanted: usize, done: Answer) -> Step {
    match replies {
        [Reply::Integer(count)] if usize::try_from(*count).is_ok_and(|count| count >= wanted) => {
            Step::Done(done)
        }
        [Reply::Integer(count)] => {
            Step::Done(Answer::Failed(format!("only {count} of {wanted} replicas have it")))
        }
        _ => odd(replies),
    }
}

fn has_no_scripts(error: &str) -> bool {
    let lower = error.to_ascii_lowercase();
    lower.starts_with("err unknown command") || lower.starts_with("noperm") && lower.contains("eval")
}

fn uptime(info: &Reply) -> Option<Duration> {
    let field = info.as_str()?.lines().find_map(|line| line.strip_prefix("uptime_in_seconds:"))?;
    Some(Duration::from_secs(field.trim().parse().ok()?))
}

/// The first error among the replies, or that they make no sense.
fn odd(replies: &[Reply]) -> Step {
    let error = replies.iter().find_map(Reply::error);
    Step::Done(Answer::Failed(error.unwrap_or("an answer that makes no sense").to_owned()))
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn words(words: &[&[u8]]) -> Command {
    words.iter().map(|word| word.to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(step: &Step) -> Vec<String> {
        let Step::Send(commands) = step else { panic!("{step:?}") };
        let line = |command: &Command| {
            command
                .iter()
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        commands.iter().map(line).collect()
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.into())
    }

    #[test]
    fn a_server_without_scripts_is_asked_by_watch() {
        let keys = Keys::of("job");
        let renew = Request::Renew { ttl: Duration::from_secs(1), fence: 7 };
        let mut exchange = Exchange::new(&keys, "abc", &renew, Way::Script, (0, Duration::ZERO));
        assert!(lines(&exchange.next(&[]))[0].starts_with("EVAL if"));
        let step = exchange.next(&[Reply::Error("ERR unknown command 'EVAL'".into())]);
        assert_eq!(lines(&step), ["WATCH job {job}:fence", "MGET job {job}:fence"]);
        let both = Reply::Array(vec![bulk("abc"), bulk("6")]);
        let step = exchange.next(&[Reply::Simple("OK".into()), both.clone()]);
        assert_eq!(lines(&step), ["MULTI", "PEXPIRE job 1000", "SET {job}:fence 7", "EXEC"]);
        // Touched in between: once more from the start.
        let queued = Reply::Simple("QUEUED".into());
        let step = exchange.next(&[Reply::Simple("OK".into()), queued.clone(), queued.clone(), Reply::Null]);
        assert_eq!(lines(&step)[0], "WATCH job {job}:fence");
        exchange.next(&[Reply::Simple("OK".into()), both]);
        let done = Reply::Array(vec![Reply::Integer(1), Reply::Simple("OK".into())]);
        let step = exchange.next(&[Reply::Simple("OK".into()), queued.clone(), queued, done]);
        assert_eq!((step, exchange.way), (Step::Done(Answer::Renewed), Way::Watch));
    }

    #[test]
    fn a_grant_counts_with_an_uptime_and_its_replicas_only() {
        let keys = Keys::of("job");
        let take = Request::Acquire { ttl: Duration::from_secs(1) };
        let fresh = || Exchange::new(&keys, "abc", &take, Way::Script, (1, Duration::from_millis(50)));
        let ok = || Reply::Simple("OK".into());
        let info = bulk("# Server\r\nuptime_in_seconds:12\r\n");
        let mut exchange = fresh();
        assert_eq!(lines(&exchange.next(&[]))[1], "SET job abc NX PX 1000");
        assert_eq!(lines(&exchange.next(&[info.clone(), ok(), bulk("abc")])), ["WAIT 1 50"]);
        let granted = Answer::Granted { uptime: Duration::from_secs(12) };
        assert_eq!(exchange.next(&[Reply::Integer(1)]), Step::Done(granted));
        let mut exchange = fresh();
        exchange.next(&[]);
        exchange.next(&[info, ok(), bulk("abc")]);
        let Step::Done(Answer::Failed(why)) = exchange.next(&[Reply::Integer(0)]) else { panic!() };
        assert!(why.contains("0 of 1"), "{why}");
        let mut exchange = fresh();
        exchange.next(&[]);
        let step = exchange.next(&[Reply::Error("NOPERM info".into()), ok(), bulk("abc")]);
        assert!(matches!(step, Step::Done(Answer::Failed(why)) if why.contains("NOPERM")));
        let mut exchange = fresh();
        exchange.next(&[]);
        let step = exchange.next(&[bulk(""), Reply::Null, bulk("xyz")]);
        assert_eq!(step, Step::Done(Answer::Taken { holder: b"xyz".to_vec() }));
    }

    #[test]
    fn what_makes_no_sense_is_a_failure() {
        let keys = Keys::of("job");
        for request in
            [Request::ReadFence, Request::Release, Request::Acquire { ttl: Duration::from_secs(1) }]
        {
            for replies in [
                vec![],
                vec![Reply::Null],
                vec![Reply::Error("LOADING".into()); 3],
                vec![Reply::Array(vec![]); 2],
            ] {
                let mut exchange = Exchange::new(&keys, "abc", &request, Way::Script, (0, Duration::ZERO));
                exchange.next(&[]);
                assert!(
                    matches!(exchange.next(&replies), Step::Done(Answer::Failed(_))),
                    "{request:?} {replies:?}"
                );
            }
        }
        let mut exchange = Exchange::new(&keys, "abc", &Request::ReadFence, Way::Script, (0, Duration::ZERO));
        exchange.next(&[]);
        let step = exchange.next(&[Reply::Array(vec![bulk("abc"), bulk("many")])]);
        assert!(matches!(step, Step::Done(Answer::Failed(why)) if why.contains("{job}:fence")));
    }
}
