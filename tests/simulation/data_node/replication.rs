//! What replicas and masters of the model say to each other: full and partial syncs, the stream, and its
//! acknowledgements.

use super::*;

impl DataNode {
    pub fn on_repl(&mut self, now_us: u64, from: &Address, message: ReplMessage, out: &mut Vec<Output>) {
        match message {
            ReplMessage::Sync { link, replid, offset, epoch } => {
                self.on_sync(now_us, from, link, replid, offset, epoch, out)
            }
            ReplMessage::Ack { link, offset, epoch } => {
                if let Some(replica) = self.attached.get_mut(&link) {
                    replica.acked = replica.acked.max(offset);
                    replica.epoch = epoch;
                    replica.heard_us = now_us;
                }
                self.settle_writes(now_us, out);
            }
            ReplMessage::Closed { link } => {
                self.attached.remove(&link);
                if let Some(following) = &mut self.following
                    && following.link == link
                {
                    following.connected = false;
                    following.retry_us = now_us + RETRY_US;
                }
            }
            other => self.on_master(now_us, from, other, out),
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn on_sync(
        &mut self,
        now_us: u64,
        from: &Address,
        link: u64,
        replid: u64,
        offset: u64,
        epoch: Option<u64>,
        out: &mut Vec<Output>,
    ) {
        let reply = |message| Output::Repl { to: from.clone(), message };
        let serves = match self.role {
            Role::Master => true,
            // What only it has may be wanted, by one of the same epoch.
            Role::Awaiting => epoch == Some(self.epoch) && replid == self.replid && offset <= self.offset(),
            Role::Replica { .. } => self.following.as_ref().is_some_and(|following| following.connected),
        };
        if !serves {
            out.push(reply(ReplMessage::Refused { link }));
            return;
        }
        self.attached.retain(|_, replica| replica.address != *from);
        if !self.bundled && !self.backlog {
            self.replid = self.fresh_replid();
            self.replid2 = None;
            self.backlog = true;
        }
        let shown = self.bundled.then_some(self.epoch);
        let current = replid == self.replid && offset <= self.offset();
        let known = current
            || self
                .replid2
                .filter(|(id, _)| *id == replid)
                .is_some_and(|(_, up_to)| offset <= up_to || self.bugs.second_offset_ignored)
                && offset <= self.offset();
        if known {
            out.push(reply(ReplMessage::Continue { link, replid: self.replid, epoch: shown }));
            let entries = self.data[offset as usize..].to_vec();
            out.push(reply(ReplMessage::Stream { link, start: offset, entries }));
        } else if self.bundled
            && self.epoch > 0
            && epoch.is_some_and(|epoch| epoch > 0)
            && self.role != Role::Master
        {
            // Its master it is no more, and may have less than who asks.
            out.push(reply(ReplMessage::Refused { link }));
            return;
        } else {
            out.push(reply(ReplMessage::Full {
                link,
                replid: self.replid,
                data: self.data.clone(),
                epoch: shown,
            }));
        }
        // Not counted until it acknowledges at our epoch.
        self.attached.insert(
            link,
            Attached {
                address: from.clone(),
                acked: 0,
                epoch: epoch.unwrap_or(self.epoch),
                heard_us: now_us,
            },
        );
    }

    /// Bytes from whom we follow; stale links are ignored.
    pub(super) fn on_master(
        &mut self,
        now_us: u64,
        from: &Address,
        message: ReplMessage,
        out: &mut Vec<Output>,
    ) {
        let follows = matches!(&self.role, Role::Replica { master } if master == from);
        let link = match &message {
            ReplMessage::Continue { link, .. }
            | ReplMessage::Full { link, .. }
            | ReplMessage::Refused { link }
            | ReplMessage::Stream { link, .. } => *link,
            _ => return,
        };
        let (bundled, epoch, stock_master) = (self.bundled, self.epoch, self.stock_master);
        let takes_any = self.bugs.takes_any_resync;
        let Some(following) = self.following.as_mut().filter(|following| follows && following.link == link)
        else {
            return;
        };
        let may = |shown: Option<u64>| {
            !bundled || epoch == 0 || stock_master || takes_any || shown.is_some_and(|shown| shown >= epoch)
        };
        match message {
            ReplMessage::Refused { .. } => following.retry_us = now_us + RETRY_US,
            ReplMessage::Continue { replid, epoch, .. } => {
                if !may(epoch) {
                    let message = ReplMessage::Closed { link };
                    return out.push(Output::Repl { to: from.clone(), message });
                }
                following.connected = true;
                following.since_us = now_us;
                following.heard_us = now_us;
                if replid != self.replid {
                    self.replid2 = Some((self.replid, self.data.len() as u64));
                    self.replid = replid;
                }
                // As a stock server does that read where it stood from its file.
                self.backlog = true;
                self.synced = true;
            }
            ReplMessage::Full { replid, data, epoch, .. } => {
                // P4: no full resync from a master that cannot show our epoch.
                if !may(epoch) {
                    following.retry_us = now_us + RETRY_US * 10;
                    let message = ReplMessage::Closed { link };
                    return out.push(Output::Repl { to: from.clone(), message });
                }
                following.connected = true;
                following.since_us = now_us;
                following.heard_us = now_us;
                out.push(Output::Resynced { before: self.writes().collect(), after: data.clone() });
                self.data = data;
                if self.bugs.resync_is_short
                    && let Some(last) = Rc::make_mut(&mut self.data).last_mut()
                {
                    *last = 0;
                }
                self.backlog = true;
                self.replid = replid;
                self.replid2 = None;
                self.synced = true;
                self.attached.clear();
                self.acknowledge(now_us, from, link, out);
            }
            ReplMessage::Stream { start, entries, .. } => {
                if !following.connected {
                    return;
                }
                if start != self.data.len() as u64 && !self.bugs.gaps_unnoticed {
                    following.connected = false;
                    return;
                }
                following.heard_us = now_us;
                let offset = self.data.len() as u64;
                Rc::make_mut(&mut self.data).extend(&entries);
                for (link, replica) in &self.attached {
                    let message =
                        ReplMessage::Stream { link: *link, start: offset, entries: entries.clone() };
                    out.push(Output::Repl { to: replica.address.clone(), message });
                }
                self.acknowledge(now_us, from, link, out);
            }
            _ => {}
        }
    }

    pub(super) fn acknowledge(&mut self, now_us: u64, master: &Address, link: u64, out: &mut Vec<Output>) {
        self.stream_heard_us = Some(now_us);
        let offset = self.offset() + if self.bugs.acknowledges_too_much { 8 } else { 0 };
        let message = ReplMessage::Ack { link, offset, epoch: self.epoch };
        out.push(Output::Repl { to: master.clone(), message });
    }
}
