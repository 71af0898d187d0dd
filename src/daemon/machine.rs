//! What the kernel tells of this process and its machine, and what is asked of it for the whole process.

use crate::config::server::ServerConfig;
use crate::net::listener;
use crate::server::admin::Place;
use slog::{Logger, crit, warn};
use std::path::PathBuf;

/// User and system time of this process.
pub(super) fn cpu_seconds() -> [f64; 2] {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold spaces; fields are counted behind it. The kernel's unit for
    // user space is always a hundredth of a second.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |index| fields.split_whitespace().nth(index).and_then(|text| text.parse::<f64>().ok());
    [11, 12].map(|index| field(index).unwrap_or(0.0) / 100.0)
}

/// Memory of the machine.
pub(super) fn machine_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// Memory of this process that is in RAM, as the kernel tells it; 0 when it does not.
pub(super) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Every client needs a descriptor; so do files and links.
pub(super) fn raise_descriptor_limit(config: &ServerConfig, logger: &Logger) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let handshakes = if config.tls_port == 0 { 0 } else { listener::handshakes_max(config.clients_max) };
    let wanted = (config.clients_max + handshakes) as u64 + 64;
    let limit = getrlimit(Resource::Nofile);
    let enough = |current: Option<u64>| current.is_none_or(|current| current >= wanted);
    if enough(limit.current) {
        return;
    }
    let reachable = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum: limit.maximum });
    if raised.is_err() || reachable < wanted {
        crit!(logger, "fewer descriptors than maxclients needs; raise the limit (ulimit -n) or lower maxclients";
            "wanted" => wanted, "have" => reachable);
    }
}

/// Memory comes in small pages from now on, as with Redis' `disable-thp`: the kernel clears a huge page when it
/// is first touched, and on a virtual machine that has never used that memory this takes ten milliseconds, in
/// the middle of somebody's command.
pub(super) fn forgo_huge_pages(logger: &Logger) {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        warn!(logger, "huge pages stay on, which makes some answers slow ({error})");
    }
}

/// What INFO tells of where this process runs.
pub fn place_of(config: &ServerConfig) -> Place {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let shown =
        |path: std::io::Result<PathBuf>| path.map_or(String::new(), |path| path.display().to_string());
    let is_supervised = config.stock.supervised != "no" && std::env::var_os("NOTIFY_SOCKET").is_some();
    Place {
        os: format!("Linux {} {}", kernel.trim(), std::env::consts::ARCH),
        executable: shown(std::env::current_exe()),
        config_file: config.file.as_ref().map_or(String::new(), |file| shown(std::path::absolute(file))),
        supervised: if is_supervised { "systemd" } else { "no" }.into(),
    }
}
