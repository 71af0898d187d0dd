//! Bringing instances to where the ledger says they belong: a confirmed master told its epoch, a
//! returned old master demoted, strays re-pointed, a few at a time after a failover. Nobody is
//! pointed at a master that is not as the ledger knows it: that is how data gets wiped.

use super::decision::{Decision, Stage};
use super::facts::BundledRole;
use super::guard::Hold;
use super::lead::Work;
use super::ledger::Phase;
use super::policy::Guard;
use super::registry::Instance;
use super::request::Request;
use super::subjective;
use crate::model::Address;
use crate::model::event::EventKind;
use crate::stdx::time::Duration;

pub(super) const REPEAT_AFTER: Duration = Duration::from_millis(300);

/// Whether a server that nobody elected has more than the elected master.
#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    Yes,
    No,
    Unknown,
}

impl Work<'_> {
    /// The process, history and epoch that were agreed, and not silent.
    pub(super) fn master_is_sound(&self) -> bool {
        let Some(master) = self.registry.get(&self.group.master) else { return false };
        let Some(facts) = master.current() else { return false };
        let epoch = facts
            .bundled
            .as_ref()
            .is_none_or(|b| b.role == BundledRole::Master && b.epoch == self.group.epoch);
        facts.is_master()
            && epoch
            && !facts.loading
            && self.group.run_id.is_some()
            && facts.run_id == self.group.run_id
            && facts.history == self.group.history
            && !subjective::suspect(master, self.group, self.now)
    }

    /// A master that keeps its role at a new epoch is told so until it shows it.
    pub(super) fn confirm_master(&mut self) {
        if !self.group.confirm {
            return;
        }
        let Some(facts) = self.registry.get(&self.group.master).and_then(Instance::current) else { return };
        if facts.run_id != self.group.run_id || facts.bundled.is_none() {
            return;
        }
        let shown = facts
            .bundled
            .as_ref()
            .is_some_and(|b| b.role == BundledRole::Master && b.epoch == self.group.epoch);
        if !shown {
            let request = Request::Promote { group: self.group.name.clone(), epoch: self.group.epoch };
            let master = self.group.master.clone();
            self.act(&master, request);
        }
    }

    pub(super) fn reconcile(&mut self) {
        if self.group.confirm || !self.master_is_sound() {
            return;
        }
        let switched = self.group.failover.as_ref().filter(|f| f.phase == Phase::Switched);
        let mut stages = Vec::new();
        let mut syncing = switched.map_or(0, |_| self.syncing());
        let mut all_done = true;
        let paused = switched.is_none() && self.group.policy.pause.is_some();
        let mut would = Vec::new();
        let mut richer = Vec::new();
        for address in self.group.replicas.clone() {
            let Some(replica) = self.registry.get(&address) else { continue };
            let reachable = !subjective::suspect(replica, self.group, self.now);
            let Some(facts) = replica.current() else {
                all_done &= !reachable;
                continue;
            };
            let stage = switched.and_then(|f| f.stages.get(&address)).copied();
            let placed = facts.follows(&self.group.master)
                && facts
                    .bundled
                    .as_ref()
                    .is_none_or(|b| b.role == BundledRole::Replica && b.epoch == self.group.epoch);
            let done = placed && facts.link_up && !facts.syncing;
            let foreign = self.is_foreign(&address);
            if switched.is_some() {
                let seen = match (done, placed) {
                    (true, _) => Some(Stage::Done),
                    (false, true) => Some(Stage::InProgress),
                    _ => None,
                };
                if seen.is_some() && seen > stage {
                    if stage.is_none() {
                        stages.push((address.clone(), Stage::Sent));
                    }
                    if seen == Some(Stage::Done) && stage < Some(Stage::InProgress) {
                        stages.push((address.clone(), Stage::InProgress));
                    }
                    stages.extend(seen.map(|seen| (address.clone(), seen)));
                }
                all_done &= done || !reachable || foreign;
            }
            if placed {
                self.own.corrected.remove(&address);
                continue;
            }
            if self.bugs.strays_left_alone && (facts.is_master() || facts.awaiting()) {
                continue;
            }
            // Who repairs a server by hand is not fought; one without a role is given one.
            if switched.is_none() && self.in_maintenance(&address) && !facts.awaiting() {
                continue;
            }
            // What it holds is not known before it is loaded; a stock server would be wiped.
            if foreign || (facts.loading && facts.bundled.is_none()) {
                continue;
            }
            if paused {
                would.push(format!("{address} would be made to follow {}", self.group.master));
                continue;
            }
            // One that takes itself for a master is demoted at once, whatever the limit.
            let rogue = facts.is_master() && !facts.awaiting();
            match self.holds_more(&address).filter(|_| rogue) {
                Some(More::Yes) => {
                    richer.push(address);
                    continue;
                }
                Some(More::Unknown) => {
                    let master = self.group.master.clone();
                    self.ask_anew(&master);
                    continue;
                }
                Some(More::No) | None => {}
            }
            let limited = switched.is_some() && stage.is_none() && !rogue;
            if limited && syncing >= self.group.settings.parallel_syncs {
                continue;
            }
            let was_wrong = facts.master.clone();
            let bundled = facts.bundled.is_some();
            let request = if bundled {
                Request::Follow {
                    group: self.group.name.clone(),
                    epoch: self.group.epoch,
                    master: self.group.master.clone(),
                    stock_master: !self.group.bundled,
                    fork: facts.fork(self.group),
                }
            } else {
                Request::ReplicaOf { master: self.group.master.clone() }
            };
            if !self.act(&address, request) {
                continue;
            }
            if switched.is_some() && stage.is_none() {
                stages.push((address.clone(), Stage::Sent));
                syncing += 1;
            }
            let wrong = was_wrong.is_some_and(|master| master != self.group.master && master.port != 1);
            let handed_over = switched.is_some_and(|f| f.cause.planned() && f.old_master == address);
            // Told again and again until it follows; said once.
            if !self.own.corrected.insert(address.clone()) {
                continue;
            }
            if rogue && !handed_over {
                self.flag(&address, EventKind::ConvertToReplica, "");
            } else if switched.is_none() && wrong && !rogue {
                self.flag(&address, EventKind::FixReplicaConfig, "");
            }
        }
        if let Some(address) = richer.first() {
            self.hold_rogue(address);
        }
        if !would.is_empty() {
            self.held_back(&would.join(", "));
        }
        if let Some(failover) = switched {
            let (group, epoch) = (self.group.name.clone(), failover.epoch);
            if !stages.is_empty() {
                self.decisions.push(Decision::Repoint { group: group.clone(), epoch, stages });
            }
            let timeout = self.own.conduct_age(self.now) > self.group.settings.failover_timeout();
            if all_done || timeout {
                self.decisions.push(Decision::End { group, epoch, timeout: !all_done });
            }
        }
    }

    /// A server of no epoch that was made master by somebody, not by us, after it followed the agreed
    /// master: with more than that master has, demoting it would wipe the longer history. An old
    /// master that returns is none of these: its epoch is over, and it is known by its history. Neither
    /// is a replica that was restarted from its snapshot: its own history is new, and holds no write.
    fn holds_more(&self, address: &Address) -> Option<More> {
        let current = |address: &Address| self.registry.get(address).and_then(Instance::current);
        let (rogue, master) = (current(address)?, current(&self.group.master)?);
        let made_by_hand = rogue.bundled.is_none()
            && self.group.history.is_some()
            && rogue.history2 == self.group.history
            && rogue.offset > rogue.offset2
            && !rogue.untouched;
        if !made_by_hand {
            return Some(More::No);
        }
        // Once seen to have more it stays so until a person has decided; the elected master goes on
        // writing meanwhile.
        let known = self.group.policy.held.as_ref().is_some_and(|held| {
            held.guard == Guard::RogueMaster && held.reason.starts_with(&format!("{address} "))
        });
        Some(match rogue.offset > master.offset {
            _ if known => More::Yes,
            false => More::No,
            // The master was asked before: it may have as much by now.
            true if master.asked_at < rogue.asked_at => More::Unknown,
            true => More::Yes,
        })
    }

    /// INFO, unless an answer is awaited.
    fn ask_anew(&mut self, address: &Address) {
        let awaits = self.registry.get(address).is_some_and(|i| i.awaits(|r| *r == Request::Info));
        if !awaits {
            self.ask(address);
        }
    }

    fn hold_rogue(&mut self, address: &Address) {
        let (group, master) = (&self.group.name, &self.group.master);
        let reason = format!(
            "{address} was made master by somebody and has more than {master}, the elected one: demoting it would \
             wipe what only it has; save that and make it a replica (REPLICAOF {} {}), or remove and monitor {group} \
             again at {address}",
            master.host, master.port
        );
        self.hold = Some(Hold { guard: Guard::RogueMaster, reason, until_ms: None });
    }

    /// Replicas told their new master in this failover, agreed or still on its way to being agreed,
    /// that do not follow it yet.
    fn syncing(&self) -> usize {
        let began = self.own.conduct.as_ref().map(|conduct| conduct.since);
        let told = |address: &Address| self.own.acts.get(address).copied() >= began && began.is_some();
        let done = |instance: &Instance| {
            let facts = instance.current();
            facts.is_some_and(|f| f.follows(&self.group.master) && f.link_up && !f.syncing)
        };
        let agreed = |address: &Address| {
            self.group
                .failover
                .as_ref()
                .and_then(|f| f.stages.get(address))
                .is_some_and(|s| *s != Stage::Done)
        };
        let open = |address: &&Address| {
            let live = self.registry.get(address).filter(|i| !subjective::suspect(i, self.group, self.now));
            (told(address) || agreed(address)) && live.is_some_and(|i| !done(i))
        };
        self.group.replicas.iter().filter(open).count()
    }

    /// A corrective command, at most every so often, and INFO right behind it. Whether it was sent.
    pub(super) fn act(&mut self, address: &Address, request: Request) -> bool {
        if let Some(at) = self.own.acts.get(address).map(|at| *at + REPEAT_AFTER).filter(|at| *at > self.now)
        {
            self.next = self.next.min(at);
            return false;
        }
        if !self.send(address, request) {
            return false;
        }
        self.own.acts.insert(address.clone(), self.now);
        self.ask(address);
        self.next = self.next.min(self.now + REPEAT_AFTER);
        true
    }
}
