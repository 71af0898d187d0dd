//! What is told of replication: INFO's sections Replication and Vedette, and ROLE.

use super::follow::LinkPhase;
use super::{Replication, Role};
use crate::model::info::InfoWriter;
use crate::resp::Writer;
use crate::server::supervised::VouchedBy;
use crate::stdx::time::{Instant, Now};

impl Replication {
    /// Sections Replication and Vedette of INFO.
    pub fn info(&self, now: Now, out: &mut InfoWriter) {
        let priority = self.settings.priority;
        out.section("Replication");
        match &self.role {
            Role::Master => {
                out.field("role", "master");
            }
            Role::Replica(upstream) => {
                out.field("role", "slave");
                out.field("master_host", &upstream.master.host).field("master_port", upstream.master.port);
                self.link_info(now.mono, upstream.phase, upstream.last_io, upstream.down_since, out);
                replica_info(priority, out);
            }
            Role::Awaiting => {
                out.field("role", "slave").field("master_host", "?").field("master_port", 0);
                self.link_info(now.mono, LinkPhase::Down, None, None, out);
                replica_info(priority, out);
            }
        }
        self.replicas_info(now.mono, out);
        self.stream_info(out);
        self.vedette_info(now.mono, out);
    }

    fn link_info(
        &self,
        now: Instant,
        phase: LinkPhase,
        last_io: Option<Instant>,
        down_since: Option<Instant>,
        out: &mut InfoWriter,
    ) {
        let up = phase == LinkPhase::Up;
        out.field("master_link_status", if up { "up" } else { "down" });
        let seconds = last_io.filter(|_| up).map_or(-1, |at| now.since(at).as_secs() as i64);
        out.field("master_last_io_seconds_ago", seconds);
        out.field("master_sync_in_progress", i32::from(matches!(phase, LinkPhase::Sync { .. })));
        out.field("slave_read_repl_offset", self.stream.offset());
        out.field("slave_repl_offset", self.stream.offset());
        if let LinkPhase::Sync { received, total } = phase {
            let left = total.map_or(-1, |total| total.saturating_sub(received) as i64);
            out.field("master_sync_total_bytes", total.unwrap_or(0));
            out.field("master_sync_read_bytes", received);
            out.field("master_sync_left_bytes", left);
            out.field("master_sync_last_io_seconds_ago", last_io.map_or(0, |at| now.since(at).as_secs()));
        }
        if !up {
            // Before the first sync Redis 7 says -1: it was never up.
            let since = down_since.filter(|_| self.synced);
            out.field(
                "master_link_down_since_seconds",
                since.map_or(-1, |since| now.since(since).as_secs() as i64),
            );
        }
    }

    fn replicas_info(&self, now: Instant, out: &mut InfoWriter) {
        out.field("connected_slaves", self.replicas.attached().count());
        if self.settings.min_replicas > 0 && !self.settings.min_replicas_lag.is_zero() {
            let good = self.replicas.count_good(now, self.settings.min_replicas_lag);
            out.field("min_slaves_good_slaves", good);
        }
        for (index, replica) in self.replicas.attached().enumerate() {
            let lag = if replica.is_online() { now.since(replica.heard_at).as_secs() } else { 0 };
            let (host, port) = (&replica.address.host, replica.address.port);
            let (state, acked) = (replica.phase.name(), replica.acked);
            out.field(
                &format!("slave{index}"),
                format!("ip={host},port={port},state={state},offset={acked},lag={lag}"),
            );
        }
    }

    fn stream_info(&self, out: &mut InfoWriter) {
        out.field("master_failover_state", self.failover.state());
        out.field("master_replid", self.stream.replid());
        match self.stream.replid2() {
            Some((replid, upto)) => {
                out.field("master_replid2", replid);
                out.field("master_repl_offset", self.stream.offset());
                // The first byte that is not theirs, counted from 1.
                out.field("second_repl_offset", upto + 1);
            }
            None => {
                out.field("master_replid2", "0".repeat(40));
                out.field("master_repl_offset", self.stream.offset());
                out.field("second_repl_offset", -1);
            }
        }
        let backlog = self.stream.backlog();
        out.field("repl_backlog_active", i32::from(backlog.is_some()));
        out.field("repl_backlog_size", self.stream.backlog_bytes());
        out.field("repl_backlog_first_byte_offset", backlog.map_or(0, |backlog| backlog.first_byte_offset()));
        out.field("repl_backlog_histlen", backlog.map_or(0, |backlog| backlog.len()));
    }

    fn vedette_info(&self, now: Instant, out: &mut InfoWriter) {
        let supervision = &self.supervision;
        let supervised = supervision.is_supervised();
        let vouched_by = match supervised && matches!(self.role, Role::Master) {
            true => supervision.vouched_by(now, &self.fresh_members()),
            false => VouchedBy::Nobody,
        };
        out.section("Vedette");
        out.field("vedette_version", env!("CARGO_PKG_VERSION"));
        out.field("vedette_node", &supervision.node);
        out.field("vedette_group", &supervision.group);
        out.field("vedette_epoch", supervision.epoch);
        out.field(
            "vedette_role",
            match (&self.role, supervised) {
                (_, false) => "unsupervised",
                (Role::Master, _) => "master",
                (Role::Replica(_), _) => "replica",
                (Role::Awaiting, _) => "awaiting",
            },
        );
        out.field(
            "vedette_vouched",
            match (supervised, vouched_by) {
                (false, _) => "unsupervised",
                (_, VouchedBy::Nobody) => "no",
                _ => "yes",
            },
        );
        out.field(
            "vedette_vouched_by",
            match vouched_by {
                VouchedBy::Lease => "lease",
                VouchedBy::Replicas => "replicas",
                VouchedBy::Nobody => "none",
            },
        );
        out.field("vedette_lease_ms_left", supervision.lease_until.since(now).as_millis());
        out.field("vedette_set_version", supervision.set_version);
        out.field("vedette_link_silence_ms", self.silence_ms(now));
        out.field("vedette_synced", i32::from(self.synced));
        if let Some(diverged) = &self.diverged {
            out.field("vedette_diverged", diverged);
        }
    }

    /// Since the last byte of a master; -1: there never was one.
    pub fn silence_ms(&self, now: Instant) -> i64 {
        self.master_heard_at.map_or(-1, |at| now.since(at).as_millis() as i64)
    }

    pub fn write_role(&self, out: &mut Writer<'_>) {
        let offset = self.stream.offset() as i64;
        match &self.role {
            Role::Master => {
                let online: Vec<_> = self.replicas.online().collect();
                out.array(3);
                out.bulk(b"master");
                out.integer(offset);
                out.array(online.len());
                for replica in online {
                    out.array(3);
                    out.bulk(replica.address.host.as_bytes());
                    out.bulk_integer(i64::from(replica.address.port));
                    out.bulk_integer(replica.acked as i64);
                }
            }
            Role::Replica(upstream) => {
                let state = match upstream.phase {
                    LinkPhase::Down => "connect",
                    LinkPhase::Connecting => "connecting",
                    LinkPhase::Handshake => "handshake",
                    LinkPhase::Sync { .. } => "sync",
                    LinkPhase::Up => "connected",
                };
                role_of_replica(&upstream.master.host, upstream.master.port, state, offset, out);
            }
            Role::Awaiting => role_of_replica("?", 0, "none", offset, out),
        }
    }
}

fn role_of_replica(host: &str, port: u16, state: &str, offset: i64, out: &mut Writer<'_>) {
    out.array(5);
    out.bulk(b"slave");
    out.bulk(host.as_bytes());
    out.integer(i64::from(port));
    out.bulk(state.as_bytes());
    out.integer(offset);
}

fn replica_info(priority: u32, out: &mut InfoWriter) {
    out.field("slave_priority", priority).field("slave_read_only", 1).field("replica_announced", 1);
}
