//! A data server as far as a sentinel can tell: roles, histories, offsets, epochs. Replication is a
//! copy once per step; what is under test is the supervisor, not this.

use super::illness::Illness;
use vedette::model::Address;
use vedette::model::info::InfoWriter;
use vedette::resp::Reply;

#[derive(Clone, Debug)]
pub struct Node {
    pub address: Address,
    pub bundled: bool,
    pub alive: bool,
    pub paused: bool,
    /// Cut off from the sentinels, not from the other servers.
    pub hidden: bool,
    pub life: u64,
    pub master: bool,
    pub awaiting: bool,
    /// Fenced since its start: it gives one of its own epoch what that one lacks.
    pub still: bool,
    pub follows: Option<Address>,
    pub link_up: bool,
    pub history: u64,
    pub offset: u64,
    pub history2: u64,
    pub offset2: u64,
    pub keys: u64,
    /// Its data comes from an append-only file: a restart forgets the history.
    pub append_only: bool,
    pub synced: bool,
    pub priority: i64,
    pub epoch: u64,
    pub set_version: u64,
    pub lease_until: u64,
    pub heard_at: u64,
    /// The epoch of each promotion.
    pub promoted: Vec<u64>,
    pub wiped: u64,
    pub attached: Vec<Address>,
    /// Fenced as master: it still gives its replicas what it has.
    pub draining: bool,
    /// What it said that it kept when it was last told to follow.
    pub diverged: Option<String>,
    /// Writes wait until then; and PUBLISH, with all behind it on its connection.
    pub writes_wait_until: u64,
    pub illness: Illness,
    pub min_replicas: (String, String),
    /// It lists its replicas, and has not counted them since their sync: Redis does once in 100 ms.
    pub slow_to_count: bool,
    /// Commands that it knows by another name only.
    pub renamed: Vec<(String, String)>,
}

impl Node {
    pub fn new(port: u16, bundled: bool) -> Self {
        Node {
            address: Address::new("127.0.0.1", port),
            bundled,
            alive: true,
            paused: false,
            hidden: false,
            life: 1,
            master: true,
            awaiting: false,
            still: false,
            follows: None,
            link_up: false,
            history: u64::from(port),
            offset: 100,
            history2: 0,
            offset2: 0,
            keys: 100,
            append_only: false,
            synced: true,
            priority: 100,
            epoch: 0,
            set_version: 0,
            lease_until: 0,
            heard_at: 0,
            promoted: Vec::new(),
            wiped: 0,
            attached: Vec::new(),
            draining: false,
            diverged: None,
            writes_wait_until: 0,
            illness: Illness::None,
            min_replicas: ("0".into(), "10".into()),
            slow_to_count: false,
            renamed: Vec::new(),
        }
    }

    pub fn serves(&self) -> bool {
        self.alive && !self.paused
    }

    pub fn restart(&mut self, empty: bool) {
        self.alive = true;
        self.draining = false;
        self.still = false;
        self.life += 1;
        self.awaiting = self.bundled && self.epoch > 0;
        self.master = self.master && !self.awaiting;
        self.link_up = false;
        self.follows = None;
        self.lease_until = 0;
        self.min_replicas = ("0".into(), "10".into());
        if empty {
            self.history = self.life * 1_000_000 + u64::from(self.address.port);
            self.offset = 0;
            self.keys = 0;
            self.history2 = 0;
            self.synced = false;
        }
    }

    /// A stock server started again by itself, without a word of whom to follow: with its snapshot it
    /// knows its history as the one before, with an append-only file it knows none.
    pub fn restart_alone(&mut self, append_only: bool) {
        let before = (self.history, self.offset);
        self.restart(false);
        self.append_only = append_only;
        self.master = true;
        self.history = self.life * 1_000_000 + u64::from(self.address.port);
        (self.history2, self.offset2) = if append_only { (0, 0) } else { before };
        if append_only {
            self.offset = 0;
        }
    }

    /// One step of replication from its master, if it has one that serves.
    pub fn stream(&mut self, now: u64, master: Option<&Node>) {
        let gives = |m: &Node| {
            m.still && m.epoch == self.epoch && m.history == self.history && m.offset >= self.offset
        };
        let from = master.filter(|m| {
            m.serves() && (m.master || m.draining || gives(m)) && (m.epoch >= self.epoch || !self.bundled)
        });
        let Some(master) = from else {
            self.link_up &= master.is_some_and(|m| m.alive && m.master);
            return;
        };
        let continues = self.history == master.history
            || (self.history == master.history2 && self.offset <= master.offset2);
        if !continues && self.synced && self.offset > master.offset {
            self.wiped += 1;
        }
        self.history = master.history;
        self.history2 = master.history2;
        self.offset2 = master.offset2;
        self.offset = master.offset;
        self.keys = master.keys;
        self.synced = true;
        self.link_up = true;
        self.heard_at = now;
    }

    pub fn command(&mut self, now: u64, words: &[String]) -> Reply {
        if self.renamed.iter().any(|(old, _)| *old == words[0]) {
            return Reply::Error(format!("ERR unknown command '{}'", words[0]));
        }
        let mut words = words.to_vec();
        if let Some((old, _)) = self.renamed.iter().find(|(_, new)| *new == words[0]) {
            words[0].clone_from(old);
        }
        let words = &words;
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        match word(0) {
            "PING" => Reply::Simple("PONG".into()),
            "INFO" => Reply::Bulk(self.info(now).into_bytes()),
            "REPLICAOF" if word(1) == "NO" => {
                self.become_master();
                Reply::Simple("OK".into())
            }
            "REPLICAOF" => {
                self.follow(Address::new(word(1), word(2).parse().unwrap()));
                Reply::Simple("OK".into())
            }
            "CONFIG" if word(1) == "GET" => {
                let text = |text: &str| Reply::Bulk(text.as_bytes().to_vec());
                let (count, lag) = &self.min_replicas;
                Reply::Array(vec![
                    text("min-replicas-to-write"),
                    text(count),
                    text("min-replicas-max-lag"),
                    text(lag),
                ])
            }
            "CONFIG" => {
                match word(2) {
                    "min-replicas-to-write" => self.min_replicas.0 = word(3).to_owned(),
                    _ => self.min_replicas.1 = word(3).to_owned(),
                }
                Reply::Simple("OK".into())
            }
            "CLIENT" if word(1) == "PAUSE" => {
                self.writes_wait_until = self.writes_wait_until.max(now + word(2).parse::<u64>().unwrap());
                Reply::Simple("OK".into())
            }
            "CLIENT" if word(1) == "UNPAUSE" => {
                self.writes_wait_until = 0;
                Reply::Simple("OK".into())
            }
            "VEDETTE" => self.supervised(now, words),
            _ => Reply::Simple("OK".into()),
        }
    }

    fn supervised(&mut self, now: u64, words: &[String]) -> Reply {
        let number = |at: usize| words.get(at).and_then(|w| w.parse::<u64>().ok()).unwrap_or(0);
        let epoch = number(3);
        if epoch < self.epoch {
            return Reply::Error(format!("STALEEPOCH {}", self.epoch));
        }
        let int = |n: u64| Reply::Integer(n as i64);
        match words[1].as_str() {
            "LEASE" if !self.master => Reply::Error("NOTMASTER".into()),
            "LEASE" => {
                self.epoch = epoch;
                if number(5) > 0 {
                    self.lease_until = number(5) + number(4);
                }
                self.set_version = number(7);
                Reply::Array(vec![
                    int(now),
                    int(epoch),
                    int(u64::from(self.lease_until > now)),
                    int(number(7)),
                ])
            }
            "FENCE" => {
                self.epoch = epoch;
                self.draining |= self.master;
                self.master = false;
                self.awaiting = true;
                self.still = true;
                self.follows = None;
                self.link_up = false;
                self.lease_until = 0;
                Reply::Array(vec![
                    Reply::Bulk(b"node".to_vec()),
                    Reply::Bulk(format!("{:040x}", self.history).into_bytes()),
                    int(self.offset),
                    Reply::Bulk(format!("{:040x}", self.history2).into_bytes()),
                    int(self.offset2 + 1),
                    int(now - self.heard_at),
                    int(u64::from(self.synced)),
                ])
            }
            "PROMOTE" => {
                self.epoch = epoch;
                self.become_master();
                Reply::Simple("OK".into())
            }
            "FOLLOW" => {
                self.epoch = epoch;
                if let Some(at) = words.iter().position(|word| word == "FORK") {
                    let (history, from, to) = (&words[at + 1], number(at + 2), self.offset);
                    let bytes = to - from;
                    let file = format!("divergent-{}-{from}-{to}.resp", &history[34..]);
                    self.diverged = Some(format!(
                        "replid={history},from={from},to={to},commands=1,bytes={bytes},file={file}"
                    ));
                }
                let master = Address::new(words[4].clone(), words[5].parse().unwrap());
                if self.master || self.follows.as_ref() != Some(&master) {
                    self.follow(master);
                }
                Reply::Simple("OK".into())
            }
            _ => Reply::Error("ERR syntax error".into()),
        }
    }

    pub fn become_master(&mut self) {
        if self.master {
            return;
        }
        self.promoted.push(self.epoch);
        self.master = true;
        self.awaiting = false;
        self.still = false;
        self.follows = None;
        self.link_up = false;
        self.synced = true;
        (self.history2, self.offset2) = (self.history, self.offset);
        self.history = self.history * 10 + self.life;
    }

    /// Another server took over this address: it holds data, and none of this group's.
    pub fn take_foreign_data(&mut self) {
        self.restart(false);
        self.master = !self.bundled;
        self.keys = 5000;
        self.awaiting = self.bundled;
        (self.history, self.history2) = (999, 0);
        self.offset = 5000;
        self.synced = true;
    }

    pub fn follow(&mut self, master: Address) {
        self.master = false;
        self.draining = false;
        self.awaiting = false;
        self.still = false;
        self.link_up = false;
        self.follows = Some(master);
    }

    fn info(&self, now: u64) -> String {
        let mut info = InfoWriter::default();
        info.section("Server")
            .field("redis_version", "7.0.15")
            .field("aof_enabled", u8::from(self.append_only))
            .field("run_id", format!("{:040x}", self.life * 100_000 + u64::from(self.address.port)));
        info.field("loading", u8::from(self.illness == Illness::Loading));
        info.section("Replication").field("role", if self.master { "master" } else { "slave" });
        if let Some(master) = &self.follows {
            info.field("master_host", &master.host).field("master_port", master.port);
        }
        info.field("master_link_status", if self.link_up { "up" } else { "down" });
        info.field("slave_repl_offset", self.offset).field("slave_priority", self.priority);
        let state = if self.slow_to_count { "wait_bgsave" } else { "online" };
        for (at, replica) in self.attached.iter().enumerate() {
            info.field(
                &format!("slave{at}"),
                format!("ip={},port={},state={state}", replica.host, replica.port),
            );
        }
        info.field("master_replid", format!("{:040x}", self.history));
        info.field("master_replid2", format!("{:040x}", self.history2));
        info.field("master_repl_offset", self.offset).field("second_repl_offset", self.offset2 + 1);
        if self.keys > 0 {
            info.field("db0", format!("keys={},expires=0,avg_ttl=0", self.keys));
        }
        if self.bundled {
            let role = match (self.master, self.awaiting) {
                (true, _) if self.epoch == 0 => "unsupervised",
                (true, _) => "master",
                (_, true) => "awaiting",
                _ => "replica",
            };
            info.section("Vedette").field("vedette_role", role).field("vedette_epoch", self.epoch);
            info.field("vedette_set_version", self.set_version);
            info.field("vedette_link_silence_ms", now - self.heard_at);
            info.field("vedette_synced", u64::from(self.synced));
            if let Some(diverged) = &self.diverged {
                info.field("vedette_diverged", diverged);
            }
        }
        info.finish()
    }
}
