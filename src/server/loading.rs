//! The time between the start and the moment the data set stands: connections are heard, nearly all
//! requests are refused with LOADING, nothing happens by itself. The shell reads files elsewhere and
//! tells how far it is.

use super::Server;
use super::replication::Role;
use crate::model::info::InfoWriter;
use crate::stdx::time::{Duration, Instant, Now};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nothing of its own is due meanwhile; the loop looks around this often.
const LOOK: Duration = Duration::from_millis(100);

/// How far reading is: written by whoever reads, shown by INFO.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    done: AtomicU64,
}

impl Progress {
    /// So many bytes are to be read, as far as that is known.
    pub fn expect(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub struct Loading {
    progress: Arc<Progress>,
    began: Now,
}

impl Server {
    /// Before anybody is heard.
    pub fn loading_begins(&mut self, now: Now) -> Arc<Progress> {
        let progress = Arc::<Progress>::default();
        self.loading = true;
        self.loads = Some(Loading { progress: progress.clone(), began: now });
        // Whoever asks meanwhile must not take it for a master.
        if self.config.replicaof.is_some() && matches!(self.replication.role, Role::Master) {
            self.replication.role = Role::Awaiting;
            self.hub.role = "replica";
        }
        progress
    }

    /// The data set and the role stand: requests are served from now on.
    pub fn loading_ends(&mut self, now: Now) {
        self.loading = false;
        self.loads = None;
        self.next_cron = now.mono;
        self.blocking.stirred = true;
        // What CONFIG SET said meanwhile.
        self.log_switched(now);
        self.end_of_turn(now);
    }

    pub(in crate::server) fn tick_loading(&mut self, now: Now) {
        self.hub.end_pause(Some(now.mono));
        self.next_cron = now.mono + LOOK;
    }

    pub(in crate::server) fn next_wakeup_loading(&self) -> Option<Instant> {
        Some(self.next_cron)
    }

    pub(in crate::server) fn loading_info(&self, now: Now, out: &mut InfoWriter) {
        let Some(loading) = &self.loads else { return };
        let total = loading.progress.total.load(Ordering::Relaxed);
        let done = loading.progress.done.load(Ordering::Relaxed);
        let part = if total == 0 { 0.0 } else { (done as f64 / total as f64).min(1.0) };
        let since_s = now.mono.since(loading.began.mono).as_secs();
        let eta_s = if done == 0 { 1 } else { (since_s as f64 * (1.0 - part) / part.max(1e-9)) as u64 };
        out.field("loading_start_time", loading.began.wall.as_millis() / 1000)
            .field("loading_total_bytes", total)
            .field("loading_rdb_used_mem", 0)
            .field("loading_loaded_bytes", done)
            .field("loading_loaded_perc", format_args!("{:.2}", part * 100.0))
            .field("loading_eta_seconds", eta_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server::ServerConfig;
    use crate::server::{Action, Input};
    use crate::stdx::time::Wall;

    fn at(ms: u64) -> Now {
        Now { mono: Instant::from_millis(ms), wall: Wall(1_700_000_000_000 + ms) }
    }

    #[test]
    fn while_it_loads_nothing_begins_by_itself_and_the_end_comes_at_once() {
        let mut config = ServerConfig::default();
        config.aof.enabled = true;
        let mut server = Server::new(config, 7, at(1));
        let progress = server.loading_begins(at(1));
        progress.expect(200);
        progress.advance(50);
        server.stats.dirty = 1_000_000;
        let mut actions = Vec::new();
        for ms in (100..100_000).step_by(100) {
            server.handle(at(ms), Input::Tick, &mut actions);
        }
        assert!(actions.is_empty(), "{actions:?}");
        let mut info = InfoWriter::default();
        server.loading_info(at(100_000), &mut info);
        let info = info.finish();
        assert!(
            info.contains("loading_loaded_perc:25.00") && info.contains("loading_eta_seconds:297"),
            "{info}"
        );
        server.handle(at(100_000), Input::Terminate, &mut actions);
        assert!(actions.iter().any(|action| matches!(action, Action::Exit { code: 0 })), "{actions:?}");
    }
}
