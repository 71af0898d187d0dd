//! What the kernel tells of this process and its machine.

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
