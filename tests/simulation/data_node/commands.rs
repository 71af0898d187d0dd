//! What the modelled data node answers to sentinels: PING, INFO, REPLICAOF and, where it is bundled,
//! the supervisor commands. Changes the node's role; the stream itself is the parent's.

use super::{DataNode, Following, Output, Role};
use vedette::model::Address;
use vedette::model::info::InfoWriter;
use vedette::resp::Reply;

impl DataNode {
    pub fn command(&mut self, now_us: u64, argv: &[Vec<u8>], out: &mut Vec<Output>) -> Reply {
        let words: Vec<&str> = argv.iter().map(|word| std::str::from_utf8(word).unwrap_or("")).collect();
        match words.iter().map(|word| word.to_ascii_uppercase()).collect::<Vec<_>>().as_slice() {
            [name, ..] if name == "PING" && self.disk_full => {
                Reply::Error("MISCONF Errors writing to the AOF file: No space left on device".into())
            }
            [name, ..] if name == "PING" => Reply::Simple("PONG".into()),
            [name, ..] if name == "INFO" => Reply::Bulk(self.info(now_us).into_bytes()),
            [name, ..] if name == "PUBLISH" => Reply::Integer(0),
            [name, pause, ms, ..] if name == "CLIENT" && pause == "PAUSE" => {
                self.paused_until_us = now_us + ms.parse::<u64>().unwrap_or(0) * 1000;
                Reply::Simple("OK".into())
            }
            [name, unpause] if name == "CLIENT" && unpause == "UNPAUSE" => {
                self.unpause(now_us, out);
                Reply::Simple("OK".into())
            }
            [name, ..] if name == "CONFIG" || name == "CLIENT" => Reply::Simple("OK".into()),
            [name, ..] if name == "ROLE" => Reply::Array(vec![Reply::Bulk(self.role_name().into())]),
            [name, no, one] if (name == "REPLICAOF" || name == "SLAVEOF") && no == "NO" && one == "ONE" => {
                self.become_master(out);
                Reply::Simple("OK".into())
            }
            [name, _, _] if name == "REPLICAOF" || name == "SLAVEOF" => {
                let Ok(port) = words[2].parse() else {
                    return Reply::Error("ERR Invalid master port".into());
                };
                self.follow(now_us, Address::new(words[1], port), out);
                Reply::Simple("OK".into())
            }
            [name, ..] if name == "VEDETTE" && self.bundled => self.supervised(now_us, &words[1..], out),
            _ => Reply::Error("ERR unknown command".into()),
        }
    }

    fn role_name(&self) -> &'static str {
        if self.role == Role::Master { "master" } else { "slave" }
    }

    fn supervised(&mut self, now_us: u64, words: &[&str], out: &mut Vec<Output>) -> Reply {
        let (Some(verb), Some(group), Some(Ok(epoch))) =
            (words.first(), words.get(1), words.get(2).map(|w| w.parse::<u64>()))
        else {
            return Reply::Error("ERR syntax error".into());
        };
        if epoch < self.epoch && !self.bugs.obeys_the_past {
            return Reply::Error(format!("STALEEPOCH {}", self.epoch));
        }
        if !self.group.is_empty() && self.group != *group {
            return Reply::Error(format!("WRONGGROUP {}", self.group));
        }
        let verb = verb.to_ascii_uppercase();
        // An order is obeyed when it is kept.
        if self.disk_full && (epoch > self.epoch || verb == "PROMOTE") {
            return Reply::Error("MISCONF the epoch cannot be kept: No space left on device".into());
        }
        match verb.as_str() {
            "LEASE" => {
                if self.role != Role::Master {
                    return Reply::Error("NOTMASTER".into());
                }
                self.group = (*group).to_owned();
                self.epoch = epoch;
                let number = |index: usize| words.get(index).and_then(|w| w.parse::<u64>().ok()).unwrap_or(0);
                let (ttl_ms, echo_ms) = (number(3), number(4));
                self.ttl_us = ttl_ms * 1000;
                if echo_ms > 0 {
                    let from_us = if self.bugs.lease_from_receipt { now_us } else { echo_ms * 1000 };
                    self.lease_end_us = self.lease_end_us.max(from_us + ttl_ms * 1000);
                }
                self.quorum = number(5) as usize;
                if number(6) >= self.set_version {
                    self.set_version = number(6);
                    self.set = words
                        .get(7)
                        .map(|list| list.split(',').filter_map(|text| text.parse().ok()).collect())
                        .unwrap_or_default();
                }
                self.settle_writes(now_us, out);
                let vouched = i64::from(now_us < self.vouched_until())
                    + i64::from(now_us < self.replicas_vouch_until());
                Reply::Array(vec![
                    Reply::Integer((now_us / 1000) as i64),
                    Reply::Integer(self.epoch as i64),
                    Reply::Integer(vouched),
                    Reply::Integer(self.set_version as i64),
                ])
            }
            "FENCE" => {
                self.group = (*group).to_owned();
                if self.bugs.fence_is_talk {
                    self.epoch = epoch;
                } else if epoch > self.epoch || self.role != Role::Awaiting {
                    if self.role == Role::Master {
                        // Who is attached may still get what was sent already.
                        self.synced = true;
                        self.fenced_at = Some(epoch);
                    } else {
                        self.close_links(out);
                        self.fenced_at = None;
                    }
                    self.following = None;
                    self.fail_pending(out);
                    self.forget_set();
                    self.role = Role::Awaiting;
                    self.epoch = epoch;
                }
                let (id2, second) = self.replid2.map_or((0, 0), |(id, offset)| (id, offset + 1));
                let silence = self.stream_heard_us.map_or(-1, |heard| ((now_us - heard) / 1000) as i64);
                Reply::Array(vec![
                    Reply::Bulk(format!("{}", self.address).into()),
                    Reply::Bulk(replid_text(self.replid).into()),
                    Reply::Integer(self.offset() as i64),
                    Reply::Bulk(replid_text(id2).into()),
                    Reply::Integer(second as i64),
                    Reply::Integer(silence),
                    Reply::Integer(i64::from(self.synced)),
                ])
            }
            "PROMOTE" => {
                if self.role == Role::Master && self.epoch == epoch {
                    return Reply::Simple("OK".into());
                }
                self.group = (*group).to_owned();
                self.epoch = epoch;
                self.become_master(out);
                Reply::Simple("OK".into())
            }
            "FOLLOW" => {
                let Some(Ok(port)) = words.get(4).map(|word| word.parse()) else {
                    return Reply::Error("ERR syntax error".into());
                };
                let master = Address::new(words[3], port);
                self.group = (*group).to_owned();
                self.epoch = epoch;
                self.stock_master = words.get(5).is_some_and(|word| *word == "STOCK");
                if self.role != (Role::Replica { master: master.clone() }) {
                    self.follow(now_us, master, out);
                }
                Reply::Simple("OK".into())
            }
            _ => Reply::Error("ERR unknown subcommand".into()),
        }
    }

    fn become_master(&mut self, out: &mut Vec<Output>) {
        if self.role == Role::Master {
            return;
        }
        self.close_links(out);
        self.following = None;
        // Who holds nothing continues nothing.
        let continues = !self.bundled || self.synced;
        self.replid2 = continues.then_some((self.replid, self.offset()));
        if !self.bugs.history_kept {
            self.replid = self.fresh_replid();
        }
        self.role = Role::Master;
        self.fenced_at = None;
        self.paused_until_us = 0;
        self.synced = true;
        self.lease_end_us = 0;
        self.set.clear();
        self.set_version = 0;
        self.produced.clear();
        out.push(Output::BecameMaster { epoch: self.epoch });
    }

    /// Who is no master counts nobody.
    fn forget_set(&mut self) {
        self.lease_end_us = 0;
        self.set.clear();
        self.set_version = 0;
    }

    fn follow(&mut self, now_us: u64, master: Address, out: &mut Vec<Output>) {
        self.close_links(out);
        self.fail_pending(out);
        self.forget_set();
        self.fenced_at = None;
        self.role = Role::Replica { master };
        self.following =
            Some(Following { link: 0, connected: false, since_us: 0, heard_us: 0, retry_us: now_us });
    }

    pub fn run_id(&self) -> String {
        format!("{:0>40x}", self.run * 100_000 + u64::from(self.address.port))
    }

    fn info(&self, now_us: u64) -> String {
        let mut info = InfoWriter::default();
        info.section("Server").field("redis_version", "7.0.15").field("redis_mode", "standalone");
        info.field("run_id", self.run_id());
        info.field("tcp_port", self.address.port);
        info.section("Persistence").field("loading", 0);
        info.section("Replication").field("role", self.role_name());
        if self.role != Role::Master {
            let (host, port) = match &self.role {
                Role::Replica { master } => (master.host.clone(), master.port),
                _ => (String::new(), 0),
            };
            let up = self.following.as_ref().is_some_and(|following| following.connected);
            let silent_s = self.following.as_ref().map_or(-1, |following| {
                if following.connected { ((now_us - following.heard_us) / 1_000_000) as i64 } else { -1 }
            });
            info.field("master_host", host).field("master_port", port);
            info.field("master_link_status", if up { "up" } else { "down" });
            info.field("master_last_io_seconds_ago", silent_s).field("master_sync_in_progress", 0);
            info.field("slave_read_repl_offset", self.offset()).field("slave_repl_offset", self.offset());
            if !up {
                info.field("master_link_down_since_seconds", if self.synced { 1 } else { -1 });
            }
            info.field("slave_priority", 100).field("slave_read_only", 1).field("replica_announced", 1);
        }
        info.field("connected_slaves", self.attached.len());
        for (index, replica) in self.attached.values().enumerate() {
            info.field(
                &format!("slave{index}"),
                format!(
                    "ip={},port={},state=online,offset={},lag=0",
                    replica.address.host, replica.address.port, replica.acked
                ),
            );
        }
        info.field("master_failover_state", "no-failover").field("master_replid", replid_text(self.replid));
        let (id2, second) = self.replid2.map_or((0, -1), |(id, offset)| (id, offset as i64 + 1));
        info.field("master_replid2", replid_text(id2)).field("master_repl_offset", self.offset());
        info.field("second_repl_offset", second);
        if self.bundled {
            let role = match self.role {
                _ if self.epoch == 0 => "unsupervised",
                Role::Master => "master",
                Role::Replica { .. } => "replica",
                Role::Awaiting => "awaiting",
            };
            let until = self.vouched_until();
            let vouched = match until {
                u64::MAX => "unsupervised",
                until if self.role == Role::Master && now_us < until => "yes",
                _ => "no",
            };
            info.section("Vedette")
                .field("vedette_version", "0.1.0")
                .field("vedette_node", format!("node-{}", self.address));
            info.field("vedette_group", &self.group)
                .field("vedette_epoch", self.epoch)
                .field("vedette_role", role);
            info.field("vedette_vouched", vouched);
            info.field("vedette_lease_ms_left", self.lease_end_us.saturating_sub(now_us) / 1000);
            info.field("vedette_set_version", self.set_version);
            let silence = self.stream_heard_us.map_or(-1, |heard| ((now_us - heard) / 1000) as i64);
            info.field("vedette_link_silence_ms", silence).field("vedette_synced", u8::from(self.synced));
        }
        info.finish()
    }
}

/// Forty characters, as servers show replication ids; all zeros for none.
fn replid_text(id: u64) -> String {
    format!("{id:0>40x}")
}
