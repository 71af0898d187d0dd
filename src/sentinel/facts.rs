//! What INFO says, as facts with a time. The moment of asking counts as the moment of the facts: a
//! byte that an answer speaks of had arrived by when it was answered, never later.

use super::ledger::Group;
use crate::model::info::Info;
use crate::model::{Address, Epoch, Offset, ReplId, RunId};
use crate::stdx::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Master,
    Replica,
}

/// The section `# Vedette` of a bundled server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundled {
    pub epoch: Epoch,
    pub role: BundledRole,
    pub vouched: bool,
    pub set_version: u64,
    pub silence: Option<Duration>,
    pub synced: bool,
    pub diverged: Option<Diverged>,
}

/// What a returned master kept of what only it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverged {
    pub history: ReplId,
    pub from: Offset,
    /// Of writes.
    pub bytes: u64,
    /// Empty: nothing was there to keep, or it could not be kept.
    pub file: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundledRole {
    Master,
    Replica,
    Awaiting,
    Unsupervised,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub address: Address,
    pub online: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub asked_at: Instant,
    /// The connection that answered: one process for as long as it lives.
    pub generation: u64,
    pub run_id: Option<RunId>,
    pub role: Role,
    pub history: Option<ReplId>,
    pub offset: Offset,
    pub history2: Option<ReplId>,
    /// How far `history2` reaches.
    pub offset2: Offset,
    pub master: Option<Address>,
    pub link_up: bool,
    pub syncing: bool,
    /// Since the last byte of its master: never less than the truth.
    pub silence: Option<Duration>,
    pub loading: bool,
    /// 0: never to be master.
    pub priority: i64,
    pub replicas: Vec<Listed>,
    /// Of all its databases.
    pub keys: u64,
    /// A restart with its data gives it a new replication id and drops the old one: it writes an
    /// append-only file, or is older than Redis 7.
    pub forgets_history: bool,
    /// Nobody wrote to it since it started: what its stream grew by is messages, ours above all.
    pub untouched: bool,
    pub bundled: Option<Bundled>,
}

/// Lines of replicas that are read from one INFO.
const LISTED_MAX: usize = 128;

impl Facts {
    /// `None` when it names no role: then it is no INFO of a data server.
    pub fn read(text: &str, asked_at: Instant, generation: u64) -> Option<Self> {
        let info = Info::parse(text);
        let role = match info.get("role")? {
            "master" => Role::Master,
            "slave" | "replica" => Role::Replica,
            _ => return None,
        };
        let replid =
            |field| info.get(field).filter(|id| id.bytes().any(|b| b != b'0')).and_then(ReplId::parse);
        let own_offset = info.offset("master_repl_offset").unwrap_or(0);
        let offset = match role {
            Role::Master => own_offset,
            Role::Replica => info.offset("slave_repl_offset").unwrap_or(own_offset),
        };
        let master = match (info.get("master_host"), info.number("master_port")) {
            (Some(host), Some(port)) => {
                u16::try_from(port).ok().filter(|port| *port != 0).map(|port| Address::new(host, port))
            }
            _ => None,
        };
        let bundled = bundled(&info);
        let seconds = info.number("master_last_io_seconds_ago").and_then(|s| u64::try_from(s).ok());
        let silence = match &bundled {
            Some(bundled) => bundled.silence,
            // Whole seconds, cut down.
            None => seconds.map(|seconds| Duration::from_secs(seconds + 1)),
        };
        Some(Facts {
            asked_at,
            generation,
            run_id: info.get("run_id").and_then(RunId::parse),
            role,
            history: replid("master_replid"),
            offset,
            history2: replid("master_replid2"),
            // INFO gives the first byte that is no longer shared, -1 for none.
            offset2: info.offset("second_repl_offset").unwrap_or(0).saturating_sub(1),
            master: master.filter(|_| role == Role::Replica),
            link_up: info.get("master_link_status") == Some("up"),
            syncing: info.get("master_sync_in_progress") == Some("1"),
            silence,
            loading: info.get("loading") == Some("1"),
            priority: info
                .number("slave_priority")
                .or_else(|| info.number("replica_priority"))
                .unwrap_or(100),
            replicas: listed(&info),
            keys: keys(&info),
            forgets_history: info.get("aof_enabled") == Some("1")
                || info.get("redis_version").is_some_and(old),
            untouched: info.number("rdb_changes_since_last_save") == Some(0)
                && info.number("rdb_saves") == Some(0),
            bundled,
        })
    }

    pub fn is_master(&self) -> bool {
        self.role == Role::Master
    }

    pub fn awaiting(&self) -> bool {
        self.bundled.as_ref().is_some_and(|bundled| bundled.role == BundledRole::Awaiting)
    }

    pub fn follows(&self, master: &Address) -> bool {
        self.master.as_ref() == Some(master)
    }

    /// Where another history of the group went on from this server's, when it has more than that.
    pub fn fork(&self, group: &Group) -> Option<(ReplId, Offset)> {
        let history = self.history.as_ref()?;
        let branch = group.ancestors.iter().find(|ancestor| ancestor.history == *history)?;
        (self.offset > branch.up_to).then(|| (history.clone(), branch.up_to))
    }

    /// Whether what it holds was once the whole of its history. A stock replica that has no stream to
    /// go on from, because it never had one or because a full sync failed, says offset 1 (Redis,
    /// `genRedisInfoString`); one that follows a master nobody has written to yet truly is at 0.
    pub fn completed_sync(&self) -> bool {
        match &self.bundled {
            Some(bundled) => bundled.synced,
            None => self.role == Role::Master || self.offset != 1,
        }
    }

    pub fn holds_data(&self) -> bool {
        self.offset > 0 && self.bundled.as_ref().is_none_or(|bundled| bundled.synced)
    }
}

fn bundled(info: &Info<'_>) -> Option<Bundled> {
    let role = match info.get("vedette_role")? {
        "master" => BundledRole::Master,
        "replica" => BundledRole::Replica,
        "awaiting" => BundledRole::Awaiting,
        _ => BundledRole::Unsupervised,
    };
    let silence = info.number("vedette_link_silence_ms").and_then(|ms| u64::try_from(ms).ok());
    Some(Bundled {
        epoch: info.offset("vedette_epoch").unwrap_or(0),
        role,
        vouched: info.get("vedette_vouched") == Some("yes"),
        set_version: info.offset("vedette_set_version").unwrap_or(0),
        silence: silence.map(Duration::from_millis),
        synced: info.get("vedette_synced") == Some("1"),
        diverged: info.get("vedette_diverged").and_then(diverged),
    })
}

/// `replid=...,from=100,to=140,commands=1,bytes=31,file=divergent-...resp`
fn diverged(text: &str) -> Option<Diverged> {
    let field = |wanted: &str| {
        text.split(',').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == wanted)).map(|(_, v)| v)
    };
    let file = field("file")?;
    let named = file.len() <= 128 && file.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    Some(Diverged {
        history: ReplId::parse(field("replid")?)?,
        from: field("from")?.parse().ok()?,
        bytes: field("bytes")?.parse().ok()?,
        file: file.to_owned(),
    })
    .filter(|_| named)
}

/// `slave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0`
fn listed(info: &Info<'_>) -> Vec<Listed> {
    let line = |(name, value): (&str, &str)| {
        let number = name.strip_prefix("slave")?;
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let field = |wanted: &str| {
            value
                .split(',')
                .find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == wanted))
                .map(|(_, v)| v)
        };
        let address = format!("{}:{}", bracketed(field("ip")?), field("port")?).parse().ok()?;
        Some(Listed { address, online: field("state") == Some("online") })
    };
    info.fields().filter_map(line).take(LISTED_MAX).collect()
}

/// `db0:keys=12,expires=0,avg_ttl=0`
fn keys(info: &Info<'_>) -> u64 {
    let line = |(name, value): (&str, &str)| {
        let number =
            name.strip_prefix("db").filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        let keys = value.strip_prefix("keys=").filter(|_| number.is_some())?;
        keys.split(',').next()?.parse::<u64>().ok()
    };
    info.fields().filter_map(line).fold(0, u64::saturating_add)
}

fn old(version: &str) -> bool {
    version.split('.').next().and_then(|major| major.parse::<u64>().ok()).is_some_and(|major| major < 7)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stock_master_lists_its_replicas() {
        let text = "# Server\r\nrun_id:aa\r\n# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
            slave0:ip=127.0.0.1,port=6380,state=online,offset=14,lag=1\r\n\
            slave1:ip=::1,port=6381,state=wait_bgsave,offset=0,lag=0\r\nslave_priority:100\r\n\
            master_replid:abc\r\nmaster_replid2:0000000000000000000000000000000000000000\r\n\
            master_repl_offset:14\r\nsecond_repl_offset:-1\r\n";
        let facts = Facts::read(text, Instant::ZERO, 1).unwrap();
        assert!(facts.is_master() && facts.bundled.is_none() && facts.history2.is_none());
        assert_eq!((facts.offset, facts.offset2), (14, 0));
        let listed: Vec<_> = facts.replicas.iter().map(|l| (l.address.to_string(), l.online)).collect();
        assert_eq!(listed, [("127.0.0.1:6380".to_owned(), true), ("[::1]:6381".to_owned(), false)]);
    }

    #[test]
    fn a_bundled_replica_says_how_long_its_master_is_silent() {
        let text = "role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\n\
            master_last_io_seconds_ago:0\r\nslave_repl_offset:9\r\nmaster_repl_offset:12\r\n\
            vedette_role:replica\r\nvedette_epoch:7\r\nvedette_link_silence_ms:40\r\nvedette_synced:1\r\n";
        let facts = Facts::read(text, Instant::ZERO, 1).unwrap();
        assert_eq!(facts.offset, 9);
        assert_eq!(facts.silence, Some(Duration::from_millis(40)));
        assert_eq!(facts.bundled.map(|b| (b.epoch, b.synced)), Some((7, true)));
        assert!(facts.link_up);
    }

    /// INFO of redis-server 7.0: of a replica whose master died before anybody had written to it, and of
    /// one that never reached its master.
    #[test]
    fn a_sync_at_offset_zero_is_a_sync() {
        let of = |offset: u64| {
            let text = format!(
                "run_id:aa\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:1\r\nmaster_link_status:down\r\n\
                 slave_read_repl_offset:{offset}\r\nslave_repl_offset:{offset}\r\nmaster_repl_offset:0\r\n"
            );
            Facts::read(&text, Instant::ZERO, 1).unwrap().completed_sync()
        };
        assert!(of(0));
        assert!(!of(1));
    }

    #[test]
    fn keys_are_those_of_all_databases() {
        let text = "redis_version:7.0.15\r\naof_enabled:0\r\nrole:master\r\n# Keyspace\r\n\
            db0:keys=3,expires=1,avg_ttl=0\r\ndb12:keys=4,expires=0,avg_ttl=0\r\ndbx:keys=9\r\n";
        let facts = Facts::read(text, Instant::ZERO, 1).unwrap();
        assert_eq!((facts.keys, facts.forgets_history, facts.untouched), (7, false, false));
        let idle = "role:master\r\nrdb_changes_since_last_save:0\r\nrdb_saves:0\r\n";
        assert!(Facts::read(idle, Instant::ZERO, 1).unwrap().untouched);
        let six = Facts::read("role:master\r\nredis_version:6.2.14\r\n", Instant::ZERO, 1).unwrap();
        let aof = Facts::read("role:master\r\naof_enabled:1\r\n", Instant::ZERO, 1).unwrap();
        assert!(six.forgets_history && aof.forgets_history && six.keys == 0);
    }

    #[test]
    fn strange_text_is_no_fact() {
        assert_eq!(Facts::read("", Instant::ZERO, 1), None);
        assert_eq!(Facts::read("role:sentinel\r\n", Instant::ZERO, 1), None);
        let odd = "role:slave\r\nmaster_port:99999\r\nmaster_host:h\r\nslave0:ip=\r\nslavery:ip=a,port=1\r\n";
        let facts = Facts::read(odd, Instant::ZERO, 1).unwrap();
        assert_eq!((facts.master, facts.replicas.len()), (None, 0));
    }
}
