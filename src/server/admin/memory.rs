//! MEMORY, and the section Memory of INFO: what is used, by what, and what of it is no data.

use super::super::{Action, Server};
use crate::commands::CommandError;
use crate::model::info::InfoWriter;
use crate::resp::Writer;
use crate::session::client::{help, unknown_subcommand};
use crate::session::{Class, Session};
use crate::stdx::number::parse_i64;
use crate::stdx::time::Now;
use crate::store::{DATABASES, footprint};

type Done = Result<(), CommandError>;

/// Parts of a value that MEMORY USAGE looks at when it is not told how many.
const SAMPLES: usize = 5;
/// Below this much nothing can be said of the use of memory; as Redis has it.
const TELLING_BYTES: u64 = 5 << 20;

const HELP: &[&str] = &[
    "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
    "HELP",
    "    Prints this help.",
];

/// Who uses how much.
struct Account {
    used: u64,
    peak: u64,
    startup: u64,
    resident: u64,
    backlog: u64,
    replicas: u64,
    clients: u64,
    log: u64,
    /// The tables of each database.
    tables: [u64; DATABASES],
    keys: u64,
}

impl Account {
    fn of(server: &Server) -> Self {
        let used = server.used_bytes();
        let waiting = |class: fn(Class) -> bool| {
            server.hub.others().filter(|s| class(s.class)).map(|s| s.outbox.len() as u64).sum::<u64>()
        };
        Account {
            used,
            peak: server.eviction.peak_bytes.max(used),
            startup: server.eviction.startup_bytes,
            resident: server.stats.resident_bytes,
            backlog: server.replication.stream.backlog_used() as u64,
            replicas: waiting(|class| class == Class::Replica),
            clients: waiting(|class| class != Class::Replica),
            log: server.aof.waiting_bytes(),
            tables: std::array::from_fn(|db| match server.keyspace.len(db) {
                0 => 0,
                _ => server.keyspace.table_bytes(db) as u64,
            }),
            keys: server.keyspace.total_len() as u64,
        }
    }

    fn overhead(&self) -> u64 {
        let tables: u64 = self.tables.iter().sum();
        self.startup + self.backlog + self.replicas + self.clients + self.log + tables
    }

    fn dataset(&self) -> u64 {
        self.used.saturating_sub(self.overhead())
    }

    fn dataset_percent(&self) -> f64 {
        let net = self.used.saturating_sub(self.startup).max(1);
        100.0 * self.dataset() as f64 / net as f64
    }

    fn peak_percent(&self) -> f64 {
        100.0 * self.used as f64 / self.peak.max(1) as f64
    }

    fn fragmentation(&self) -> f64 {
        self.resident as f64 / self.used.max(1) as f64
    }

    fn fragmentation_bytes(&self) -> i64 {
        self.resident as i64 - self.used as i64
    }
}

/// As Redis writes sizes for people.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let power = ((63 - bytes.leading_zeros()) / 10) as usize;
    let unit = (1u64 << (10 * power)) as f64;
    format!("{:.2}{}", bytes as f64 / unit, UNITS[power - 1])
}

pub(super) fn info(server: &Server, _: Now, out: &mut InfoWriter) {
    let account = Account::of(server);
    let machine = server.eviction.machine_bytes;
    let max = server.config.memory.max_bytes;
    let garbage = server.keyspace.garbage_counters();
    let (scripts, texts, lua) = server.scripting.sizes();
    let (libraries, functions_lua) = server.functions.sizes();
    out.section("Memory")
        .field("used_memory", account.used)
        .field("used_memory_human", human(account.used))
        .field("used_memory_rss", account.resident)
        .field("used_memory_rss_human", human(account.resident))
        .field("used_memory_peak", account.peak)
        .field("used_memory_peak_human", human(account.peak))
        .field("used_memory_peak_perc", format_args!("{:.2}%", account.peak_percent()))
        .field("used_memory_overhead", account.overhead())
        .field("used_memory_startup", account.startup)
        .field("used_memory_dataset", account.dataset())
        .field("used_memory_dataset_perc", format_args!("{:.2}%", account.dataset_percent()))
        .field("allocator_allocated", account.used)
        .field("allocator_active", account.resident)
        .field("allocator_resident", account.resident)
        .field("allocator_frag_ratio", format_args!("{:.2}", account.fragmentation()))
        .field("allocator_frag_bytes", account.fragmentation_bytes())
        .field("allocator_rss_ratio", "1.00")
        .field("allocator_rss_bytes", 0)
        .field("rss_overhead_ratio", "1.00")
        .field("rss_overhead_bytes", 0)
        .field("total_system_memory", machine)
        .field("total_system_memory_human", human(machine))
        .field("used_memory_lua", lua)
        .field("used_memory_vm_eval", lua)
        .field("used_memory_lua_human", human(lua as u64))
        .field("used_memory_scripts_eval", texts)
        .field("number_of_cached_scripts", scripts)
        .field("number_of_functions", server.functions.function_count())
        .field("number_of_libraries", server.functions.library_count())
        .field("used_memory_vm_functions", functions_lua)
        .field("used_memory_vm_total", lua + functions_lua)
        .field("used_memory_vm_total_human", human((lua + functions_lua) as u64))
        .field("used_memory_functions", libraries)
        .field("used_memory_scripts", texts)
        .field("used_memory_scripts_human", human(texts as u64))
        .field("maxmemory", max)
        .field("maxmemory_human", human(max))
        .field("maxmemory_policy", server.config.memory.policy)
        .field("mem_fragmentation_ratio", format_args!("{:.2}", account.fragmentation()))
        .field("mem_fragmentation_bytes", account.fragmentation_bytes())
        .field("mem_not_counted_for_evict", server.not_counted_bytes())
        .field("mem_replication_backlog", account.backlog)
        .field("mem_total_replication_buffers", account.backlog + account.replicas)
        .field("mem_clients_slaves", account.replicas)
        .field("mem_clients_normal", account.clients)
        .field("mem_cluster_links", 0)
        .field("mem_aof_buffer", account.log)
        .field("mem_allocator", "mimalloc")
        .field("active_defrag_running", 0)
        .field("lazyfree_pending_objects", garbage.pending())
        .field("lazyfreed_objects", garbage.freed());
}

pub(super) fn memory(
    s: &mut Server,
    c: &mut Session,
    now: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Done {
    let arity = |name: &str| Err(CommandError::Arity(format!("memory|{name}")));
    match argv[1].to_ascii_lowercase().as_slice() {
        b"usage" if argv.len() < 3 => return arity("usage"),
        b"usage" => return usage(s, c, now, argv, out),
        b"stats" if argv.len() == 2 => stats(s, out),
        b"stats" => return arity("stats"),
        b"doctor" if argv.len() == 2 => out.verbatim("txt", &doctor(&Account::of(s))),
        b"doctor" => return arity("doctor"),
        b"malloc-stats" if argv.len() == 2 => {
            let account = Account::of(s);
            let text = format!(
                "mimalloc\nallocated bytes: {}\nallocated at the start: {}\npeak of allocated bytes: {}\nresident bytes: {}\n",
                account.used, account.startup, account.peak, account.resident
            );
            out.verbatim("txt", &text);
        }
        b"malloc-stats" => return arity("malloc-stats"),
        b"purge" if argv.len() == 2 => {
            s.actions.push(Action::PurgeMemory);
            out.ok();
        }
        b"purge" => return arity("purge"),
        b"help" if argv.len() == 2 => help(out, HELP),
        b"help" => return arity("help"),
        _ => return Err(unknown_subcommand("memory", argv).into()),
    }
    Ok(())
}

fn usage(s: &mut Server, c: &mut Session, now: Now, argv: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let mut samples = SAMPLES;
    for pair in argv[3..].chunks(2) {
        let &[name, count] = pair else { return Err(CommandError::Syntax) };
        if !name.eq_ignore_ascii_case(b"samples") {
            return Err(CommandError::Syntax);
        }
        let count = parse_i64(count).ok_or(CommandError::NotInteger)?;
        samples = match usize::try_from(count) {
            Ok(0) => usize::MAX,
            Ok(count) => count,
            Err(_) => return Err(CommandError::Syntax),
        };
    }
    let entry = s.keyspace.entry(c.db, argv[2]).filter(|entry| !entry.is_expired(now.wall.as_millis()));
    match entry {
        Some(entry) => out.integer(footprint::of_entry(entry, samples) as i64),
        None => out.null(),
    }
    Ok(())
}

fn stats(s: &Server, out: &mut Writer<'_>) {
    let account = Account::of(s);
    let databases: Vec<usize> = (0..DATABASES).filter(|&db| account.tables[db] > 0).collect();
    let per_key = account.used.saturating_sub(account.startup) / account.keys.max(1);
    let counts = [
        ("peak.allocated", account.peak),
        ("total.allocated", account.used),
        ("startup.allocated", account.startup),
        ("replication.backlog", account.backlog),
        ("clients.slaves", account.replicas),
        ("clients.normal", account.clients),
        ("aof.buffer", account.log),
    ];
    out.map(counts.len() + databases.len() + 10);
    let count = |out: &mut Writer<'_>, name: &str, value: i64| {
        out.bulk(name.as_bytes());
        out.integer(value);
    };
    let ratio = |out: &mut Writer<'_>, name: &str, value: f64| {
        out.bulk(name.as_bytes());
        out.double(value);
    };
    for (name, value) in counts {
        count(out, name, value as i64);
    }
    for db in databases {
        out.bulk(format!("db.{db}").as_bytes());
        out.map(2);
        count(out, "overhead.hashtable.main", account.tables[db] as i64);
        // Times stand in the entries themselves.
        count(out, "overhead.hashtable.expires", 0);
    }
    count(out, "overhead.total", account.overhead() as i64);
    count(out, "keys.count", account.keys as i64);
    count(out, "keys.bytes-per-key", if account.keys == 0 { 0 } else { per_key as i64 });
    count(out, "dataset.bytes", account.dataset() as i64);
    ratio(out, "dataset.percentage", account.dataset_percent());
    ratio(out, "peak.percentage", account.peak_percent());
    count(out, "allocator.allocated", account.used as i64);
    count(out, "allocator.resident", account.resident as i64);
    ratio(out, "fragmentation", account.fragmentation());
    count(out, "fragmentation.bytes", account.fragmentation_bytes());
}

/// What an operator should know, in the order of what it costs.
fn doctor(account: &Account) -> String {
    if account.used < TELLING_BYTES {
        return "Too little memory is used to say anything about it (less than 5 MB).".into();
    }
    let mut text = String::new();
    if account.peak > account.used + account.used / 2 {
        text.push_str(" * Peak memory: in the past this instance used more than 150% of what it uses now. The allocator may keep memory until MEMORY PURGE; a resident size above used memory is to be expected.\n\n");
    }
    if account.fragmentation() > 1.4 && account.fragmentation_bytes() > 10 << 20 {
        text.push_str(&format!(
            " * High total RSS: resident memory is {:.2} times of what is allocated ({} bytes more). After many deletions MEMORY PURGE gives pages back.\n\n",
            account.fragmentation(),
            account.fragmentation_bytes()
        ));
    }
    if account.replicas > 10 << 20 {
        text.push_str(" * Big replica buffers: more than 10 MB wait for replicas; look with INFO replication and CLIENT LIST which of them is slow.\n\n");
    }
    if account.clients > 200 * 1024 * 16 {
        text.push_str(" * Big client buffers: clients do not read their replies as fast as they ask for them; look with CLIENT LIST (omem).\n\n");
    }
    match text.is_empty() {
        true => "No memory problem was found in this instance.".into(),
        false => format!("Issues found with the memory of this instance:\n\n{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_read_as_in_redis() {
        assert_eq!([0, 1023, 1024, 1 << 20, 3 << 29].map(human), ["0B", "1023B", "1.00K", "1.00M", "1.50G"]);
    }
}
