//! What stands between a request and its execution: one list, in order, first refusal wins.

use super::Server;
use super::admin::interface;
use super::table::{CommandId, Misfit};
use crate::commands::CommandError;
use crate::resp::spec::{DENYOOM, Flags, LOADING, NO_AUTH, STALE, SUPERVISOR, WRITE};
use crate::session::Session;
use crate::session::client::unknown_subcommand;
use crate::stdx::time::Now;

/// Bytes of the arguments that an unknown command's error repeats.
const ECHO_BYTES_MAX: usize = 128;

/// One request at the door.
struct Visitor<'a> {
    server: &'a Server,
    session: &'a Session,
    now: Now,
    name: &'static str,
    argv: &'a [&'a [u8]],
    /// Of the command; for EXEC together with those of all that is queued.
    flags: Flags,
}

type Check = fn(&Visitor<'_>) -> Option<CommandError>;

const CHECKS: &[Check] =
    &[authenticated, supervisor, loaded, fresh_enough, disk_works, may_write, memory_left, not_listening];

impl Server {
    /// The command's id, or why it is not run. Queueing in MULTI comes after this.
    pub(in crate::server) fn admit(
        &mut self,
        now: Now,
        session: &mut Session,
        argv: &[&[u8]],
    ) -> Result<CommandId, CommandError> {
        let id = self.table.find(argv[0]).ok_or_else(|| unknown(argv))?;
        self.table.takes(id, argv).map_err(|misfit| self.misfit(misfit, id, argv))?;
        let spec = &self.table.entry(id).spec;
        let mut flags = spec.flags;
        if session.multi.is_some() && spec.name == "exec" {
            flags |= self.transactions.flags(session.id);
        }
        let (name, may_anyway) = (spec.name, spec.has(NO_AUTH));
        if session.authenticated
            && !may_anyway
            && let Some(refusal) = self.forbids(session, now, id, argv)
        {
            self.stats.calls[self.table.slot(id, argv)].rejected += 1;
            return Err(refusal);
        }
        if self.config.memory.max_bytes > 0 {
            self.evict(now);
        }
        let visitor = Visitor { server: self, session, now, name, argv, flags };
        match CHECKS.iter().find_map(|check| check(&visitor)) {
            None => Ok(id),
            Some(refusal) => {
                self.stats.calls[self.table.slot(id, argv)].rejected += 1;
                Err(refusal)
            }
        }
    }
}

impl Server {
    #[cold]
    fn misfit(&mut self, misfit: Misfit, id: CommandId, argv: &[&[u8]]) -> CommandError {
        match misfit {
            Misfit::UnknownSubcommand => unknown_subcommand(self.table.entry(id).spec.name, argv).into(),
            Misfit::Arity(slot, name) => {
                self.stats.calls[slot].rejected += 1;
                CommandError::Arity(name.to_owned())
            }
        }
    }

    /// Why no write is taken while the disk does not work: MISCONF.
    pub(in crate::server) fn refuses_by_disk(&self) -> Option<CommandError> {
        if !self.replication.is_replica()
            && let Some(refusal) = self.aof.refuse_write()
        {
            return Some(refusal);
        }
        let failing = self.admin.snapshot.failing && self.config.stop_writes_on_bgsave_error;
        (failing && !self.config.save.is_empty()).then(|| {
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.".into()
        })
    }

    pub(in crate::server) fn is_out_of_memory(&self) -> bool {
        self.config.memory.max_bytes > 0 && self.refuse_for_memory().is_some()
    }
}

fn unknown(argv: &[&[u8]]) -> CommandError {
    let name = String::from_utf8_lossy(&argv[0][..argv[0].len().min(ECHO_BYTES_MAX)]);
    let mut args = String::new();
    for word in &argv[1..] {
        if args.len() >= ECHO_BYTES_MAX {
            break;
        }
        let word = &word[..word.len().min(ECHO_BYTES_MAX - args.len())];
        args.push_str(&format!("'{}' ", String::from_utf8_lossy(word)));
    }
    CommandError::Text(format!("ERR unknown command '{name}', with args beginning with: {args}"))
}

fn authenticated(visitor: &Visitor<'_>) -> Option<CommandError> {
    (!visitor.session.authenticated && visitor.flags & NO_AUTH == 0)
        .then(|| "NOAUTH Authentication required.".into())
}

/// Sentinels reach us over loopback or with the password; protected mode may be off, this is not.
fn supervisor(visitor: &Visitor<'_>) -> Option<CommandError> {
    let trusted = visitor.session.is_loopback() || visitor.server.hub.auth.is_required();
    (visitor.flags & SUPERVISOR != 0 && !trusted).then(|| {
        "NOPERM supervisor commands are for clients on loopback or with the password of requirepass".into()
    })
}

/// Nothing stands in the way of everybody: neither the loading of data nor a long script.
fn loaded(visitor: &Visitor<'_>) -> Option<CommandError> {
    if visitor.server.scripting.is_busy() {
        if visitor.server.is_supervision(visitor.session, visitor.name, visitor.argv) {
            return None;
        }
        return visitor.server.refuses_while_busy(visitor.name, visitor.flags, visitor.argv);
    }
    (visitor.server.loading && visitor.flags & LOADING == 0)
        .then(|| "LOADING Redis is loading the dataset in memory".into())
}

fn fresh_enough(visitor: &Visitor<'_>) -> Option<CommandError> {
    if visitor.flags & STALE != 0 { None } else { visitor.server.replication.refuse_read(visitor.now) }
}

/// PING too, as in Redis: sentinels learn by it that this master serves no write, and replace it.
fn disk_works(visitor: &Visitor<'_>) -> Option<CommandError> {
    if visitor.flags & WRITE == 0 && visitor.name != "ping" {
        return None;
    }
    visitor.server.refuses_by_disk()
}

/// Role, vouching and enough replicas, in this order.
fn may_write(visitor: &Visitor<'_>) -> Option<CommandError> {
    if visitor.flags & WRITE == 0 { None } else { visitor.server.replication.refuse_write(visitor.now) }
}

/// What is queued in MULTI needs memory too, whatever it is.
fn memory_left(visitor: &Visitor<'_>) -> Option<CommandError> {
    let queued = || visitor.session.multi.is_some() && !super::transaction::runs_inside(visitor.name);
    if visitor.server.config.memory.max_bytes == 0 || (visitor.flags & DENYOOM == 0 && !queued()) {
        return None;
    }
    visitor.server.refuse_for_memory()
}

fn not_listening(visitor: &Visitor<'_>) -> Option<CommandError> {
    const ALLOWED: [&str; 9] = [
        "ssubscribe",
        "sunsubscribe",
        "subscribe",
        "psubscribe",
        "unsubscribe",
        "punsubscribe",
        "ping",
        "quit",
        "reset",
    ];
    let name = visitor.name;
    (visitor.session.is_in_subscribe_mode() && !ALLOWED.contains(&name)).then(|| {
        let word = visitor.argv.get(1).map(|word| String::from_utf8_lossy(word).to_lowercase());
        let full = word.map(|word| format!("{name}|{word}"));
        let known = full.filter(|full| interface::subcommands(name).any(|line| line.name() == full));
        let name = known.as_deref().unwrap_or(name);
        CommandError::Text(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        ))
    })
}
