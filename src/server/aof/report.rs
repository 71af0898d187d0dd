//! The lines of INFO about the log, with Redis' names.

use super::{State, seconds};
use crate::model::info::InfoWriter;
use crate::server::Server;
use crate::stdx::time::Now;

impl Server {
    pub(in crate::server) fn log_info(&self, now: Now, out: &mut InfoWriter) {
        let aof = &self.aof;
        let rewrite = &aof.rewrite;
        let status = |failing: bool| if failing { "err" } else { "ok" };
        out.field("aof_enabled", u8::from(aof.state != State::Off))
            .field("aof_rewrite_in_progress", u8::from(rewrite.is_running()))
            .field("aof_rewrite_scheduled", u8::from(rewrite.scheduled))
            .field("aof_last_rewrite_time_sec", seconds(rewrite.last_took))
            .field("aof_current_rewrite_time_sec", seconds(rewrite.running_for(now.mono)))
            .field("aof_last_bgrewrite_status", status(rewrite.failing))
            .field("aof_rewrites", rewrite.count)
            .field("aof_rewrites_consecutive_failures", rewrite.failures)
            .field("aof_last_write_status", status(aof.trouble.is_some()));
        if aof.state != State::Off {
            let pending = aof.position() > self.gate.durable();
            out.field("aof_current_size", aof.queue.files_bytes())
                .field("aof_base_size", rewrite.base_bytes)
                .field("aof_pending_rewrite", u8::from(aof.state == State::Waiting))
                .field("aof_buffer_length", aof.queue.waiting_bytes())
                .field("aof_pending_bio_fsync", u8::from(pending));
        }
    }
}
