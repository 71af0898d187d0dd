//! A planned switchover: the master's writes wait, one replica that was named before gets all it
//! has, takes over, and is published; what waited is sent to it. Undone when it takes too long.
//!
//! Promises: the standby is agreed before a single write waits, so nothing but the switch itself has
//! to be agreed while clients wait; it is told to be master only when it holds all that the stopped
//! master had; before it is told, undoing costs no epoch and loses nothing. A forced one takes the same way as
//! long as it goes, and that of `failover` from where it does not. Has never heard of links, clocks or disks.

use super::command::Command;
use super::decision::{AbortKind, Cause, Decision};
use super::facts::{BundledRole, Facts};
use super::failover::Conduct;
use super::lead::Work;
use super::ledger::{Failover, StandBy};
use super::node::Sentinel;
use super::registry::Instance;
use super::request::Request;
use super::subjective;
use super::successor;
use super::wish::Wish;
use crate::model::{Address, Offset, ReplId, RunId};
use crate::resp::Reply;
use crate::stdx::time::{Duration, Instant};
use std::collections::BTreeMap;

/// How long writes may wait before everything is undone, when the operator names no other time.
const PAUSE_LIMIT: Duration = Duration::from_secs(2);
/// How long a standby that was told may take to be master.
const PROMOTION_LIMIT: Duration = Duration::from_secs(2);
/// A pause outlasts all that is done in it: who was forgotten by every sentinel resumes by itself.
const PAUSE_SPARE: Duration = Duration::from_secs(1);
const PAUSE_AGAIN: Duration = Duration::from_secs(1);
/// How long every replica is waited for when one is to be chosen among them.
const EVERYBODY: Duration = Duration::from_millis(100);

/// What this leader did in a planned switchover.
#[derive(Debug, Default)]
pub(super) struct Planned {
    /// The standby was named under this leader: nobody acted in this epoch before.
    began_here: bool,
    /// The master, or a forced switchover's time, was gone, and what a failover for cause does was begun.
    unplanned: bool,
    /// Since when writes may wait.
    stopped_since: Option<Instant>,
    pause_sent_at: Option<Instant>,
    /// The master said that it holds writes back.
    paused_at: Option<Instant>,
    /// It said that it will not.
    refusal: Option<String>,
    /// All that the stopped master has, and since when that is known.
    goal: Option<(Offset, Instant)>,
    fenced: bool,
    told_at: Option<Instant>,
    released: bool,
}

impl Planned {
    /// The answer to the request to hold writes back.
    pub fn paused(&mut self, now: Instant, reply: &Reply) {
        match reply.error() {
            None => self.paused_at = self.paused_at.or(Some(now)),
            Some(error) => self.refusal = Some(error.chars().take(200).collect()),
        }
    }

    /// Nobody was told anything that outlives a pause.
    pub fn untouched(&self) -> bool {
        self.began_here && !self.unplanned && !self.fenced && self.told_at.is_none()
    }

    /// Writes may wait because of this switchover.
    pub fn may_be_paused(&self) -> bool {
        !self.began_here || self.pause_sent_at.is_some()
    }

    /// The master was not told to give up its role.
    pub fn reign_goes_on(&self) -> bool {
        !self.unplanned && !self.fenced && self.told_at.is_none()
    }
}

/// A standby that took over, as the log is to know it.
struct Taken {
    run_id: RunId,
    history: ReplId,
    /// Where its own history begins.
    from: Offset,
    bundled: bool,
}

impl Failover {
    /// Who is to take over, if that was said or agreed.
    pub(super) fn wanted(&self) -> Option<&Address> {
        self.standby.as_ref().map(|standby| &standby.address).or(self.target.as_ref())
    }

    fn pause_limit(&self) -> Duration {
        if self.timeout_ms == 0 { PAUSE_LIMIT } else { Duration::from_millis(self.timeout_ms) }
    }
}

impl Work<'_> {
    /// Conducts a switchover by its plan; false when there is no master that could take part in it, or
    /// when a forced one goes on without.
    pub(super) fn switch_over(&mut self, failover: &Failover, conduct: &mut Conduct) -> bool {
        let master = self.group.master.clone();
        let gone = self.registry.get(&master).is_none_or(|master| master.current().is_none());
        let Some(standby) = &failover.standby else {
            conduct.planned.unplanned |= gone;
            if conduct.planned.unplanned {
                return false;
            }
            // A predecessor may have fenced somebody for a master that was gone, and leaves no trace of that.
            conduct.planned.began_here = self.own.inherited != Some(failover.epoch);
            return self.name_standby(failover, conduct);
        };
        if let Some(taken) = self.taken_over(failover, standby, conduct) {
            self.publish(failover, standby, conduct, taken);
            return true;
        }
        if conduct.planned.unplanned {
            return false;
        }
        if let Some(at) = conduct.planned.told_at {
            if self.now.since(at) > PROMOTION_LIMIT {
                let reason = format!(
                    "{} did not become master within {} ms",
                    standby.address,
                    PROMOTION_LIMIT.as_millis()
                );
                self.abort(failover, conduct, AbortKind::ReplicaTimeout, reason);
            } else {
                self.tell_standby(failover, standby, conduct);
            }
            return true;
        }
        let since = *conduct.planned.stopped_since.get_or_insert(self.now);
        if failover.cause == Cause::Forced {
            let stopped =
                conduct.planned.goal.is_some() && (!self.group.bundled || conduct.handed_over.is_some());
            let late = self.now.since(since) > failover.pause_limit();
            if late || conduct.planned.refusal.is_some() || (gone && !stopped) {
                conduct.planned.unplanned = true;
                return false;
            }
        }
        if let Some(refusal) = &conduct.planned.refusal {
            let reason = format!("{master} does not hold writes back: {refusal}");
            self.abort(failover, conduct, AbortKind::RolledBack, reason);
            return true;
        }
        if self.now.since(since) > failover.pause_limit() {
            let reason = self.why_late(failover, standby, conduct);
            self.abort(failover, conduct, AbortKind::RolledBack, reason);
            return true;
        }
        self.stop_writes(failover, conduct);
        if self.holds_all(standby, conduct) && self.silenced(failover, conduct) {
            self.tell_standby(failover, standby, conduct);
        }
        true
    }

    fn why_late(&self, failover: &Failover, standby: &StandBy, conduct: &Conduct) -> String {
        let limit = failover.pause_limit().as_millis();
        match (conduct.planned.goal, conduct.planned.paused_at) {
            (Some((goal, _)), _) => {
                let had = self.registry.get(&standby.address).and_then(Instance::current).map(|f| f.offset);
                format!(
                    "{} did not catch up with offset {goal} within {limit} ms (it has {})",
                    standby.address,
                    had.map_or_else(|| "not answered".to_owned(), |had| had.to_string())
                )
            }
            (None, _) => {
                format!("{} did not say within {limit} ms that it holds writes back", self.group.master)
            }
        }
    }

    /// Chooses among the replicas that could take over now, and has it agreed. No write waits yet. False when a
    /// forced switchover waits for none of them any longer.
    fn name_standby(&mut self, failover: &Failover, conduct: &mut Conduct) -> bool {
        let waited = self.now.since(conduct.since);
        let candidates: Vec<Address> = match &failover.target {
            Some(target) => vec![target.clone()],
            None => self.group.replicas.iter().cloned().collect(),
        };
        let mut best = None;
        let mut obstacles = Vec::new();
        let mut silent = false;
        for address in candidates {
            let fitness = self.fitness(&address, conduct.since).and_then(|fit| {
                let replica = self.registry.get(&address).and_then(Instance::current);
                let caught_up = replica.is_some_and(|facts| self.caught_up(facts.asked_at, facts.offset));
                if caught_up { Ok(fit) } else { Err(format!("is behind (offset {})", fit.2)) }
            });
            match fitness {
                Ok((run_id, priority, offset)) => {
                    let rank = successor::preference(self.group, &address, priority);
                    let key = (rank, std::cmp::Reverse(offset), address.clone());
                    if best.as_ref().is_none_or(|(known, _)| key < *known) {
                        best = Some((key, StandBy { address, run_id }));
                    }
                }
                Err(obstacle) => {
                    obstacles.push(format!("{address} {obstacle}"));
                    let Some(replica) = self.registry.get(&address) else { continue };
                    // Asked again until it is fit: a sample may have been read before the master's.
                    silent |= replica.up() && replica.since(conduct.since).is_none();
                    if replica.up() && !replica.awaits(|request| *request == Request::Info) {
                        self.ask(&address);
                    }
                }
            }
        }
        match best {
            Some((_, standby)) if !silent || waited > EVERYBODY => {
                self.decisions.push(Decision::StandBy {
                    group: self.group.name.clone(),
                    epoch: failover.epoch,
                    successor: standby.address,
                    run_id: standby.run_id,
                });
            }
            None if failover.cause == Cause::Forced && waited > EVERYBODY => {
                conduct.planned.unplanned = true;
            }
            None if waited > failover.pause_limit() => {
                let reason = format!("no replica could take over: {}", obstacles.join("; "));
                self.abort(failover, conduct, AbortKind::RolledBack, reason);
            }
            _ => {}
        }
        !conduct.planned.unplanned
    }

    /// What makes this replica fit to take over, or why it is not.
    pub(super) fn fitness(&self, address: &Address, since: Instant) -> Result<(RunId, i64, Offset), String> {
        let replica = self.registry.get(address).ok_or("is not known yet")?;
        let live = replica.up() && !subjective::suspect(replica, self.group, self.now);
        let facts = replica.since(since).filter(|_| live).ok_or("does not answer")?;
        let run_id = facts.run_id.clone().ok_or("does not name its process")?;
        let in_step = facts.bundled.as_ref().is_none_or(|b| b.synced && b.epoch >= self.group.epoch);
        if facts.priority == 0 {
            Err("has priority 0: never to be master".into())
        } else if let Some(pause) = self.group.policy.instances.get(address) {
            Err(format!("is in maintenance{}", pause.describe()))
        } else if !facts.follows(&self.group.master) || !facts.link_up || facts.syncing || facts.loading {
            Err("does not stream from the master".into())
        } else if facts.history != self.group.history || !in_step {
            Err("is of another history".into())
        } else {
            Ok((run_id, facts.priority, facts.offset))
        }
    }

    /// Writes wait at the master; then it says what it has.
    fn stop_writes(&mut self, failover: &Failover, conduct: &mut Conduct) {
        let address = self.group.master.clone();
        let planned = &mut conduct.planned;
        let Some(master) = self.registry.get(&address) else { return };
        // PUBLISH waits like a write, and everything on its connection behind it.
        let hello = master.awaits(|request| matches!(request, Request::Hello { .. }));
        let due = planned.pause_sent_at.is_none_or(|at| self.now.since(at) >= PAUSE_AGAIN);
        if due && !hello && !planned.fenced {
            let length = failover.pause_limit() + PROMOTION_LIMIT + PAUSE_SPARE;
            if self.send(&address, Request::PauseWrites { ms: length.as_millis() as u64 }) {
                planned.pause_sent_at = Some(self.now);
            }
        }
        let Some(paused_at) = planned.paused_at else { return };
        if planned.goal.is_some() {
            return;
        }
        let facts = self.registry.get(&address).and_then(|master| master.since(paused_at));
        // One that restarted meanwhile holds nothing back.
        match facts.filter(|facts| facts.run_id == self.group.run_id && facts.is_master()) {
            Some(facts) => planned.goal = Some((facts.offset, self.now)),
            None => {
                let asked = |master: &Instance| {
                    master.asked.iter().any(|asked| asked.request == Request::Info && asked.at >= paused_at)
                };
                if !self.registry.get(&address).is_some_and(asked) {
                    self.ask(&address);
                }
            }
        }
    }

    /// The standby has all that the stopped master had.
    fn holds_all(&mut self, standby: &StandBy, conduct: &Conduct) -> bool {
        let Some((goal, since)) = conduct.planned.goal else { return false };
        if self.bugs.handover_not_awaited {
            return true;
        }
        let goal = conduct.handed_over.as_ref().map_or(goal, |handed| handed.offset.max(goal));
        let holds = self.registry.get(&standby.address).and_then(Instance::current).is_some_and(|facts| {
            facts.offset >= goal
                && facts.history == self.group.history
                && facts.run_id.as_ref() == Some(&standby.run_id)
        });
        // The others too: those that hold as much count for WAIT from the first moment on.
        for address in self.group.replicas.clone() {
            let Some(replica) = self.registry.get(&address) else { continue };
            let wanted = replica.since(since).is_none() || (address == standby.address && !holds);
            if wanted && !replica.awaits(|request| *request == Request::Info) {
                self.ask(&address);
            }
        }
        holds
    }

    /// A stopped master that is bundled is fenced as well: whatever happens, it acknowledges nothing
    /// in its old reign. True when no more is to be waited for.
    fn silenced(&mut self, failover: &Failover, conduct: &mut Conduct) -> bool {
        if !self.group.bundled || self.bugs.handover_not_fenced {
            return true;
        }
        let Some(handed) = &conduct.handed_over else {
            let master = self.group.master.clone();
            if self.due(conduct, &master) {
                conduct.planned.fenced = true;
                let epoch = self.acting_epoch(failover.epoch);
                self.send(&master, Request::Fence { group: self.group.name.clone(), epoch });
            }
            return false;
        };
        // A process that is not the one that was stopped has handed over nothing.
        Some(&handed.run_id) == self.group.run_id.as_ref()
    }

    fn tell_standby(&mut self, failover: &Failover, standby: &StandBy, conduct: &mut Conduct) {
        let address = &standby.address;
        let Some(facts) = self.registry.get(address).and_then(Instance::current) else { return };
        if facts.run_id.as_ref() != Some(&standby.run_id) {
            let reason = format!("{address} restarted before it was master");
            return self.abort(failover, conduct, AbortKind::ReplicaTimeout, reason);
        }
        let bundled = facts.bundled.is_some();
        if !self.due(conduct, address) {
            return;
        }
        let epoch = self.acting_epoch(failover.epoch);
        let request = if bundled {
            Request::Promote { group: self.group.name.clone(), epoch }
        } else {
            Request::ReplicaOfNoOne
        };
        if self.send(address, request) {
            conduct.planned.told_at.get_or_insert(self.now);
            if bundled {
                self.ask_for_stamp(address, epoch);
            }
            self.ask(address);
        }
    }

    /// The standby is master, told by this leader or by the one before.
    fn taken_over(&self, failover: &Failover, standby: &StandBy, conduct: &Conduct) -> Option<Taken> {
        let facts = self.registry.get(&standby.address)?.current()?;
        let run_id = facts.run_id.clone().filter(|run_id| *run_id == standby.run_id)?;
        let history = facts.history.clone()?;
        let branched = facts.history2 == self.group.history;
        let from = if branched { facts.offset2 } else { facts.offset };
        let done = match &facts.bundled {
            Some(b) => b.role == BundledRole::Master && b.epoch == self.acting_epoch(failover.epoch),
            // Nothing but what it shows tells who made it master: it must hold what the old one had.
            None => {
                let goal = conduct.planned.goal.is_some_and(|(goal, _)| branched && from >= goal);
                let old = self.registry.get(&self.group.master).and_then(Instance::current);
                let yielded = old.is_some_and(|old: &Facts| old.follows(&standby.address));
                facts.is_master() && (goal || yielded)
            }
        };
        let from =
            conduct.handed_over.as_ref().map_or(from, |handed| if branched { from } else { handed.offset });
        done.then_some(Taken { run_id, history, from, bundled: facts.bundled.is_some() })
    }

    fn publish(&mut self, failover: &Failover, standby: &StandBy, conduct: &mut Conduct, taken: Taken) {
        let old = self.group.master.clone();
        let still_master = self.registry.get(&old).and_then(Instance::current).is_some_and(Facts::is_master);
        // A stock server only waits: before that ends it follows the one that took over.
        if !self.group.bundled && still_master && self.due(conduct, &old) {
            self.send(&old, Request::ReplicaOf { master: standby.address.clone() });
            self.ask(&old);
        }
        let since = conduct.planned.goal.map(|(_, at)| at);
        let equal = |address: &Address| {
            let facts = self.registry.get(address)?.since(since?)?;
            let same = facts.offset == taken.from && facts.history == self.group.history;
            facts.run_id.clone().filter(|_| same && facts.follows(&old))
        };
        let others = self.group.replicas.iter().filter(|address| **address != standby.address);
        let equals: BTreeMap<Address, RunId> =
            others.filter_map(|address| Some((address.clone(), equal(address)?))).collect();
        let mut offsets = vec![(standby.address.clone(), taken.from)];
        offsets.extend(equals.keys().map(|address| (address.clone(), taken.from)));
        let (group, epoch) = (self.group.name.clone(), failover.epoch);
        self.decisions.push(Decision::Promote {
            group: group.clone(),
            epoch,
            successor: standby.address.clone(),
            run_id: taken.run_id.clone(),
            offset: taken.from,
            equals,
            offsets,
            risk: None,
        });
        self.decisions.push(Decision::Switch {
            group,
            epoch,
            run_id: taken.run_id,
            history: taken.history,
            bundled: taken.bundled,
        });
    }

    /// The new master is published: whoever waits at the old one is told now that it is none, and not
    /// before there is another to be asked for.
    pub(super) fn release(&mut self, failover: &Failover, conduct: &mut Conduct) {
        if failover.cause.planned() && !conduct.planned.released {
            conduct.planned.released = self.send(&failover.old_master, Request::ResumeWrites);
        }
    }

    /// PUBLISH at a master whose writes are about to wait would wait with them.
    pub(super) fn stops_writes_of(group: &super::ledger::Group, instance: &Address) -> bool {
        group.master == *instance
            && group.failover.as_ref().is_some_and(|f| f.cause.planned() && group.failing_over())
    }
}

impl Sentinel {
    /// What this leader sees that speaks against a switchover before it begins, as Redis says it. An
    /// agreed failover is told first.
    pub(super) fn refuses_switchover(&self, now: Instant, command: &Command) -> Option<String> {
        let Command::Failover { name, wish: Wish::Now(how) } = command else { return None };
        let group = self.ledger.group(name).filter(|group| group.failover.is_none())?;
        let live = |address: &Address| {
            self.registry
                .get(address)
                .filter(|i| i.current().is_some() && !subjective::suspect(i, group, now))
        };
        let master = live(&group.master).and_then(Instance::current);
        let well = master.is_some_and(|f| f.is_master() && !f.awaiting() && f.run_id == group.run_id);
        if how.coordinated && !well {
            return Some(format!(
                "NOGOODPRIMARY {} does not answer as the master that was agreed; without COORDINATED it is \
                 replaced like a failed one",
                group.master
            ));
        }
        let somebody = group.replicas.iter().any(|address| live(address).is_some());
        (!somebody).then(|| "NOGOODSLAVE No suitable replica to promote".to_owned())
    }
}
