//! Looking after one group: what every sentinel judges for itself, and, in order, what a leader in
//! touch with the majority does about it. Everything here is derived from the ledger and the
//! registry anew each time, so nothing is lost when a look is skipped.

use super::Action;
use super::bugs::Bugs;
use super::decision::{Cause, Decision};
use super::facts::Role;
use super::failover::Conduct;
use super::fruitless::{self, Inputs};
use super::guard::{FleetView, Hold};
use super::lease::LeaseBook;
use super::ledger::{Group, Rule};
use super::loss::Trail;
use super::maintenance::Countdown;
use super::min_replicas::MinReplicasBook;
use super::node::{Peer, Sentinel, Timer};
use super::objective::{self, Verdict};
use super::probe;
use super::prospect::prospect;
use super::rebooting::waited_for;
use super::registry::{Instance, Registry};
use super::request::Request;
use super::situation::Situation;
use super::subjective;
use super::sync_set::Settling;
use super::testimony::Homecoming;
use crate::config::hooks::{HookConfig, HookKind};
use crate::model::event::EventKind;
use crate::model::{Address, Epoch, NodeId, Offset};
use crate::resp::Reply;
use crate::stdx::time::{Duration, Instant, Now};
use std::collections::{BTreeMap, BTreeSet};

/// How often a group is looked at when nothing happens; whatever happens wakes it, and so does the
/// moment from which on a silence means something.
const CALM: Duration = Duration::from_millis(500);
const UNEASY: Duration = Duration::from_millis(100);
const WATCHFUL: Duration = Duration::from_millis(20);
/// A proposal without an answer for this long is made again; applying one twice changes nothing.
const PROPOSAL_LIMIT: Duration = Duration::from_secs(2);
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Not vouched for as long as this is worth an event.
const LEASE_LOST_AFTER: Duration = Duration::from_secs(1);

/// What this sentinel keeps in memory about one group.
#[derive(Debug)]
pub(super) struct Supervision {
    /// Something is wrong or under way: look often.
    pub urgent: bool,
    /// Worth telling the leader about.
    pub uneasy: bool,
    pub situation: Situation,
    in_flight: Option<(u64, Instant)>,
    pub lease: LeaseBook,
    pub conduct: Option<Conduct>,
    /// The last corrective command to each instance.
    pub acts: BTreeMap<Address, Instant>,
    pub settling: Settling,
    pub min_replicas: MinReplicasBook,
    /// Members of the sync set that are not as they should be, since when.
    pub bad_since: BTreeMap<Address, Instant>,
    /// An older moment of the master's offset.
    pub master_sample: Option<(Instant, Offset)>,
    /// Since when the master is suspect without a break.
    pub suspected_since: Option<Instant>,
    /// Old masters that were seen back, until the log knows it.
    pub returned: BTreeMap<Address, Homecoming>,
    /// Instances that were told to follow the master and do not yet.
    pub corrected: BTreeSet<Address>,
    /// When a long script was last told to end.
    pub script_killed_at: Option<Instant>,
    wrong_role_since: Option<Instant>,
    unvouched_since: Option<Instant>,
    unreachable_since: Option<Instant>,
    retry_at: Instant,
    attempts: u32,
    /// What the last attempt began with.
    pub(super) tried: Option<Inputs>,
    /// It found nobody, and everyone had answered.
    pub fruitless: bool,
    /// The failover that stood open when this office began: what a predecessor did in it is not known.
    pub inherited: Option<Epoch>,
    pub countdown: Countdown,
    /// Since when the preferred replica is waited for.
    pub handover_since: Option<Instant>,
    /// The master's offsets as they went by.
    pub trail: Trail,
}

impl Supervision {
    pub fn new(now: Instant) -> Self {
        Supervision {
            urgent: false,
            uneasy: false,
            situation: Situation::Unknown,
            in_flight: None,
            lease: LeaseBook::new(now),
            conduct: None,
            acts: BTreeMap::new(),
            settling: Settling::default(),
            min_replicas: MinReplicasBook::default(),
            bad_since: BTreeMap::new(),
            master_sample: None,
            suspected_since: None,
            returned: BTreeMap::new(),
            corrected: BTreeSet::new(),
            script_killed_at: None,
            wrong_role_since: None,
            unvouched_since: None,
            unreachable_since: None,
            retry_at: now,
            attempts: 0,
            tried: None,
            fruitless: false,
            inherited: None,
            countdown: Countdown::default(),
            handover_since: None,
            trail: Trail::default(),
        }
    }

    pub fn applied(&mut self, index: u64) {
        if self.in_flight.is_some_and(|(ours, _)| ours <= index) {
            self.in_flight = None;
        }
    }

    /// What a leader knew does not outlive its office.
    pub fn new_term(&mut self, now: Instant, lease: Duration) {
        self.in_flight = None;
        self.conduct = None;
        self.settling = Settling::default();
        self.min_replicas = MinReplicasBook::default();
        self.bad_since.clear();
        self.acts.clear();
        self.corrected.clear();
        self.retry_at = now;
        self.attempts = 0;
        self.tried = None;
        self.fruitless = false;
        self.inherited = None;
        self.unvouched_since = None;
        self.lease.new_term(now, lease);
    }

    /// The next attempt waits, longer each time.
    pub fn put_off(&mut self, now: Instant) {
        let pause = RETRY_MIN * 2u32.saturating_pow(self.attempts.min(4));
        self.attempts += 1;
        self.retry_at = now + pause.min(RETRY_MAX);
    }

    pub fn conduct_age(&self, now: Instant) -> Duration {
        self.conduct.as_ref().map_or(Duration::ZERO, |conduct| now.since(conduct.since))
    }
}

/// What a leader in touch with the majority may rest on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Office {
    pub confirmed_at: Instant,
    pub lease: Duration,
}

/// One look at one group.
pub(super) struct Work<'a> {
    pub now: Instant,
    /// As entries are stamped; for what people set by the clock.
    pub wall_ms: u64,
    pub fleet: FleetView,
    /// Something was due and is held back.
    pub hold: Option<Hold>,
    /// Nothing holds what was due.
    pub unheld: bool,
    /// The whole fleet is to be held.
    pub hold_fleet: bool,
    pub group: &'a Group,
    pub registry: &'a mut Registry,
    pub own: &'a mut Supervision,
    pub peers: &'a BTreeMap<NodeId, Peer>,
    pub office: Option<Office>,
    pub bugs: Bugs,
    /// The one to be asked before a promotion.
    pub hook: Option<HookConfig>,
    pub decisions: Vec<Decision>,
    /// When to look again at the latest.
    pub next: Instant,
    next_request: &'a mut u64,
    pub actions: &'a mut Vec<Action>,
    hurry: bool,
}

impl Sentinel {
    /// The answer to a command that moves an instance; whether it is worth a look at once.
    pub(super) fn command_answered(
        &mut self,
        now: Instant,
        group: &str,
        address: &Address,
        request: &Request,
        reply: &Reply,
    ) -> bool {
        let Some(own) = self.groups.get_mut(group) else { return false };
        let facts = self.registry.get(address).and_then(Instance::current);
        let generation = self.registry.get(address).map_or(0, |instance| instance.generation);
        match request {
            Request::Lease { .. } if self.bugs.any_stamp_counts => {
                own.lease.believe(now, address, generation, reply);
            }
            Request::Lease { .. } => return own.lease.answered(now, address, generation, reply),
            Request::Fence { .. } => {
                let master = self.ledger.group(group).map(|group| &group.master);
                if let (Some(conduct), Some(facts), Some(master)) = (&mut own.conduct, facts, master) {
                    conduct.fenced(now, address, master, facts, reply);
                }
            }
            Request::PauseWrites { .. } => {
                if let Some(conduct) = &mut own.conduct {
                    conduct.planned.paused(now, reply);
                }
            }
            Request::ReadMinReplicas | Request::SetMinReplicas { .. } | Request::SetMinReplicasLag { .. } => {
                own.min_replicas.answered(address, generation, reply);
            }
            // Believed when INFO shows it.
            _ => {}
        }
        true
    }

    pub(super) fn look_after(&mut self, now: Now, name: &str, actions: &mut Vec<Action>) {
        let may_act = self.in_office()
            && (self.bugs.acts_unconfirmed || self.beat.leads(now.mono, self.leader_limit()));
        let confirmed_at = if self.bugs.acts_unconfirmed { Some(now.mono) } else { self.beat.confirmed_at() };
        let office = confirmed_at.filter(|_| may_act).map(|confirmed_at| Office {
            confirmed_at,
            lease: Duration::from_millis(self.config.lease_milliseconds),
        });
        let failing_over = self.ledger.groups.get(name).is_some_and(Group::failing_over);
        let hook = self.hook_of(name, HookKind::PreFailover).filter(|_| failing_over).cloned();
        let Some(mut own) = self.groups.remove(name) else { return };
        let Some(group) = self.ledger.groups.get(name) else { return };
        let was_urgent = own.urgent;
        let mut work = Work {
            now: now.mono,
            wall_ms: now.wall.as_millis(),
            fleet: self.guard.view(now.mono, &self.ledger, self.blast_radius_percent()),
            hold: None,
            unheld: false,
            hold_fleet: false,
            group,
            registry: &mut self.registry,
            own: &mut own,
            peers: &self.peers,
            office,
            bugs: self.bugs,
            hook,
            decisions: Vec::new(),
            next: (now.mono + CALM).down_to(CALM),
            next_request: &mut self.next_request,
            actions,
            hurry: false,
        };
        let verdict = work.watch();
        if office.is_some() {
            work.lead(verdict);
        }
        let decisions = std::mem::take(&mut work.decisions);
        let hold_fleet = work.hold_fleet.then(|| work.fleet.blast.take()).flatten();
        let hurry = work.hurry || (work.own.urgent && !was_urgent);
        let mut next = work.next;
        let seen = work.registry.get(&group.master).is_some_and(|master| master.ever_valid);
        self.guard.note(now.mono, group, verdict, seen);
        let master = &group.master;
        if self.registry.get(master).is_some_and(|master| master.up() && master.next_ping <= now.mono) {
            self.schedule.sooner(&Timer::Instance(master.clone()), now.mono);
        }
        if hurry {
            for address in group.instances() {
                if let Some(instance) = self.registry.get_mut(address) {
                    instance.next_info = now.mono;
                    self.schedule.sooner(&Timer::Instance(address.clone()), now.mono);
                }
            }
        }
        if own.urgent {
            next = next.min(now.mono + WATCHFUL);
        } else if own.uneasy {
            next = next.min(now.mono + UNEASY);
        }
        if own.in_flight.is_some_and(|(_, at)| now.mono.since(at) > PROPOSAL_LIMIT) {
            own.in_flight = None;
        }
        let free = own.in_flight.is_none();
        self.groups.insert(name.to_owned(), own);
        let mut decisions = decisions;
        self.welcome_back(now, name, &mut decisions);
        let timer = Timer::Group(name.to_owned());
        self.schedule.set(&timer, next.max(now.mono + Duration::from_millis(1)));
        self.keep_fleet_guard(now, hold_fleet, actions);
        if free
            && !decisions.is_empty()
            && let Ok(index) = self.propose(now, decisions, actions)
        {
            // A fleet of one has applied it by now.
            let open = index > self.ledger.applied;
            if let Some(own) = self.groups.get_mut(name).filter(|_| open) {
                own.in_flight = Some((index, now.mono));
            }
        }
    }
}

impl Work<'_> {
    pub(super) fn send(&mut self, address: &Address, request: Request) -> bool {
        self.registry.get_mut(address).is_some_and(|instance| {
            let renames = &self.group.settings.renames;
            probe::send(instance, address, self.now, request, renames, self.next_request, self.actions)
        })
    }

    pub(super) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// INFO at once, behind whatever was sent.
    pub(super) fn ask(&mut self, address: &Address) {
        self.send(address, Request::Info);
    }

    pub(super) fn flag(&mut self, instance: &Address, kind: EventKind, text: impl Into<String>) {
        self.decisions.push(Decision::Flag {
            group: self.group.name.clone(),
            instance: instance.clone(),
            kind,
            text: text.into(),
        });
    }

    pub(super) fn master(&self) -> Option<&Instance> {
        self.registry.get(&self.group.master)
    }

    /// Judges, for this sentinel and for the report to the leader.
    fn watch(&mut self) -> Verdict {
        let verdict = match objective::judge(self.group, self.registry, self.peers, self.now) {
            Verdict::Unreachable if self.bugs.witnesses_ignored => {
                Verdict::Down { votes: self.group.settings.quorum }
            }
            Verdict::Suspect if self.bugs.one_vote_is_enough => Verdict::Down { votes: 1 },
            verdict => verdict,
        };
        let suspect = |i: &Instance| subjective::suspect(i, self.group, self.now);
        let master_suspect = self.master().is_some_and(suspect);
        let cared_for = |a: &&Address| !self.in_maintenance(a);
        let watched = || self.group.instances().filter(cared_for).filter_map(|a| self.registry.get(a));
        let any_suspect = watched().any(suspect);
        let limit = subjective::suspicion(self.group);
        let silences = watched().map(|instance| instance.silence(self.now));
        let longest = silences.filter(|silence| *silence <= limit).max();
        if let Some(longest) = longest {
            self.next = self.next.min(self.now + (limit - longest) + Duration::from_millis(1));
        }
        let members = &self.group.sync_set().members;
        let unsettled = self.group.sets.len() > 1
            || self.group.replicas.iter().any(|a| {
                let live = self.registry.get(a).is_some_and(|i| i.up() && !suspect(i));
                live && !members.contains_key(a)
            });
        let restarted = self.restarted();
        self.own.suspected_since = master_suspect.then(|| self.own.suspected_since.unwrap_or(self.now));
        self.own.countdown.note(self.now, self.wall_ms, self.group);
        self.own.uneasy = any_suspect || restarted;
        self.own.urgent =
            master_suspect || restarted || unsettled || self.group.confirm || self.group.failover.is_some();
        self.own.situation = self.situation(verdict, restarted);
        self.note_trail();
        self.note_own_data();
        let sample = self.master().and_then(Instance::current).map(|f| (f.asked_at, f.offset));
        if let Some((at, offset)) = sample {
            let old =
                self.own.master_sample.is_none_or(|(then, _)| at.since(then) > Duration::from_millis(500));
            if old {
                self.own.master_sample = Some((at, offset));
            }
        }
        verdict
    }

    fn note_trail(&mut self) {
        let Some(facts) = self.registry.get(&self.group.master).and_then(Instance::current) else { return };
        if let Some(history) = facts.history.as_ref().filter(|h| self.group.history.as_ref() == Some(*h))
            && facts.is_master()
        {
            self.own.trail.note(history, facts.asked_at, facts.offset);
        }
    }

    /// Another process than the agreed one answers at the master's address, or one without a role.
    fn restarted(&self) -> bool {
        let Some(facts) = self.master().and_then(Instance::current) else { return false };
        let other = self.group.run_id.is_some() && facts.run_id != self.group.run_id;
        other || (facts.awaiting() && !self.group.confirm)
    }

    /// The order matters: facts first, then the open failover or the need for one, then upkeep.
    fn lead(&mut self, verdict: Verdict) {
        if self.raise_epochs() {
            return;
        }
        self.tell_health(verdict);
        self.end_long_script();
        self.tell_changes();
        self.tell_foreign();
        self.end_maintenance();
        match self.group.failover.clone() {
            Some(failover) => self.conduct(&failover),
            None => self.own.conduct = None,
        }
        // A published master is looked after like any other while the rest is still being re-pointed.
        if !self.group.failing_over() {
            self.confirm_master();
            self.identify();
            self.consider_failover(verdict);
            self.keep_schedule(verdict);
        }
        self.grant_lease();
        if !self.group.failing_over() {
            self.discover();
            self.keep_sync_set();
            self.manage_min_replicas();
            self.reconcile();
            self.keep_preference(verdict);
            self.forget_the_gone();
        }
        self.settle_hold(verdict);
    }

    fn tell_health(&mut self, verdict: Verdict) {
        for address in self.group.instances().cloned().collect::<Vec<_>>() {
            let Some(instance) = self.registry.get(&address) else { continue };
            let crashed = address == self.group.master && matches!(verdict, Verdict::Crashed { .. });
            let down = crashed || subjective::down(instance, self.group, self.now);
            let agreed = self.group.down.contains(&address);
            if down != agreed {
                // A crash that is not proven any more is no answer yet.
                if agreed && subjective::suspect(instance, self.group, self.now) {
                    continue;
                }
                // Nor is it one that this process has only begun to look, or has slept.
                if agreed && !(instance.up() && instance.ever_valid) {
                    continue;
                }
                if down && self.in_maintenance(&address) {
                    continue;
                }
                let kind = if down { EventKind::SDown } else { EventKind::SDownEnd };
                self.flag(&address, kind, "");
            }
        }
        let master = self.group.master.clone();
        let well = verdict == Verdict::Well;
        match verdict {
            Verdict::Down { votes } | Verdict::Crashed { votes } if !self.group.odown => {
                let quorum = self.group.settings.quorum;
                self.flag(&master, EventKind::ODown, format!("#quorum {votes}/{quorum}"));
            }
            _ if well && self.group.odown => self.flag(&master, EventKind::ODownEnd, ""),
            _ => {}
        }
        // A master that just died is out of reach for the moment its replicas' last byte is young.
        if verdict == Verdict::Unreachable {
            let since = *self.own.unreachable_since.get_or_insert(self.now);
            let settled = self.now.since(since) > self.group.settings.down_after() / 2;
            if settled && !self.group.unreachable {
                self.flag(&master, EventKind::Unreachable, "");
            }
        } else {
            self.own.unreachable_since = None;
            if well && self.group.unreachable {
                self.flag(&master, EventKind::UnreachableEnd, "");
            }
        }
        self.tell_lease(&master);
    }

    fn tell_lease(&mut self, master: &Address) {
        if !self.group.bundled || self.group.failover.is_some() {
            self.own.unvouched_since = None;
            return;
        }
        let fresh = self.own.lease.vouched_at.is_some_and(|at| self.now.since(at) < LEASE_LOST_AFTER / 2);
        if fresh {
            self.own.unvouched_since = None;
            if self.group.lease_lost {
                self.flag(master, EventKind::LeaseBack, "");
            }
        } else {
            let since = *self.own.unvouched_since.get_or_insert(self.now);
            if self.now.since(since) > LEASE_LOST_AFTER && !self.group.lease_lost {
                self.flag(master, EventKind::LeaseLost, "");
            }
        }
    }

    fn consider_failover(&mut self, verdict: Verdict) {
        let wrong_role = self.master().and_then(Instance::current).is_some_and(|facts| {
            facts.role == Role::Replica && !facts.awaiting() && facts.run_id == self.group.run_id
        });
        if wrong_role {
            self.own.wrong_role_since.get_or_insert(self.now);
        } else {
            self.own.wrong_role_since = None;
        }
        let wrong_for = self.own.wrong_role_since.map(|at| self.now.since(at));
        let restarted = self.restarted();
        let cause = match verdict {
            Verdict::Down { .. } => Cause::Silent,
            Verdict::Crashed { .. } => Cause::Crashed,
            _ if restarted && self.master().is_some_and(|m| waited_for(m, self.group, self.now)) => return,
            _ if restarted => Cause::Restarted,
            _ if wrong_for.is_some_and(|long| long > self.group.settings.down_after()) => Cause::WrongRole,
            Verdict::Well => {
                self.own.attempts = 0;
                self.own.tried = None;
                self.own.retry_at = self.now;
                return;
            }
            _ => return,
        };
        if self.held_back("the master is lost and a failover is due") || self.now < self.own.retry_at {
            return;
        }
        // Whoever could be frozen now: is an attempt worth disturbing the replicas?
        let prospect = prospect(self.group, self.registry, &self.own.trail, self.now);
        let inputs = fruitless::inputs(cause, self.group, self.registry, &prospect);
        if self.own.fruitless && self.own.tried.as_ref() == Some(&inputs) {
            return;
        }
        let (reachable, rule, too_much) = (prospect.reachable, prospect.rule, prospect.too_much);
        let hopeful = rule == Rule::Met || (!self.group.settings.safe() && !reachable.is_empty());
        // A restarted master may turn out to be the best there is; that too is decided in a failover.
        let hopeful = hopeful && too_much.is_none();
        let all_here = reachable.len() == self.group.replicas.len();
        if !hopeful && !(cause == Cause::Restarted && (all_here || !self.group.settings.safe())) {
            let by_loss = too_much.filter(|_| rule == Rule::Met || !self.group.settings.safe());
            let reason = by_loss.unwrap_or_else(|| rule.explain());
            if self.group.refused.as_ref() != Some(&reason) {
                self.decisions.push(Decision::Refused { group: self.group.name.clone(), reason });
            }
            return;
        }
        if cause == Cause::Restarted {
            let empty = self.master().and_then(Instance::current).is_some_and(|f| !f.holds_data());
            let kind = if empty { EventKind::RebootEmpty } else { EventKind::Reboot };
            let master = self.group.master.clone();
            self.flag(&master, kind, "");
        }
        self.hurry = true;
        self.own.tried = Some(inputs);
        self.own.fruitless = false;
        if let Some(failover) = &self.group.failover {
            let (group, epoch) = (self.group.name.clone(), failover.epoch);
            self.decisions.push(Decision::End { group, epoch, timeout: true });
        }
        self.decisions.push(Decision::Begin {
            group: self.group.name.clone(),
            after: self.group.last_epoch,
            cause,
            target: None,
            timeout_ms: 0,
        });
    }
}
