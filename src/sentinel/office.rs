//! The log's side of a sentinel: proposing, applying, taking up the leader's office, and answering
//! those who asked for something.

use super::command::Command;
use super::decision::{Decision, Entry};
use super::fleet_settings::BLAST_RADIUS;
use super::lead::Supervision;
use super::ledger::Ledger;
use super::ledger::MemberDecision;
use super::members::PeerCommand;
use super::node::{Asker, FORWARD_LIMIT, Sentinel, Timer};
use super::registry::Instance;
use super::settings::Settings;
use super::{Action, PeerMessage, SessionId};
use crate::consensus::{self, ProposeError, Role};
use crate::model::{Address, NodeId, RunId};
use crate::resp::{Protocol, Writer};
use crate::stdx::time::{Duration, Now};
use std::collections::BTreeSet;

/// Groups taken over from a file in one entry.
const CONFIGURED_AT_ONCE: usize = 100;
const NO_LEADER: &str =
    "ERR no sentinel leads: a majority of the fleet cannot be reached; nothing was changed, try again";
const REMOVED: &str = "ERR this sentinel was removed from the fleet; ask another one, and stop this one";
const UNKNOWN_FATE: &str =
    "ERR leadership changed before this was agreed; it may or may not happen: look, then try again";

/// A finished answer: OK, or an error that names its code.
pub(super) fn respond(session: SessionId, error: Option<&str>) -> Action {
    let mut bytes = Vec::new();
    // Simple strings and errors look alike in both protocols.
    let mut writer = Writer::new(&mut bytes, Protocol::Resp2);
    match error {
        None => writer.ok(),
        Some(error) => writer.error(error),
    }
    Action::Respond { session, bytes }
}

impl Sentinel {
    pub(super) fn drive(&mut self, now: Now, input: consensus::Input, actions: &mut Vec<Action>) {
        let mut out = Vec::new();
        self.consensus.handle(now, input, &mut out);
        self.carry_out(now, out, false, actions);
    }

    /// Passes on what consensus asks for, and applies what is agreed.
    pub(super) fn carry_out(
        &mut self,
        now: Now,
        out: Vec<consensus::Action>,
        replayed: bool,
        actions: &mut Vec<Action>,
    ) {
        for action in out {
            match action {
                consensus::Action::Persist(persist) => actions.push(Action::Persist(persist)),
                consensus::Action::Send { to, bytes } => {
                    actions.push(Action::SendPeer { to, message: PeerMessage::Raft(bytes) });
                }
                consensus::Action::Apply { index, term, data } => {
                    self.apply(now, index, term, &data, replayed, actions);
                }
                consensus::Action::Restore { state, .. } => self.restore(now, &state, replayed, actions),
                consensus::Action::RoleChanged { role, .. } => self.role_changed(now, role, actions),
                consensus::Action::Fatal { message } => self.end(message, true, actions),
            }
        }
        self.follow_members(actions);
        if self.consensus.snapshot_due() {
            let mut out = Vec::new();
            // A state that is too large keeps the log long; nothing is lost by it.
            let _ = self.consensus.compact(self.consensus.applied(), self.ledger.encode(), &mut out);
            for action in out {
                if let consensus::Action::Persist(persist) = action {
                    actions.push(Action::Persist(persist));
                }
            }
        }
    }

    fn end(&mut self, message: String, rejoin: bool, actions: &mut Vec<Action>) {
        self.ended = true;
        actions.push(Action::Fatal { message, rejoin });
    }

    fn apply(
        &mut self,
        now: Now,
        index: u64,
        term: u64,
        data: &[u8],
        replayed: bool,
        actions: &mut Vec<Action>,
    ) {
        let mut entry = match Entry::decode(data) {
            Ok(entry) => entry,
            Err(error) => {
                return self.end(format!("cannot go on at log index {index}: {error}"), false, actions);
            }
        };
        if self.bugs.dated_by_own_clock {
            entry.at_ms = now.wall.as_millis();
        }
        if self.bugs.event_number_reused && entry.decisions.iter().any(|d| matches!(d, Decision::Lead { .. }))
        {
            self.ledger.last_event_id = self.ledger.last_event_id.saturating_sub(1);
        }
        self.commits.applied(index, now.mono);
        for event in self.ledger.apply(index, &entry) {
            self.told = event.id;
            let exit = if replayed { None } else { self.crash_after(event.kind) };
            self.told_of(&event);
            actions.push(Action::Emit { event, replayed });
            actions.extend(exit);
        }
        let touched: BTreeSet<&str> = entry.decisions.iter().filter_map(Decision::group).collect();
        for group in touched {
            self.sync_group(now, group, actions);
            if let Some(own) = self.groups.get_mut(group) {
                own.applied(index);
            }
        }
        if entry.decisions.iter().any(|d| {
            use Decision::{Lead, Member, Own, Sentinel};
            matches!(d, Member(_) | Sentinel { .. } | Lead { .. } | Own { .. })
        }) {
            self.sync_peers();
        }
        for decision in &entry.decisions {
            self.drill_applied(decision, replayed, actions);
            if let Decision::Lead { node, .. } = decision {
                self.check_binding(actions);
                if !replayed {
                    self.assign_webhooks(*node == self.config.id, actions);
                    self.assign_errands(*node == self.config.id, actions);
                }
            }
        }
        if !replayed && entry.decisions.iter().any(Decision::changes_webhooks) && self.in_office() {
            self.assign_webhooks(true, actions);
        }
        if let Some((asked_in, asker)) = self.pending.remove(&index) {
            self.answer(asker, (asked_in != term).then_some(UNKNOWN_FATE), actions);
        }
    }

    fn restore(&mut self, now: Now, state: &[u8], replayed: bool, actions: &mut Vec<Action>) {
        match Ledger::decode(state) {
            Err(error) => return self.end(error.to_string(), false, actions),
            Ok(ledger) => self.ledger = ledger,
        }
        let told = self.told;
        for event in self.ledger.events_after(told) {
            actions.push(Action::Emit { event: event.clone(), replayed });
        }
        self.told = self.ledger.last_event_id;
        let known: BTreeSet<String> = self.ledger.groups.keys().chain(self.groups.keys()).cloned().collect();
        for group in known {
            self.sync_group(now, &group, actions);
        }
        self.sync_peers();
        self.check_binding(actions);
    }

    /// This id was taken by another data directory: two voters with one id would vote twice.
    fn check_binding(&mut self, actions: &mut Vec<Action>) {
        let id = self.config.id;
        let Some(bound) = self.ledger.voters.get(&id).map(|voter| voter.uuid.clone()) else { return };
        if bound != self.identity.uuid {
            self.end(
                format!(
                    "sentinel id {id} belongs to another data directory ({bound}, ours is {}): a lost or copied \
                     directory must not vote again under the old id",
                    self.identity.uuid
                ),
                true,
                actions,
            );
        }
    }

    /// Watches what the ledger names, and nothing else.
    fn sync_group(&mut self, now: Now, name: &str, actions: &mut Vec<Action>) {
        let group = self.ledger.group(name);
        let gone: Vec<Address> = self
            .registry
            .iter()
            .filter(|(address, instance)| instance.group == name && !group.is_some_and(|g| g.knows(address)))
            .map(|(address, _)| address.clone())
            .collect();
        for instance in gone {
            self.registry.remove(&instance);
            self.schedule.remove(&Timer::Instance(instance.clone()));
            actions.push(Action::Unwatch { instance });
        }
        let timer = Timer::Group(name.to_owned());
        if group.is_none() {
            self.groups.remove(name);
            self.guard.forget(name);
            self.forget_credentials(name);
            self.schedule.remove(&timer);
            return;
        };
        self.tell_credentials(name, actions);
        let auth = self.auth_of(name);
        let Some(group) = self.ledger.group(name) else { return };
        self.groups.entry(name.to_owned()).or_insert_with(|| Supervision::new(now.mono));
        for address in group.instances() {
            if self.registry.get(address).is_none() {
                actions.push(Action::Watch { instance: address.clone(), auth: auth.clone() });
                self.registry.insert(address.clone(), Instance::new(name, now.mono));
                self.schedule.set(&Timer::Instance(address.clone()), now.mono);
            }
        }
        self.schedule.sooner(&timer, now.mono);
    }

    fn role_changed(&mut self, now: Now, role: Role, actions: &mut Vec<Action>) {
        self.commits.forget();
        self.beat.reset();
        self.next_beat = now.mono;
        for peer in self.peers.values_mut() {
            peer.views.clear();
            peer.views_at = None;
        }
        let led = self.leader_since.is_some();
        self.leader_since = (role == Role::Leader).then_some(now.mono);
        let forgotten = self.bugs.old_leases_forgotten;
        let lease = if forgotten { 0 } else { self.config.lease_milliseconds };
        let lease = Duration::from_millis(lease);
        for (name, own) in &mut self.groups {
            own.new_term(now.mono, lease);
            self.schedule.sooner(&Timer::Group(name.clone()), now.mono);
        }
        if led && role != Role::Leader {
            self.assign_webhooks(false, actions);
            self.assign_errands(false, actions);
        }
        for (_, (_, asker)) in std::mem::take(&mut self.pending) {
            self.answer(asker, Some(UNKNOWN_FATE), actions);
        }
        for (_, (session, _)) in std::mem::take(&mut self.forwarded) {
            actions.push(respond(session, Some(UNKNOWN_FATE)));
        }
    }

    /// A leader whose state speaks for the fleet, having said so in the log.
    pub(super) fn in_office(&self) -> bool {
        self.consensus.leads_and_is_current() && self.office_term == self.consensus.term()
    }

    /// What a leader does for the fleet as a whole; what a follower does about its waiting clients.
    pub(super) fn keep_office(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.consensus.leads_and_is_current() && self.office_term != self.consensus.term() {
            self.take_office(now, actions);
        }
        if self.consensus.role() == Role::Leader && self.next_beat <= now.mono {
            // With the heartbeat, so that both are one write here and one wakeup there.
            let half = Duration::from_millis(self.config.raft.heartbeat_milliseconds) / 2;
            self.next_beat = self.consensus.next_heartbeat().max(now.mono + half);
            let alone = self.consensus.members().is_majority(&BTreeSet::from([self.config.id]));
            let sequence = self.beat.send(now.mono, alone);
            let confirmed_ms_ago = self.beat.confirmed_ms_ago(now.mono);
            let (term, commit) = (self.consensus.term(), self.consensus.commit_index());
            for to in self.consensus.members().ids().into_iter().filter(|id| *id != self.config.id) {
                let echo_us = self.beat.stamp_of(to);
                let message = PeerMessage::Beat { term, sequence, confirmed_ms_ago, commit, echo_us };
                actions.push(Action::SendPeer { to, message });
            }
        }
        if self.in_office() {
            self.tend_members(now, actions);
            self.tell_last_words(now, actions);
        }
        self.report_webhooks(now, actions);
        self.look_after_drills(now, actions);
        self.keep_errands(now, actions);
        let late: Vec<u64> =
            self.forwarded.iter().filter(|(_, (_, at))| *at <= now.mono).map(|(id, _)| *id).collect();
        for id in late {
            if let Some((session, _)) = self.forwarded.remove(&id) {
                actions.push(respond(session, Some(UNKNOWN_FATE)));
            }
        }
    }

    fn take_office(&mut self, now: Now, actions: &mut Vec<Action>) {
        for (name, own) in &mut self.groups {
            let open = self.ledger.group(name).and_then(|group| group.failover.as_ref());
            own.inherited = open.map(|failover| failover.epoch);
        }
        let mut decisions = vec![Decision::Lead {
            node: self.config.id,
            uuid: self.identity.uuid.clone(),
            run_id: self.identity.run_id.clone(),
            // Used only by the first leader ever.
            cluster_id: self.identity.run_id.clone(),
        }];
        if self.ledger.membership.members.is_empty() {
            let voters = &self.consensus.members().voters;
            let founders = self.config.peers.iter().filter(|peer| voters.contains(&peer.id));
            let members = founders.map(|peer| (peer.id, peer.address.clone())).collect();
            decisions.push(Decision::Member(MemberDecision::Founded { members }));
        }
        // Runtime truth is never overridden by a file: a name is taken over from it once.
        let fresh = self.config.masters.iter().filter(|master| {
            !self.ledger.configured.contains(&master.name) && self.ledger.group(&master.name).is_none()
        });
        decisions.extend(fresh.map(|master| Decision::Monitor {
            group: master.name.clone(),
            address: master.address.clone(),
            settings: Settings::from_config(master),
            configured: true,
        }));
        decisions.extend(self.voter_decision(
            self.config.id,
            &self.identity.uuid,
            &self.identity.run_id,
            &self.address,
        ));
        for (id, peer) in self.peers.iter().filter(|(_, peer)| peer.connected && !peer.rejected) {
            if let Some(address) = &peer.address {
                decisions.extend(self.voter_decision(*id, &peer.uuid, &peer.run_id, address));
            }
        }
        if self.ledger.fleet.blast_radius_percent.is_none() {
            let first = self.config.blast_radius_percent.to_string();
            decisions.push(Decision::Configure { options: vec![(BLAST_RADIUS.to_owned(), first)] });
        }
        let term = self.consensus.term();
        let entries: Vec<Vec<Decision>> =
            decisions.chunks(CONFIGURED_AT_ONCE).map(<[Decision]>::to_vec).collect();
        for entry in entries {
            if self.propose(now, entry, actions).is_err() {
                return;
            }
        }
        self.office_term = term;
    }

    pub(super) fn voter_decision(
        &self,
        node: NodeId,
        uuid: &str,
        run_id: &str,
        address: &Address,
    ) -> Option<Decision> {
        let known = self.ledger.voters.get(&node);
        let same = known.is_some_and(|v| v.run_id == run_id && v.address.as_ref() == Some(address));
        (!same && !uuid.is_empty()).then(|| Decision::Sentinel {
            node,
            uuid: uuid.to_owned(),
            run_id: run_id.to_owned(),
            address: address.clone(),
        })
    }

    pub(super) fn peer_up(
        &mut self,
        now: Now,
        id: NodeId,
        uuid: String,
        run_id: String,
        address: Option<Address>,
        actions: &mut Vec<Action>,
    ) {
        if self.has_removed(id) {
            return;
        }
        let address = self.moved_to(id).or(address);
        let bound = self.ledger.voters.get(&id).map(|voter| voter.uuid.as_str());
        let rejected = bound.is_some_and(|bound| bound != uuid) || RunId::parse(&run_id).is_none();
        // One that this log does not name yet: the door let it in, so the fleet knows it.
        let members = &self.ledger.membership.members;
        let peer = self.peers.entry(id).or_default();
        peer.learner |= !members.is_empty() && !members.contains_key(&id);
        peer.connected = true;
        peer.address = address.or(peer.address.take());
        peer.rejected = rejected;
        peer.heard_at = Some(now.mono);
        peer.uuid = uuid;
        peer.run_id = run_id;
        self.care.version += 1;
        if self.in_office() && !rejected {
            let peer = &self.peers[&id];
            let address = peer.address.clone();
            let decision = address.and_then(|at| self.voter_decision(id, &peer.uuid, &peer.run_id, &at));
            if let Some(decision) = decision {
                // Should it not be taken, the next leader or the next link tells it.
                let _ = self.propose(now, vec![decision], actions);
            }
        }
    }

    /// Asks the fleet to agree; the index it will have if it is agreed in this term.
    pub(super) fn propose(
        &mut self,
        now: Now,
        decisions: Vec<Decision>,
        actions: &mut Vec<Action>,
    ) -> Result<u64, String> {
        let mut decisions = decisions;
        self.testify(now, &mut decisions);
        let entry = Entry { at_ms: now.wall.as_millis(), by: self.config.id, decisions };
        let data = entry.encode().map_err(|error| format!("ERR {error}"))?;
        let mut out = Vec::new();
        // A fleet of one agrees before it returns.
        self.commits.proposed(self.consensus.last_index() + 1, now.mono);
        let result = self.consensus.propose(now, data, &mut out);
        self.carry_out(now, out, false, actions);
        result.map_err(|error| match error {
            ProposeError::NotLeader { .. } => NO_LEADER.to_owned(),
            other => format!("ERR {other}"),
        })
    }

    /// A client's command, here or passed to the leader. The answer comes as [`Action::Respond`],
    /// once, when it is agreed or refused.
    pub fn propose_command(
        &mut self,
        now: Now,
        session: SessionId,
        command: &Command,
        actions: &mut Vec<Action>,
    ) {
        if self.removed {
            actions.push(respond(session, Some(REMOVED)));
            return;
        }
        let command = match self.sealed(command) {
            Ok(sealed) => sealed,
            Err(refusal) => return actions.push(respond(session, Some(refusal))),
        };
        if self.consensus.leads_and_is_current() {
            self.decide(now, Asker::Session(session), &command, actions);
            return;
        }
        let leader = self.consensus.leader().filter(|id| self.peers.get(id).is_some_and(|p| p.connected));
        let Some(leader) = leader else {
            actions.push(respond(session, Some(NO_LEADER)));
            return;
        };
        let id = self.next_forward;
        self.next_forward += 1;
        self.forwarded.insert(id, (session, now.mono + FORWARD_LIMIT));
        let message = PeerMessage::Forward { id, argv: command.words() };
        actions.push(Action::SendPeer { to: leader, message });
    }

    pub(super) fn take_forwarded(
        &mut self,
        now: Now,
        from: NodeId,
        request: u64,
        argv: &[Vec<u8>],
        actions: &mut Vec<Action>,
    ) {
        let asker = Asker::Peer { id: from, request };
        match Command::parse(argv) {
            None => {
                self.answer(asker, Some("ERR the leader does not know this command; upgrade it"), actions);
            }
            Some(Command::Peer(PeerCommand::Failing { id })) if id == from => {
                self.take_last_words(now, id, actions);
            }
            Some(_) if !self.consensus.leads_and_is_current() => self.answer(asker, Some(NO_LEADER), actions),
            Some(Command::Peer(PeerCommand::Duplicate { id })) => self.take_duplicate(now, id, actions),
            Some(command) => self.decide(now, asker, &command, actions),
        }
    }

    fn decide(&mut self, now: Now, asker: Asker, command: &Command, actions: &mut Vec<Action>) {
        if let Command::Peer(change) = command
            && let Some(error) = self.too_few_left(change)
        {
            return self.answer(asker, Some(&error), actions);
        }
        let decisions = match command {
            Command::Drill(command) => self.drill_decisions(now, command),
            other => {
                self.refuses_switchover(now.mono, other).map_or_else(|| other.decisions(&self.ledger), Err)
            }
        };
        let decisions = match decisions {
            Ok(decisions) if decisions.is_empty() => return self.answer(asker, None, actions),
            Ok(mut decisions) => {
                let through = match asker {
                    Asker::Session(_) => self.config.id,
                    Asker::Peer { id, .. } => id,
                };
                self.testify_asked(now, through, &mut decisions);
                self.spare_copies(now.mono, &mut decisions);
                decisions
            }
            Err(error) => return self.answer(asker, Some(&error), actions),
        };
        // A fleet of one agrees at once: who asked must be known before.
        let index = self.consensus.last_index() + 1;
        self.pending.insert(index, (self.consensus.term(), asker));
        if let Err(error) = self.propose(now, decisions, actions)
            && self.pending.remove(&index).is_some()
        {
            self.answer(asker, Some(&error), actions);
        }
    }

    fn answer(&self, asker: Asker, error: Option<&str>, actions: &mut Vec<Action>) {
        actions.push(match asker {
            Asker::Session(session) => respond(session, error),
            Asker::Peer { id, request } => Action::SendPeer {
                to: id,
                message: PeerMessage::Forwarded { id: request, error: error.map(str::to_owned) },
            },
        });
    }
}
