//! What INFO says of the process itself.

use crate::config::sentinel::SentinelConfig;
use crate::daemon::logging;
use crate::sentinel::api::ProcessFacts;
use crate::stdx::time::{Instant, Now};

pub(super) struct Process {
    pub started: Instant,
    /// What is known of clients.
    pub facts: ProcessFacts,
}

impl Process {
    pub(super) fn whole(&self, now: Now, config: &SentinelConfig) -> ProcessFacts {
        let [user, system, children_user, children_system] = cpu_ms();
        let name = rustix::system::uname();
        let words = [name.sysname(), name.release(), name.machine()].map(|word| word.to_string_lossy());
        ProcessFacts {
            pid: std::process::id(),
            port: config.port,
            uptime_s: now.mono.since(self.started).as_secs(),
            cpu_user_ms: user,
            cpu_system_ms: system,
            cpu_children_user_ms: children_user,
            cpu_children_system_ms: children_system,
            time_us: now.wall.as_millis() * 1000,
            os: words.join(" "),
            executable: std::env::current_exe()
                .map_or_else(|_| String::new(), |path| path.display().to_string()),
            config_file: config.file.display().to_string(),
            supervised: std::env::var_os("NOTIFY_SOCKET").is_some(),
            log_level: logging::level_name(),
            ..self.facts.clone()
        }
    }
}

/// User and system time of this process and of its ended children: fields 14 to 17 of
/// `/proc/self/stat`, in ticks of 10 ms.
fn cpu_ms() -> [u64; 4] {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold spaces; fields are counted behind it.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = rest.split_whitespace().skip(11).map(|field| field.parse::<u64>().unwrap_or(0) * 10);
    std::array::from_fn(|_| fields.next().unwrap_or(0))
}
