//! INFO: sections by name, written with the one writer that sentinels read back.

use super::super::{REDIS_VERSION, Server};
use crate::commands::CommandError;
use crate::model::info::InfoWriter;
use crate::resp::Writer;
use crate::session::{Class, Session};
use crate::stdx::time::Now;
use crate::store::DATABASES;

type Section = fn(&Server, Now, &mut InfoWriter);

/// In the order shown; the last ones only when asked for.
const SECTIONS: &[(&str, Section)] = &[
    ("server", server),
    ("clients", clients),
    ("memory", super::memory::info),
    ("persistence", persistence),
    ("stats", stats),
    ("replication", replication),
    ("cpu", cpu),
    ("modules", modules),
    ("errorstats", errorstats),
    ("cluster", cluster),
    ("keyspace", keyspace),
    ("commandstats", commandstats),
    ("latencystats", super::super::latency::info),
];
const DEFAULTS: usize = 11;
/// Keys of a database whose time to live INFO looks at.
const TTL_SAMPLES: usize = 200;

pub(super) fn info(
    server: &mut Server,
    _: &mut Session,
    now: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let wanted: Vec<String> =
        argv[1..].iter().map(|word| String::from_utf8_lossy(word).to_lowercase()).collect();
    let asked = |name: &str| wanted.iter().any(|word| word == name);
    let all = asked("all") || asked("everything");
    let defaults = wanted.is_empty() || asked("default");
    let mut text = InfoWriter::default();
    for (index, (name, section)) in SECTIONS.iter().enumerate() {
        // The section Vedette stands with Replication.
        let named = asked(name) || (*name == "replication" && asked("vedette"));
        if all || named || (defaults && index < DEFAULTS) {
            section(server, now, &mut text);
        }
    }
    out.verbatim("txt", &text.finish());
    Ok(())
}

fn server(server: &Server, now: Now, out: &mut InfoWriter) {
    let uptime_s = now.mono.since(server.started.mono).as_secs();
    out.section("Server")
        .field("redis_version", REDIS_VERSION)
        .field("redis_git_sha1", "00000000")
        .field("redis_git_dirty", 0)
        .field("redis_build_id", "0")
        .field("vedette_version", env!("CARGO_PKG_VERSION"))
        .field("redis_mode", "standalone")
        .field("os", &server.admin.place.os)
        .field("arch_bits", usize::BITS)
        .field("multiplexing_api", "epoll")
        .field("atomicvar_api", "std")
        .field("process_id", server.admin.process_id)
        .field("process_supervised", &server.admin.place.supervised)
        .field("run_id", &server.run_id)
        .field("tcp_port", if server.config.port == 0 { server.config.tls_port } else { server.config.port })
        .field("server_time_usec", now.wall.as_millis() * 1000)
        .field("uptime_in_seconds", uptime_s)
        .field("uptime_in_days", uptime_s / 86_400)
        .field("hz", server.config.hz)
        .field("configured_hz", server.config.hz)
        .field("lru_clock", (now.wall.as_millis() / 1000) & 0x00ff_ffff)
        .field("executable", &server.admin.place.executable)
        .field("config_file", &server.admin.place.config_file)
        .field("io_threads_active", u8::from(server.config.io_threads > 1));
}

fn clients(server: &Server, _: Now, out: &mut InfoWriter) {
    let count = |class| server.hub.others().filter(|session| session.class == class).count();
    out.section("Clients")
        .field("connected_clients", server.hub.len() - count(Class::Replica))
        .field("cluster_connections", 0)
        .field("maxclients", server.config.clients_max)
        .field("blocked_clients", server.blocking.len())
        .field("pubsub_clients", count(Class::PubSub))
        .field("tracking_clients", server.hub.tracking.clients())
        .field("clients_in_timeout_table", server.blocking.with_timeout());
}

fn persistence(server: &Server, now: Now, out: &mut InfoWriter) {
    let snapshot = &server.admin.snapshot;
    out.section("Persistence").field("loading", u8::from(server.loading)).field("async_loading", 0);
    server.loading_info(now, out);
    // Nothing is copied on write, for nothing forks.
    out.field("current_cow_peak", 0)
        .field("current_cow_size", 0)
        .field("current_cow_size_age", 0)
        .field("current_fork_perc", "0.00")
        .field("rdb_changes_since_last_save", server.stats.dirty)
        .field("rdb_bgsave_in_progress", u8::from(snapshot.is_running()))
        .field("rdb_last_save_time", snapshot.last_saved.as_millis() / 1000)
        .field("rdb_last_bgsave_status", if snapshot.failing { "err" } else { "ok" })
        .field("rdb_last_bgsave_time_sec", snapshot.last_took_s())
        .field("rdb_current_bgsave_time_sec", snapshot.running_for_s(now.mono))
        .field("rdb_saves", snapshot.saves)
        .field("rdb_last_cow_size", 0)
        .field("rdb_last_load_keys_expired", server.admin.loaded_expired)
        .field("rdb_last_load_keys_loaded", server.admin.loaded_keys);
    server.log_info(now, out);
    out.field("aof_last_cow_size", 0)
        .field("module_fork_in_progress", 0)
        .field("module_fork_last_cow_size", 0);
}

fn stats(server: &Server, _: Now, out: &mut InfoWriter) {
    let stats = &server.stats;
    out.section("Stats")
        .field("total_connections_received", server.hub.connections_received)
        .field("total_commands_processed", stats.commands)
        .field("instantaneous_ops_per_sec", stats.commands_per_second())
        .field("total_net_input_bytes", stats.input_bytes)
        .field("total_net_output_bytes", stats.output_bytes)
        .field("instantaneous_input_kbps", format_args!("{:.2}", stats.input_kib_per_second()))
        .field("instantaneous_output_kbps", format_args!("{:.2}", stats.output_kib_per_second()))
        .field("rejected_connections", server.hub.connections_rejected)
        .field("sync_full", stats.sync_full)
        .field("sync_partial_ok", stats.sync_partial_ok)
        .field("sync_partial_err", stats.sync_partial_err)
        .field("expired_keys", stats.expired_keys)
        // They are found by their time, not by samples.
        .field("expired_stale_perc", "0.00")
        .field("expired_time_cap_reached_count", stats.expiry_cut_short)
        .field("evicted_keys", server.eviction.evicted_keys)
        .field("evicted_clients", stats.evicted_clients)
        .field("keyspace_hits", stats.keyspace_hits)
        .field("keyspace_misses", stats.keyspace_misses)
        .field("pubsub_channels", server.hub.pubsub.channel_count())
        .field("pubsub_patterns", server.hub.pubsub.pattern_count())
        .field("pubsubshard_channels", server.hub.pubsub.shard_channel_count())
        .field("latest_fork_usec", 0)
        .field("total_forks", 0)
        .field("migrate_cached_sockets", 0)
        .field("slave_expires_tracked_keys", 0)
        .field("active_defrag_hits", 0)
        .field("active_defrag_misses", 0)
        .field("active_defrag_key_hits", 0)
        .field("active_defrag_key_misses", 0)
        .field("total_active_defrag_time", 0)
        .field("current_active_defrag_time", 0)
        .field("tracking_total_keys", server.hub.tracking.keys())
        .field("tracking_total_items", server.hub.tracking.items())
        .field("tracking_total_prefixes", server.hub.tracking.prefixes())
        .field("unexpected_error_replies", 0)
        .field("total_error_replies", stats.error_replies);
}

fn replication(server: &Server, now: Now, out: &mut InfoWriter) {
    server.replication.info(now, out);
}

fn cpu(server: &Server, _: Now, out: &mut InfoWriter) {
    let [user, system] = server.admin.cpu_seconds;
    out.section("CPU")
        .field("used_cpu_sys", format_args!("{system:.6}"))
        .field("used_cpu_user", format_args!("{user:.6}"))
        .field("used_cpu_sys_children", "0.000000")
        .field("used_cpu_user_children", "0.000000");
}

fn modules(_: &Server, _: Now, out: &mut InfoWriter) {
    out.section("Modules");
}

fn cluster(_: &Server, _: Now, out: &mut InfoWriter) {
    out.section("Cluster").field("cluster_enabled", 0);
}

fn errorstats(server: &Server, _: Now, out: &mut InfoWriter) {
    out.section("Errorstats");
    for (code, count) in &server.stats.errors {
        out.field(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

/// The mean of some, as Redis' is of those that its expiry happened to see.
fn mean_ttl_ms(server: &Server, db: usize, now: Now) -> u64 {
    let now_ms = now.wall.as_millis();
    let times = server.keyspace.iter(db).take(TTL_SAMPLES).filter_map(|entry| entry.expire_at_ms());
    let (count, sum) = times.fold((0, 0u64), |(count, sum), at| (count + 1, sum + at.saturating_sub(now_ms)));
    sum.checked_div(count).unwrap_or(0)
}

fn keyspace(server: &Server, now: Now, out: &mut InfoWriter) {
    out.section("Keyspace");
    for db in 0..DATABASES {
        let (keys, expires) = (server.keyspace.len(db), server.keyspace.expires_len(db));
        if keys > 0 {
            let ttl_ms = if expires == 0 { 0 } else { mean_ttl_ms(server, db, now) };
            out.field(&format!("db{db}"), format_args!("keys={keys},expires={expires},avg_ttl={ttl_ms}"));
        }
    }
}

fn commandstats(server: &Server, _: Now, out: &mut InfoWriter) {
    out.section("Commandstats");
    for (slot, calls) in server.stats.calls.iter().enumerate() {
        if calls.calls + calls.rejected > 0 {
            let per_call = calls.micros as f64 / calls.calls.max(1) as f64;
            out.field(
                &format!("cmdstat_{}", server.table.name_of(slot)),
                format_args!(
                    "calls={},usec={},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}",
                    calls.calls, calls.micros, calls.rejected, calls.failed
                ),
            );
        }
    }
}
