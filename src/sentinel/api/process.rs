//! The sections of INFO that speak of the process: every field that Redis writes there, in its order.
//! What a sentinel has none of (keys, replicas, forks) is a zero because it is one.

use super::facts::Facts;
use super::info::REDIS_VERSION;
use crate::model::info::InfoWriter;

pub(super) fn server(facts: &Facts, info: &mut InfoWriter) {
    let process = &facts.process;
    info.section("Server")
        .field("redis_version", REDIS_VERSION)
        .field("redis_git_sha1", "00000000")
        .field("redis_git_dirty", 0)
        .field("redis_build_id", "0")
        .field("redis_mode", "sentinel")
        .field("os", &process.os)
        .field("arch_bits", usize::BITS)
        .field("monotonic_clock", "POSIX CLOCK_BOOTTIME")
        .field("multiplexing_api", "epoll")
        .field("atomicvar_api", "rust")
        .field("gcc_version", "0.0.0")
        .field("process_id", process.pid)
        .field("process_supervised", if process.supervised { "systemd" } else { "no" })
        .field("run_id", &facts.my_id)
        .field("tcp_port", process.port)
        .field("server_time_usec", process.time_us)
        .field("uptime_in_seconds", process.uptime_s)
        .field("uptime_in_days", process.uptime_s / 86_400)
        .field("hz", 10)
        .field("configured_hz", 10)
        .field("lru_clock", process.time_us / 1_000_000 % (1 << 24))
        .field("executable", &process.executable)
        .field("config_file", &process.config_file)
        .field("io_threads_active", 0)
        .field("server_name", "vedette")
        .field("server_mode", "sentinel")
        .field("vedette_version", env!("CARGO_PKG_VERSION"));
}

pub(super) fn clients(facts: &Facts, info: &mut InfoWriter) {
    info.section("Clients")
        .field("connected_clients", facts.process.clients)
        .field("cluster_connections", 0)
        .field("maxclients", facts.process.clients_max)
        .field("client_recent_max_input_buffer", 0)
        .field("client_recent_max_output_buffer", 0)
        .field("blocked_clients", facts.process.clients_waiting)
        .field("tracking_clients", 0)
        .field("clients_in_timeout_table", 0);
}

pub(super) fn cpu(facts: &Facts, info: &mut InfoWriter) {
    let seconds = |ms: u64| format!("{}.{:06}", ms / 1000, ms % 1000 * 1000);
    let process = &facts.process;
    info.section("CPU")
        .field("used_cpu_sys", seconds(process.cpu_system_ms))
        .field("used_cpu_user", seconds(process.cpu_user_ms))
        .field("used_cpu_sys_children", seconds(process.cpu_children_system_ms))
        .field("used_cpu_user_children", seconds(process.cpu_children_user_ms))
        // One thread does nearly all of it.
        .field("used_cpu_sys_main_thread", seconds(process.cpu_system_ms))
        .field("used_cpu_user_main_thread", seconds(process.cpu_user_ms));
}

pub(super) fn stats(facts: &Facts, info: &mut InfoWriter) {
    let process = &facts.process;
    info.section("Stats")
        .field("total_connections_received", process.connections_total)
        .field("total_commands_processed", process.commands_total)
        .field("instantaneous_ops_per_sec", 0)
        .field("total_net_input_bytes", process.input_bytes_total)
        .field("total_net_output_bytes", process.output_bytes_total)
        .field("total_net_repl_input_bytes", 0)
        .field("total_net_repl_output_bytes", 0)
        .field("instantaneous_input_kbps", "0.00")
        .field("instantaneous_output_kbps", "0.00")
        .field("instantaneous_input_repl_kbps", "0.00")
        .field("instantaneous_output_repl_kbps", "0.00")
        .field("rejected_connections", process.connections_rejected);
    for zero in ["sync_full", "sync_partial_ok", "sync_partial_err", "expired_keys"] {
        info.field(zero, 0);
    }
    info.field("expired_stale_perc", "0.00");
    for zero in [
        "expired_time_cap_reached_count",
        "expire_cycle_cpu_milliseconds",
        "evicted_keys",
        "evicted_clients",
        "total_eviction_exceeded_time",
        "current_eviction_exceeded_time",
        "keyspace_hits",
        "keyspace_misses",
    ] {
        info.field(zero, 0);
    }
    info.field("pubsub_channels", process.pubsub_channels).field("pubsub_patterns", process.pubsub_patterns);
    for zero in [
        "pubsubshard_channels",
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        "slave_expires_tracked_keys",
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
        "tracking_total_keys",
        "tracking_total_items",
        "tracking_total_prefixes",
        "unexpected_error_replies",
    ] {
        info.field(zero, 0);
    }
    info.field("total_error_replies", process.errors_total)
        .field("dump_payload_sanitizations", 0)
        .field("total_reads_processed", process.reads_total)
        .field("total_writes_processed", process.writes_total);
    for zero in [
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
        "reply_buffer_shrinks",
        "reply_buffer_expands",
    ] {
        info.field(zero, 0);
    }
}
