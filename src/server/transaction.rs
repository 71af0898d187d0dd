//! MULTI, EXEC, DISCARD, WATCH, UNWATCH. Queued commands were admitted when they were queued; EXEC is
//! admitted with the flags of all of them.

use super::table::CommandId;
use super::{Server, ServerCommand};
use crate::commands::CommandError;
use crate::resp::spec::{Arity, CommandSpec, FAST, Flags, KEYS_ALL, Keys, LOADING, NO_KEYS, NO_MULTI, STALE};
use crate::resp::{Argv, Writer};
use crate::session::{Session, SessionId};
use crate::stdx::time::{Instant, Now};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

type Done = Result<(), CommandError>;
type Key = (usize, Box<[u8]>);

#[derive(Debug, Default)]
pub struct Transactions {
    by_session: BTreeMap<SessionId, Transaction>,
    watchers: BTreeMap<Key, BTreeSet<SessionId>>,
}

#[derive(Debug, Default)]
struct Transaction {
    queue: Vec<Queued>,
    /// What the queue takes of memory.
    bytes: usize,
    /// Of all that is queued.
    flags: Flags,
    /// A command was refused while queueing: EXEC aborts.
    failed: bool,
    /// A watched key was touched: EXEC replies null.
    dirty: bool,
    watched: Vec<Key>,
}

#[derive(Debug)]
struct Queued {
    command: CommandId,
    argv: Vec<Box<[u8]>>,
}

impl Transaction {
    fn drop_queue(&mut self) {
        self.queue = Vec::new();
        self.bytes = 0;
    }
}

impl Transactions {
    pub fn nothing_watched(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Of all that a session has queued.
    pub fn flags(&self, id: SessionId) -> Flags {
        self.by_session.get(&id).map_or(0, |transaction| transaction.flags)
    }

    pub fn fail(&mut self, id: SessionId) {
        self.by_session.entry(id).or_default().failed = true;
    }

    pub fn touch(&mut self, db: usize, key: &[u8]) {
        if self.watchers.is_empty() {
            return;
        }
        for id in self.watchers.get(&(db, key.into())).into_iter().flatten() {
            if let Some(transaction) = self.by_session.get_mut(id) {
                transaction.dirty = true;
            }
        }
    }

    pub fn touch_all(&mut self) {
        for transaction in self.by_session.values_mut().filter(|one| !one.watched.is_empty()) {
            transaction.dirty = true;
        }
    }

    fn watch(&mut self, id: SessionId, key: Key) -> usize {
        let transaction = self.by_session.entry(id).or_default();
        if self.watchers.entry(key.clone()).or_default().insert(id) {
            transaction.watched.push(key);
        }
        transaction.watched.len()
    }

    fn unwatch(&mut self, id: SessionId) {
        let Some(transaction) = self.by_session.get_mut(&id) else { return };
        transaction.dirty = false;
        for key in std::mem::take(&mut transaction.watched) {
            if let Some(watchers) = self.watchers.get_mut(&key) {
                watchers.remove(&id);
                if watchers.is_empty() {
                    self.watchers.remove(&key);
                }
            }
        }
    }
}

/// Commands that MULTI does not queue.
pub(super) fn runs_inside(name: &str) -> bool {
    matches!(name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

impl Server {
    pub(in crate::server) fn queue(
        &mut self,
        session: &mut Session,
        command: CommandId,
        argv: &[&[u8]],
        out: &mut Writer<'_>,
    ) {
        let spec = self.table.entry(command).spec;
        if spec.has(NO_MULTI) {
            self.transactions.fail(session.id);
            out.error("ERR Command not allowed inside a transaction");
            return;
        }
        let bytes_max = usize::try_from(self.config.query_buffer_bytes_max).unwrap_or(usize::MAX);
        let transaction = self.transactions.by_session.entry(session.id).or_default();
        if transaction.failed {
            // EXEC will abort: nothing of it is needed any more.
            transaction.drop_queue();
            out.simple("QUEUED");
            return;
        }
        transaction.flags |= spec.flags;
        let words: usize = argv.iter().map(|word| size_of::<Box<[u8]>>() + word.len()).sum();
        transaction.bytes += size_of::<Queued>() + words;
        if transaction.bytes > bytes_max {
            transaction.failed = true;
            transaction.drop_queue();
            out.error(
                "ERR transaction is larger than client-query-buffer-limit; EXEC will abort, send it in parts",
            );
            return;
        }
        transaction.queue.push(Queued { command, argv: argv.iter().map(|&word| word.into()).collect() });
        session.multi = Some(transaction.queue.len());
        out.simple("QUEUED");
    }

    /// The session's queue and watches are gone.
    pub(in crate::server) fn forget_transaction(&mut self, id: SessionId) {
        self.transactions.unwatch(id);
        self.transactions.by_session.remove(&id);
    }

    fn end_transaction(&mut self, session: &mut Session) {
        self.forget_transaction(session.id);
        session.multi = None;
        session.watching = 0;
    }

    /// Whether a watched key is gone because its time has passed, though nothing touched it.
    fn watched_key_expired(&mut self, now: Now, id: SessionId) -> bool {
        let Some(transaction) = self.transactions.by_session.get(&id) else { return false };
        let watched = &transaction.watched;
        watched.iter().any(|(db, key)| self.keyspace_has_expired(now, *db, key))
    }
}

fn multi(server: &mut Server, session: &mut Session, _: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    if session.multi.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    session.multi = Some(0);
    server.transactions.by_session.entry(session.id).or_default();
    out.ok();
    Ok(())
}

fn discard(server: &mut Server, session: &mut Session, _: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    if session.multi.is_none() {
        return Err("ERR DISCARD without MULTI".into());
    }
    server.end_transaction(session);
    out.ok();
    Ok(())
}

fn exec(server: &mut Server, session: &mut Session, now: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    if session.multi.is_none() {
        return Err("ERR EXEC without MULTI".into());
    }
    let mark = out.len();
    let expired = server.watched_key_expired(now, session.id);
    let transaction = server.transactions.by_session.get_mut(&session.id).map(std::mem::take);
    let mut transaction = transaction.unwrap_or_default();
    let dirty = transaction.dirty || expired;
    // Put the watches back only to take them out of the index.
    let watched = std::mem::take(&mut transaction.watched);
    if let Some(rest) = server.transactions.by_session.get_mut(&session.id) {
        rest.watched = watched;
    }
    server.end_transaction(session);
    if transaction.failed {
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    if dirty {
        out.null_array();
        return Ok(());
    }
    out.array(transaction.queue.len());
    let queue = Rest { queue: transaction.queue.into(), db: session.db, replies: Vec::new() };
    server.begin_exec();
    server.exec_queue(session, now, queue, mark, out);
    Ok(())
}

/// Of a transaction whose script was left standing: what is answered already, and what is still to run.
#[derive(Debug)]
pub struct Rest {
    queue: VecDeque<Queued>,
    /// Where EXEC began.
    db: usize,
    pub replies: Vec<u8>,
}

impl Rest {
    pub fn db(&self) -> usize {
        self.db
    }
}

impl Server {
    /// Runs what is queued. A script that takes too long leaves the rest, with the replies since `mark`,
    /// to the end of the script.
    pub(in crate::server) fn exec_queue(
        &mut self,
        session: &mut Session,
        now: Now,
        mut rest: Rest,
        mark: usize,
        out: &mut Writer<'_>,
    ) {
        let clock = self.scripting.clock().unwrap_or(|| Instant::ZERO);
        let mut lap = clock();
        while let Some(Queued { command, argv }) = rest.queue.pop_front() {
            let argv: Argv<'_> = argv.iter().map(|word| &**word).collect();
            let mut writer_protocol = session.protocol;
            // Rules may have changed since it was queued.
            if let Some(refusal) = self.forbids(session, now, command, &argv) {
                out.error(&refusal.to_string());
                continue;
            }
            self.call(now, session, command, &argv, out);
            if session.protocol != writer_protocol {
                writer_protocol = session.protocol;
                out.set_protocol(writer_protocol);
            }
            let end = clock();
            self.note_call(now, session, command, end.since(lap), &argv);
            lap = end;
            if self.scripting.is_busy() {
                rest.replies = out.since(mark).to_vec();
                out.truncate(mark);
                return self.scripting.leave_rest(rest);
            }
        }
        self.end_exec(rest.db);
    }
}

fn watch(server: &mut Server, session: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    if session.multi.is_some() {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    for &key in &argv[1..] {
        // A key that is past its time already counts as absent: only a later change is one.
        server.drop_if_expired(now, session.db, key);
        session.watching = server.transactions.watch(session.id, (session.db, key.into()));
    }
    out.ok();
    Ok(())
}

fn unwatch(server: &mut Server, session: &mut Session, _: Now, _: &[&[u8]], out: &mut Writer<'_>) -> Done {
    server.transactions.unwatch(session.id);
    session.watching = 0;
    out.ok();
    Ok(())
}

const fn row(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    keys: Keys,
    handler: super::Handler,
    summary: &'static str,
) -> ServerCommand {
    let flags = FAST | LOADING | STALE | flags;
    ServerCommand {
        spec: CommandSpec { name, arity, flags, keys, category: "@transaction", summary },
        handler,
    }
}

use Arity::{AtLeast, Exactly};
pub const COMMANDS: &[ServerCommand] = &[
    row("multi", Exactly(1), 0, NO_KEYS, multi, "Starts a transaction."),
    row("exec", Exactly(1), 0, NO_KEYS, exec, "Executes all commands of a transaction."),
    row("discard", Exactly(1), 0, NO_KEYS, discard, "Discards a transaction."),
    row("watch", AtLeast(2), NO_MULTI, KEYS_ALL, watch, "Lets EXEC fail if these keys change before it."),
    row("unwatch", Exactly(1), 0, NO_KEYS, unwatch, "Forgets watched keys."),
];
