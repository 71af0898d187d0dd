//! Applying agreed decisions. Total: where a precondition does not hold, nothing changes. The words
//! and order of events are those of Redis Sentinel.

use super::group::ANCESTORS_MAX;
use super::scribe::{Scribe, detail};
use super::{
    Ancestor, EVENTS_MAX, Failover, GROUPS_MAX, Group, Ledger, Phase, Policy, REPLICAS_MAX, StandBy, SyncSet,
    Voter,
};
use crate::model::event::{Event, EventKind, Subject};
use crate::model::{Address, Epoch, ReplId, RunId};
use crate::sentinel::decision::{AbortKind, Decision, Entry, WebhookWish};
use crate::sentinel::settings::Settings;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

impl Ledger {
    /// Applies one agreed entry; the events it made, in order.
    pub fn apply(&mut self, index: u64, entry: &Entry) -> Vec<Event> {
        self.applied = index;
        let mut last_id = self.last_event_id;
        let leader = self.leader.and_then(|id| self.voters.get(&id)).map(|voter| voter.run_id.clone());
        let leader = leader.unwrap_or_default();
        let mut scribe = Scribe { at_ms: entry.at_ms, leader, last_id: &mut last_id, out: Vec::new() };
        for decision in &entry.decisions {
            self.decide(index, decision, &mut scribe);
        }
        let events = scribe.out;
        self.incidents.record(entry, &events, &self.events, &self.groups);
        self.last_event_id = last_id;
        self.events.extend(events.iter().cloned());
        while self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
        events
    }

    fn decide(&mut self, index: u64, decision: &Decision, scribe: &mut Scribe<'_>) {
        let epoch = self.epoch_at(index);
        match decision {
            Decision::Lead { node, uuid, run_id, cluster_id } => {
                if self.cluster_id.is_empty() {
                    self.cluster_id.clone_from(cluster_id);
                }
                self.leader = Some(*node);
                let address = self.voters.get(node).and_then(|voter| voter.address.clone());
                let voter = Voter { uuid: uuid.clone(), run_id: run_id.clone(), address };
                match self.voters.get_mut(node) {
                    Some(known) if known.uuid == voter.uuid => *known = voter,
                    // Bound to another data directory; its owner finds out by `status`.
                    Some(_) => {}
                    None => {
                        self.voters.insert(*node, voter);
                    }
                }
            }
            Decision::Member(decision) => self.decide_members(decision, scribe),
            Decision::Sentinel { node, uuid, run_id, address } => {
                // Gone meanwhile: it is not brought back by what was proposed before.
                let members = &self.membership.members;
                if !members.is_empty() && !members.contains_key(node) {
                    return;
                }
                if self.voters.get(node).is_some_and(|known| known.uuid != *uuid) {
                    return;
                }
                let voter =
                    Voter { uuid: uuid.clone(), run_id: run_id.clone(), address: Some(address.clone()) };
                let known = self.voters.insert(*node, voter);
                self.move_member(*node, address, run_id, scribe);
                if known.is_none_or(|known| known.address.is_none()) {
                    for group in self.groups.values() {
                        let subject =
                            Subject::Sentinel { run_id, address, group: &group.name, master: &group.master };
                        scribe.tell(EventKind::Sentinel, group, Some(address), subject.to_string());
                    }
                }
            }
            Decision::Monitor { group, address, settings, configured } => {
                if *configured {
                    self.configured.insert(group.clone());
                }
                let taken = self.group_of(address).is_some() || self.groups.contains_key(group);
                if !taken && self.groups.len() < GROUPS_MAX {
                    let made = Group::new(group, address, settings, epoch);
                    let extra = format!("quorum {}", settings.quorum);
                    scribe.master(EventKind::Monitor, &made, address, &extra);
                    for voter in self.voters.values() {
                        let Some(at) = &voter.address else { continue };
                        let (run_id, group) = (&voter.run_id, &made.name);
                        let subject = Subject::Sentinel { run_id, address: at, group, master: address };
                        scribe.tell(EventKind::Sentinel, &made, Some(at), subject.to_string());
                    }
                    self.groups.insert(group.clone(), made);
                }
            }
            // Its replicas stand still and follow nobody: half a failover is no state to leave them in.
            Decision::Remove { group } if self.groups.get(group).is_some_and(Group::failing_over) => {}
            Decision::Remove { group } => {
                if let Some(gone) = self.groups.remove(group) {
                    scribe.master(EventKind::MonitorEnd, &gone, &gone.master, "");
                }
            }
            Decision::EpochFloor { group, above } => {
                self.epoch_base = self.epoch_base.max(above.saturating_sub(index) + 1);
                let epoch = self.epoch_at(index);
                if let Some(group) = self.groups.get_mut(group)
                    && group.failover.is_none()
                    && epoch > group.last_epoch
                {
                    group.epoch = epoch;
                    group.last_epoch = epoch;
                    group.confirm = true;
                }
            }
            Decision::Own { node, options, address } => {
                self.set_own(*node, options, address.as_ref(), scribe)
            }
            Decision::Configure { options } => {
                for (name, value) in options {
                    // The leader refused what is none; another version's setting is passed over.
                    let _ = self.fleet.set(name, value);
                }
            }
            Decision::Errands { up_to, told } => {
                self.errands = self.errands.max(*up_to);
                for (kind, payload) in told {
                    let nowhere = Group::new("", &Address::new("-", 0), &Settings::with_quorum(1), 0);
                    scribe.tell(*kind, &nowhere, None, payload.clone());
                }
            }
            Decision::Policy(decision) => self.decide_policy(decision, scribe),
            Decision::Webhooks { cursors, dropped, dead, replayed, disabled } => {
                for (name, cursor) in cursors {
                    let known = self.webhooks.entry(name.clone()).or_default();
                    *known = (*known).max(*cursor);
                }
                self.care(dropped, dead, replayed);
                for (name, count) in dropped {
                    let event = scribe.fleet(EventKind::WebhookDropped, format!("{name} {count}"));
                    detail(event, "webhook", name);
                    detail(event, "events", count);
                }
                for (name, why) in disabled {
                    if self.disable_webhook(name, why) {
                        let event = scribe.fleet(EventKind::WebhookDisabled, name.clone());
                        detail(event, "reason", why);
                    }
                }
            }
            Decision::Webhook { name, wish } => match wish {
                WebhookWish::Test => drop(scribe.fleet(EventKind::WebhookTest, name.clone())),
                WebhookWish::Replay { from } => self.replay_webhook(name, *from),
                WebhookWish::Enable => {
                    if self.enable_webhook(name) {
                        scribe.fleet(EventKind::WebhookEnabled, name.clone());
                    }
                }
            },
            Decision::Drill(decision) => self.decide_drill(decision, scribe),
            Decision::AddReplica { group, address } => {
                if self.group_of(address).is_some() {
                    return;
                }
                if let Some(group) = self.groups.get_mut(group)
                    && group.replicas.len() < REPLICAS_MAX
                {
                    group.replicas.insert(address.clone());
                    scribe.replica(EventKind::Replica, group, address, "");
                }
            }
            Decision::Returned { group, epoch, instance, divergent_bytes, saved_as, .. } => {
                let news = self.incidents.awaits(group, *epoch, instance);
                if let Some(group) = self.groups.get(group).filter(|_| news) {
                    group.returned(instance, *divergent_bytes, saved_as.as_deref(), scribe);
                }
            }
            Decision::Evidence { .. } | Decision::Copies { .. } => {}
            Decision::Set { group, .. }
            | Decision::Reset { group, .. }
            | Decision::Gone { group, .. }
            | Decision::Forget { group, .. }
            | Decision::Identity { group, .. }
            | Decision::Flag { group, .. }
            | Decision::SyncSet { group, .. }
            | Decision::SyncSetSettled { group, .. }
            | Decision::Begin { group, .. }
            | Decision::StandBy { group, .. }
            | Decision::Manage { group, .. }
            | Decision::Unmanage { group, .. }
            | Decision::Schedule { group, .. }
            | Decision::Unschedule { group, .. }
            | Decision::Refused { group, .. }
            | Decision::Abort { group, .. }
            | Decision::Promote { group, .. }
            | Decision::Switch { group, .. }
            | Decision::Repoint { group, .. }
            | Decision::End { group, .. }
            | Decision::Reconfirm { group, .. } => {
                self.decide_group(group, epoch, decision, scribe);
            }
        }
    }
}

impl Group {
    pub(super) fn new(name: &str, master: &Address, settings: &Settings, epoch: Epoch) -> Self {
        Group {
            name: name.to_owned(),
            settings: settings.clone(),
            master: master.clone(),
            epoch,
            last_epoch: epoch,
            run_id: None,
            history: None,
            ancestors: VecDeque::new(),
            bundled: false,
            confirm: false,
            replicas: BTreeSet::new(),
            sets: vec![SyncSet { version: 1, quorum: 1, members: BTreeMap::new() }],
            failover: None,
            down: BTreeSet::new(),
            gone_since: BTreeMap::new(),
            odown: false,
            odd_roles: BTreeSet::new(),
            foreign: BTreeSet::new(),
            unreachable: false,
            lease_lost: false,
            refused: None,
            failovers: 0,
            last_switch_ms: None,
            scheduled: None,
            policy: Policy::default(),
            managed: BTreeMap::new(),
        }
    }

    /// The open failover, if it is this one and in this phase.
    fn open(&mut self, epoch: Epoch, phase: Phase) -> Option<&mut Failover> {
        self.failover.as_mut().filter(|f| f.epoch == epoch && f.phase == phase)
    }

    pub(super) fn decide(&mut self, epoch: Epoch, decision: &Decision, scribe: &mut Scribe<'_>) {
        match decision {
            Decision::Set { options, .. } => self.set(options, scribe),
            Decision::Reset { forget, .. } => {
                scribe.master(EventKind::ResetMaster, self, &self.master, "");
                for replica in forget {
                    if self.is_expendable(replica) {
                        self.forget(replica, scribe);
                    }
                }
            }
            Decision::Gone { replica, gone, .. } => self.mark_gone(replica, *gone, scribe.at_ms),
            Decision::Forget { replica, since_ms, .. } => self.forget_gone(replica, *since_ms, scribe),
            Decision::Identity { epoch, run_id, history, bundled, .. } => {
                // A published master may begin a new history while the rest is still being re-pointed.
                if self.failover.as_ref().is_none_or(Failover::switched) && self.epoch == *epoch {
                    self.run_id = Some(run_id.clone());
                    self.history = Some(history.clone());
                    self.bundled = *bundled;
                    self.confirm = false;
                }
            }
            Decision::Flag { instance, kind, text, .. } => self.flag(instance, *kind, text, scribe),
            Decision::SyncSet { epoch, version, quorum, members, .. } => {
                let next = self.sync_set().version + 1;
                if self.failover.as_ref().is_none_or(Failover::switched)
                    && self.epoch == *epoch
                    && *version == next
                {
                    let set = SyncSet { version: next, quorum: *quorum, members: members.clone() };
                    let names: Vec<String> = set.members.keys().map(Address::to_string).collect();
                    self.sets.push(set);
                    let extra = format!("#version {next} members {} quorum {quorum}", names.len());
                    let event = scribe.master(EventKind::SyncSet, self, &self.master, &extra);
                    detail(event, "members", names.join(","));
                    detail(event, "quorum", quorum);
                }
            }
            Decision::SyncSetSettled { version, .. } => {
                let newest = self.sync_set().version;
                self.sets.retain(|set| set.version >= (*version).min(newest));
            }
            Decision::Begin { after, cause, target, timeout_ms, .. } => {
                if self.failover.is_some() || self.last_epoch != *after || epoch <= self.last_epoch {
                    return;
                }
                self.last_epoch = epoch;
                self.policy.handover = None;
                self.failover = Some(Failover {
                    epoch,
                    cause: *cause,
                    target: target.clone(),
                    timeout_ms: *timeout_ms,
                    standby: None,
                    started_ms: scribe.at_ms,
                    phase: Phase::Begun,
                    old_master: self.master.clone(),
                    successor: None,
                    successor_run: None,
                    offset: 0,
                    equals: BTreeMap::new(),
                    stages: BTreeMap::new(),
                });
                scribe.tell(EventKind::NewEpoch, self, None, epoch.to_string());
                let event = scribe.master(EventKind::TryFailover, self, &self.master, "");
                detail(event, "cause", cause.name());
                let vote = format!("{} {epoch}", scribe.leader);
                scribe.tell(EventKind::VoteForLeader, self, None, vote);
                scribe.master(EventKind::ElectedLeader, self, &self.master, "");
                scribe.master(EventKind::SelectReplica, self, &self.master, "");
            }
            Decision::Manage { .. }
            | Decision::Unmanage { .. }
            | Decision::Schedule { .. }
            | Decision::Unschedule { .. } => self.plan(decision, scribe),
            Decision::StandBy { epoch, successor, run_id, .. } => {
                let known = self.replicas.contains(successor);
                if let Some(failover) =
                    self.open(*epoch, Phase::Begun).filter(|f| known && f.standby.is_none())
                {
                    failover.standby = Some(StandBy { address: successor.clone(), run_id: run_id.clone() });
                }
            }
            Decision::Refused { reason, .. } => {
                if self.failover.is_none() && self.refused.as_ref() != Some(reason) {
                    self.refused = Some(reason.clone());
                    let event = scribe.master(EventKind::AbortNoGoodReplica, self, &self.master, "");
                    detail(event, "reason", reason);
                }
            }
            Decision::Abort { epoch: of, kind, reason, untouched, .. } => {
                let reign = (!untouched).then_some(epoch);
                self.abort(epoch, reign, *of, *kind, reason, scribe);
            }
            Decision::Promote { epoch, successor, run_id, offset, equals, offsets, risk, .. } => {
                if !self.replicas.contains(successor) {
                    return;
                }
                let Some(failover) = self.open(*epoch, Phase::Begun) else { return };
                if failover.standby.as_ref().is_some_and(|standby| standby.address != *successor) {
                    return;
                }
                failover.phase = Phase::Promoted;
                failover.successor = Some(successor.clone());
                failover.successor_run = Some(run_id.clone());
                failover.offset = *offset;
                failover.equals.clone_from(equals);
                let offsets: Vec<String> = offsets.iter().map(|(a, o)| format!("{a}={o}")).collect();
                let event = scribe.replica(EventKind::SelectedReplica, self, successor, "");
                detail(event, "offsets", offsets.join(","));
                if let Some(risk) = risk {
                    let event = scribe.master(EventKind::DataLossRisk, self, &self.master, "");
                    detail(event, "data_loss_risk", "true");
                    detail(event, "reason", risk);
                    detail(event, "offsets", offsets.join(","));
                }
                scribe.replica(EventKind::SendReplicaOfNoOne, self, successor, "");
                scribe.replica(EventKind::WaitPromotion, self, successor, "");
            }
            Decision::Switch { epoch, run_id, history, bundled, .. } => {
                self.switch(*epoch, run_id, history, *bundled, scribe);
            }
            Decision::Repoint { epoch, stages, .. } => {
                for (replica, stage) in stages {
                    let known = self.replicas.contains(replica);
                    let Some(failover) = self.open(*epoch, Phase::Switched) else { return };
                    if !known || failover.stages.get(replica).is_some_and(|old| old >= stage) {
                        continue;
                    }
                    failover.stages.insert(replica.clone(), *stage);
                    let kind = match stage {
                        crate::sentinel::decision::Stage::Sent => EventKind::ReconfSent,
                        crate::sentinel::decision::Stage::InProgress => EventKind::ReconfInProgress,
                        crate::sentinel::decision::Stage::Done => EventKind::ReconfDone,
                    };
                    scribe.replica(kind, self, replica, "");
                }
            }
            Decision::End { epoch, timeout, .. } => {
                if self.open(*epoch, Phase::Switched).is_none() {
                    return;
                }
                let Some(done) = self.failover.take() else { return };
                if *timeout {
                    scribe.master(EventKind::FailoverEndTimeout, self, &done.old_master, "");
                }
                scribe.master(EventKind::FailoverEnd, self, &done.old_master, "");
            }
            Decision::Reconfirm { epoch: of, run_id, reason, .. } => {
                let ours = self.failover.as_ref().is_some_and(|f| f.epoch == *of && f.phase == Phase::Begun);
                if !ours || epoch <= self.last_epoch {
                    return;
                }
                self.failover = None;
                self.new_reign(epoch);
                self.run_id = Some(run_id.clone());
                // Replicas may have restarted too: each is admitted again once it caught up.
                self.restart_sets(BTreeMap::new());
                let event = scribe.master(EventKind::Reconfirmed, self, &self.master, "");
                detail(event, "reason", reason);
            }
            // Only the incident records read these.
            Decision::Evidence { .. } | Decision::Copies { .. } => {}
            // The ledger's own.
            Decision::Returned { .. }
            | Decision::Lead { .. }
            | Decision::Sentinel { .. }
            | Decision::Member(_)
            | Decision::Monitor { .. }
            | Decision::Remove { .. }
            | Decision::AddReplica { .. }
            | Decision::EpochFloor { .. }
            | Decision::Configure { .. }
            | Decision::Own { .. }
            | Decision::Errands { .. }
            | Decision::Policy(_)
            | Decision::Webhooks { .. }
            | Decision::Webhook { .. }
            | Decision::Drill(_) => {}
        }
    }

    /// The same master at a new epoch, which it has still to be told.
    fn new_reign(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.last_epoch = epoch;
        self.confirm = true;
        self.refused = None;
    }

    fn restart_sets(&mut self, members: BTreeMap<Address, RunId>) {
        let version = self.sync_set().version + 1;
        self.sets = vec![SyncSet { version, quorum: self.wanted_quorum(), members }];
    }

    fn set(&mut self, options: &[(String, String)], scribe: &mut Scribe<'_>) {
        for (name, value) in options {
            if self.settings.set(name, value).is_ok() {
                let told = crate::sentinel::settings::told(name, value);
                scribe.master(EventKind::Set, self, &self.master, &told);
            }
        }
    }

    fn flag(&mut self, instance: &Address, kind: EventKind, text: &str, scribe: &mut Scribe<'_>) {
        if !self.knows(instance) {
            return;
        }
        let changed = match kind {
            EventKind::SDown => self.down.insert(instance.clone()),
            EventKind::SDownEnd => self.down.remove(instance),
            EventKind::ODown => !std::mem::replace(&mut self.odown, true),
            EventKind::ODownEnd => {
                self.refused = None;
                std::mem::replace(&mut self.odown, false)
            }
            EventKind::RoleMismatch => self.odd_roles.insert(instance.clone()),
            EventKind::RoleChange => self.odd_roles.remove(instance),
            EventKind::ForeignData => self.foreign.insert(instance.clone()),
            EventKind::ForeignDataEnd => self.foreign.remove(instance),
            EventKind::Unreachable => !std::mem::replace(&mut self.unreachable, true),
            EventKind::UnreachableEnd => std::mem::replace(&mut self.unreachable, false),
            EventKind::LeaseLost => !std::mem::replace(&mut self.lease_lost, true),
            EventKind::LeaseBack => std::mem::replace(&mut self.lease_lost, false),
            _ => true,
        };
        if changed {
            if matches!(kind, EventKind::SDown | EventKind::SDownEnd) {
                self.mark_gone(instance, kind == EventKind::SDown, scribe.at_ms);
            }
            scribe.instance(kind, self, instance, text);
        }
    }

    /// An old master is back with what nobody else has.
    fn returned(&self, instance: &Address, bytes: Option<u64>, saved: Option<&str>, scribe: &mut Scribe<'_>) {
        let Some(bytes) = bytes.filter(|bytes| *bytes > 0 && self.knows(instance)) else { return };
        let kind = if saved.is_some() { EventKind::DivergentSaved } else { EventKind::DivergentWrites };
        let mut extra = format!("#bytes {bytes}");
        if let Some(file) = saved {
            extra.push_str(&format!(" file {file}"));
        }
        let event = scribe.instance(kind, self, instance, &extra);
        detail(event, "bytes", bytes);
        if let Some(file) = saved {
            detail(event, "file", file);
        }
    }

    /// `reign`: the master's next epoch, when somebody may have heard of the one that is given up.
    fn abort(
        &mut self,
        epoch: Epoch,
        reign: Option<Epoch>,
        of: Epoch,
        kind: AbortKind,
        reason: &str,
        scribe: &mut Scribe<'_>,
    ) {
        let Some(failover) = self.failover.as_ref().filter(|f| f.epoch == of) else { return };
        let promoted = failover.phase == Phase::Promoted;
        // Once a successor was named only its own failure ends the attempt, and clients were told
        // by the time of the switch.
        let allowed = match failover.phase {
            Phase::Begun => true,
            Phase::Promoted => kind == AbortKind::ReplicaTimeout,
            Phase::Switched => false,
        };
        if !allowed || epoch <= self.last_epoch {
            return;
        }
        let about = failover.successor.clone().filter(|_| promoted);
        let event = match &about {
            Some(successor) => scribe.replica(kind.event(), self, successor, ""),
            None => scribe.master(kind.event(), self, &self.master, ""),
        };
        detail(event, "reason", reason);
        self.failover = None;
        self.policy.handover = None;
        if let Some(reign) = reign {
            self.new_reign(reign);
        }
        let failed = !matches!(kind, AbortKind::MasterBack | AbortKind::RolledBack | AbortKind::CaughtUp);
        self.refused = failed.then(|| reason.to_owned());
    }

    fn switch(
        &mut self,
        epoch: Epoch,
        run_id: &RunId,
        history: &ReplId,
        bundled: bool,
        scribe: &mut Scribe<'_>,
    ) {
        let Some(failover) = self.open(epoch, Phase::Promoted) else { return };
        let Some(successor) = failover.successor.clone() else { return };
        failover.phase = Phase::Switched;
        let old = failover.old_master.clone();
        let up_to = failover.offset;
        let mut equals = std::mem::take(&mut failover.equals);
        let cause = failover.cause;
        scribe.replica(EventKind::PromotedReplica, self, &successor, "");
        scribe.master(EventKind::ReconfReplicas, self, &old, "");
        // Whoever keeps these problems open must hear that they end with the old master's reign.
        if std::mem::take(&mut self.odown) {
            scribe.master(EventKind::ODownEnd, self, &old, "");
        }
        if std::mem::take(&mut self.unreachable) {
            scribe.master(EventKind::UnreachableEnd, self, &old, "");
        }
        if std::mem::take(&mut self.lease_lost) {
            scribe.master(EventKind::LeaseBack, self, &old, "#switched");
        }
        self.replicas.remove(&successor);
        self.replicas.insert(old.clone());
        if let Some(history) = self.history.take() {
            self.ancestors.push_front(Ancestor { history, up_to });
            self.ancestors.truncate(ANCESTORS_MAX);
        }
        self.history = Some(history.clone());
        self.run_id = Some(run_id.clone());
        self.bundled = bundled;
        self.master = successor.clone();
        self.epoch = epoch;
        self.confirm = false;
        self.refused = None;
        self.down.remove(&successor);
        self.gone_since.remove(&successor);
        self.odd_roles.clear();
        self.failovers += 1;
        self.count_switch(scribe.at_ms);
        self.last_switch_ms = Some(scribe.at_ms);
        // What WAIT promised under the old master is all in the new one, and in those that held as
        // much; any other replica counts once it has caught up.
        equals.remove(&successor);
        self.restart_sets(equals);
        let payload =
            format!("{} {} {} {} {}", self.name, old.host, old.port, successor.host, successor.port);
        let event = scribe.tell(EventKind::SwitchMaster, self, Some(&successor), payload);
        detail(event, "from", &old);
        detail(event, "to", &successor);
        detail(event, "cause", cause.name());
        detail(event, "offset", up_to);
        for replica in &self.replicas {
            scribe.replica(EventKind::Replica, self, replica, "");
        }
    }
}
