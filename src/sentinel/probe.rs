//! Probing: each instance in its own schedule, so that a black hole never delays the others. Fills
//! the registry; judges nothing.

use super::facts::Facts;
use super::lead::Work;
use super::ledger::Group;
use super::node::{Sentinel, Timer};
use super::peer::View;
use super::rebooting;
use super::registry::{Asked, Complaint, Instance, Link};
use super::request::Request;
use super::schedule;
use super::{Action, LinkError};
use crate::config::renames::Renames;
use crate::model::Address;
use crate::resp::Reply;
use crate::stdx::time::{Duration, Instant};
use std::sync::Arc;

/// While something is wrong: with a master, its replicas, or a failover under way.
const INFO_PACE_URGENT: Duration = Duration::from_millis(100);
const INFO_PACE_UNEASY: Duration = Duration::from_secs(1);
/// One that had to wait is tried again after this.
const HELLO_LATER: Duration = Duration::from_millis(100);
const DIAL_PACE_MIN: Duration = Duration::from_millis(50);
pub(super) const DIAL_PACE_MAX: Duration = Duration::from_millis(500);
const DIAL_LIMIT: Duration = Duration::from_secs(1);
/// Requests without an answer on one link; beyond it nothing more is asked.
const ASKED_MAX: usize = 64;
/// Far above what a data server without a thousand replicas says.
const INFO_BYTES_KEPT: usize = 32 * 1024;

/// What a silence may have begun before the first question that was not answered.
fn leeway(down_after: Duration) -> Duration {
    down_after / 5
}

/// PING at min(ping-period, down-after / 5), and half as often where all is well: an instance is held
/// to be down by when it was asked, not by how often (`Instance::silence`).
fn ping_pace(down_after: Duration, period: Duration, calm: bool) -> Duration {
    let pace = leeway(down_after) * if calm { 2 } else { 1 };
    pace.min(period).max(Duration::from_millis(10))
}

/// A connection on which nothing was answered for this long is given up and made anew: the peer may
/// be gone without a word.
fn patience(down_after: Duration) -> Duration {
    (down_after / 2).clamp(Duration::from_millis(100), Duration::from_secs(5))
}

impl Sentinel {
    fn wake(&mut self, address: &Address, at: Instant) {
        self.schedule.sooner(&Timer::Instance(address.clone()), at);
    }

    fn wake_group(&mut self, group: &str, at: Instant) {
        self.schedule.sooner(&Timer::Group(group.to_owned()), at);
    }

    pub(super) fn link_up(&mut self, now: Instant, address: &Address) {
        let Some(instance) = self.registry.get_mut(address) else { return };
        instance.link = Link::Up;
        instance.link_since = now;
        instance.generation += 1;
        instance.probe.connects += 1;
        instance.refused_since = None;
        instance.hanging_up = false;
        instance.dial_failures = 0;
        instance.asked.clear();
        instance.next_info = now;
        instance.next_ping = now;
        instance.next_hello = now;
        instance.served = false;
        let group = instance.group.clone();
        self.wake(address, now);
        self.wake_group(&group, now);
    }

    pub(super) fn link_down(&mut self, now: Instant, address: &Address, why: LinkError) {
        let Some(instance) = self.registry.get_mut(address) else { return };
        let was_up = instance.up();
        let ours = std::mem::replace(&mut instance.hanging_up, false);
        instance.link = Link::Down;
        instance.probe.failures += 1;
        instance.link_since = now;
        instance.asked.clear();
        match why {
            LinkError::Refused => {
                instance.refused_since.get_or_insert(now);
            }
            LinkError::Reset if !ours => {
                instance.refused_since.get_or_insert(now);
            }
            LinkError::AuthRefused | LinkError::Tls(_) => {
                // It lives; it is us it does not want, or we it: no promotion would mend that.
                instance.complaint = Some(match why {
                    LinkError::Tls(fault) => Complaint::Tls(fault),
                    _ => Complaint::AuthRefused,
                });
                instance.valid_at = now;
                instance.answered_at = Some(now);
                instance.refused_since = None;
            }
            // A broken link that is dialled again at once will say more.
            LinkError::Reset | LinkError::Timeout | LinkError::Unreachable | LinkError::Malformed => {}
        }
        let pause = if was_up {
            Duration::ZERO
        } else {
            let growth = DIAL_PACE_MIN * 2u32.saturating_pow(instance.dial_failures.min(8) / 4);
            instance.dial_failures = instance.dial_failures.saturating_add(1);
            growth.min(DIAL_PACE_MAX)
        };
        instance.next_dial = now + pause;
        let (at, group) = (instance.next_dial, instance.group.clone());
        self.wake(address, at);
        self.wake_group(&group, now);
    }

    pub(super) fn replied(
        &mut self,
        now: Instant,
        address: &Address,
        id: u64,
        reply: &Reply,
        actions: &mut Vec<Action>,
    ) {
        let Some(instance) = self.registry.get_mut(address) else { return };
        let Some(at) = instance.asked.iter().position(|asked| asked.id == id) else { return };
        // Answers come in order: what was skipped will never be answered.
        let Some(asked) = instance.asked.drain(..=at).next_back() else { return };
        instance.answered_at = Some(now);
        let group = instance.group.clone();
        let mut news;
        match asked.request {
            Request::Ping => {
                instance.probe.round_trip_us = Some(now.since(asked.at).as_micros() as u64);
                let as_master = self.ledger.group(&group).filter(|group| group.master == *address);
                news = pong(instance, now, reply, as_master);
            }
            Request::Info => news = informed(instance, &asked, reply, now),
            Request::Hello { .. } => news = false,
            Request::RelayedLease { to, .. } => {
                news = false;
                self.relay_answer(to, &group, address, reply, actions);
            }
            request => news = self.command_answered(now, &group, address, &request, reply),
        }
        // In a failover the next step waits for this, or for nothing.
        news |= self.ledger.group(&group).is_some_and(|group| group.failing_over());
        if news {
            self.wake_group(&group, now);
        }
    }

    /// Does what is due for one instance, and names the next moment.
    pub(super) fn tend(&mut self, now: Instant, address: &Address, actions: &mut Vec<Action>) {
        let Some(instance) = self.registry.get(address) else { return };
        let Some(group) = self.ledger.group(&instance.group) else { return };
        let down_after = group.settings.down_after();
        let fleet = &self.ledger.fleet;
        let own = self.groups.get(&instance.group);
        let urgent = own.is_some_and(|own| own.urgent);
        let uneasy = own.is_none_or(|own| own.uneasy);
        let silent = Work::stops_writes_of(group, address);
        // What is due soon goes with what is due now: one write here, one wakeup there.
        let ping_pace = ping_pace(down_after, fleet.ping_period(), !urgent && !uneasy);
        let instances = self.registry.len();
        let soon = |pace| schedule::shared(now, pace, address, instances);
        let slack = if instance.next_ping <= now { ping_pace / 2 } else { Duration::ZERO };
        let hello = (instance.up() && instance.next_hello <= now + slack && !silent).then(|| {
            let me = &self.address;
            format!(
                "{},{},{},{},{},{},{},{}",
                me.host,
                me.port,
                self.identity.run_id,
                group.last_epoch,
                group.name,
                group.master.host,
                group.master.port,
                group.epoch
            )
        });
        let renames = &group.settings.renames;
        let next_request = &mut self.next_request;
        let Some(instance) = self.registry.get_mut(address) else { return };
        let next = match instance.link {
            Link::Down if instance.next_dial <= now => {
                let limit = patience(down_after).min(DIAL_LIMIT);
                instance.link = Link::Dialing { until: now + limit };
                let timeout_ms = limit.as_millis() as u64;
                actions.push(Action::Dial { instance: address.clone(), timeout_ms });
                now + limit * 2
            }
            Link::Down => instance.next_dial,
            // The shell bounds the attempt; should its word be lost, we try again ourselves.
            Link::Dialing { until } if until + DIAL_LIMIT <= now => {
                instance.link = Link::Down;
                instance.next_dial = now + DIAL_PACE_MIN;
                instance.next_dial
            }
            Link::Dialing { until } => until + DIAL_LIMIT,
            Link::Up => {
                if let Some(payload) = hello {
                    instance.next_hello = soon(fleet.publish_period());
                    send(instance, address, now, Request::Hello { payload }, renames, next_request, actions);
                }
                if instance.next_info <= now + slack {
                    let pace = match (urgent, uneasy) {
                        (true, _) => INFO_PACE_URGENT,
                        (false, true) => INFO_PACE_UNEASY,
                        (false, false) => Duration::MAX,
                    };
                    instance.next_info = soon(pace.min(fleet.info_period()));
                    if !instance.awaits(|request| *request == Request::Info) {
                        send(instance, address, now, Request::Info, renames, next_request, actions);
                    }
                }
                if instance.next_ping <= now {
                    instance.next_ping = soon(ping_pace);
                    if !instance.awaits(|request| *request == Request::Ping) {
                        if instance.served {
                            // It answered all that it was asked: until now nobody asked, so nothing
                            // was amiss. What is amiss from here on counts from a little before.
                            let open = instance.asked.front().map_or(now, |asked| asked.at);
                            instance.presumed_at = open.earlier_by(leeway(down_after));
                        }
                        send(instance, address, now, Request::Ping, renames, next_request, actions);
                    }
                }
                let limit = patience(down_after);
                let oldest = instance.asked.front().map(|asked| asked.at + limit);
                match oldest {
                    Some(at) if at <= now && !instance.hanging_up => {
                        instance.hanging_up = true;
                        instance.probe.timeouts += 1;
                        actions.push(Action::Hangup { instance: address.clone() });
                        now + limit
                    }
                    // Hung up, and the shell has not told the end yet.
                    Some(at) if at <= now => now + limit,
                    oldest => {
                        [instance.next_info, instance.next_ping, instance.next_hello.max(now + HELLO_LATER)]
                            .into_iter()
                            .chain(oldest)
                            .min()
                            .unwrap_or(now + limit)
                    }
                }
            }
        };
        let next = next.max(now + Duration::from_millis(1));
        self.schedule.set(&Timer::Instance(address.clone()), next);
    }

    /// What the leader must know: only what is not as it should be, so that many healthy groups
    /// cost nothing.
    pub(super) fn views(&self, now: Instant) -> Vec<View> {
        let mut views = Vec::new();
        for (name, _) in self.groups.iter().filter(|(_, own)| own.uneasy) {
            let Some(group) = self.ledger.group(name) else { continue };
            for address in group.instances() {
                let Some(instance) = self.registry.get(address) else { continue };
                views.push(view(name, address, instance, group, now));
            }
        }
        views
    }
}

fn view(name: &str, address: &Address, instance: &Instance, group: &Group, now: Instant) -> View {
    let age = |at: Instant| now.since(at).as_millis() as u64;
    let facts = instance.current();
    let run_id = facts.and_then(|facts| facts.run_id.as_ref());
    View {
        group: name.to_owned(),
        instance: address.clone(),
        silent_ms: age(instance.valid_at),
        sdown: super::subjective::down(instance, group, now),
        refused_ms: instance.refused_since.map(age),
        restarted: *address == group.master
            && group.run_id.is_some()
            && run_id.is_some_and(|r| Some(r) != group.run_id.as_ref()),
        streamed_ms: instance.streamed_at.map(age),
        link_up: facts.filter(|facts| !facts.is_master()).map(|facts| facts.link_up),
    }
}

/// Writes one request to an instance whose link is up.
pub(super) fn send(
    instance: &mut Instance,
    address: &Address,
    now: Instant,
    request: Request,
    renames: &Renames,
    next_request: &mut u64,
    actions: &mut Vec<Action>,
) -> bool {
    if !instance.up() || instance.asked.len() >= ASKED_MAX {
        return false;
    }
    let id = *next_request;
    *next_request += 1;
    instance.probe.asked += 1;
    let mut argv = request.words();
    renames.apply(&mut argv);
    actions.push(Action::Send { instance: address.clone(), request: id, argv });
    instance.asked.push_back(Asked { id, request, at: now });
    true
}

/// Judges an answer to PING; whether it is news. `as_master`: the group whose agreed master answers.
fn pong(instance: &mut Instance, now: Instant, reply: &Reply, as_master: Option<&Group>) -> bool {
    let before = instance.complaint;
    let complaint = match reply.error() {
        None => None,
        Some(error) => match error.split(' ').next().unwrap_or_default() {
            "LOADING" => Some(Complaint::Loading),
            "BUSY" => Some(Complaint::Busy),
            "MISCONF" => Some(Complaint::CannotPersist),
            "NOAUTH" | "WRONGPASS" | "NOPERM" => Some(Complaint::AuthRefused),
            // A replica that lost its master, and whatever else a living server may say.
            "MASTERDOWN" => None,
            _ => Some(Complaint::Other),
        },
    };
    instance.complaint = complaint;
    instance.note_loading(complaint, now);
    let valid = match complaint {
        None | Some(Complaint::AuthRefused | Complaint::Tls(_) | Complaint::Other) => true,
        // A replica may take its time; a master that serves nobody for down-after has failed.
        Some(Complaint::Loading) => {
            as_master.is_none_or(|group| rebooting::counts_as_answer(instance, group, now))
        }
        Some(Complaint::Busy | Complaint::CannotPersist) => false,
    };
    let first = !instance.ever_valid;
    instance.served = valid;
    if valid {
        instance.valid_at = now;
        instance.ever_valid = true;
    }
    before != complaint || first
}

/// As much of an INFO as is worth keeping.
fn kept(text: &str) -> Arc<str> {
    let mut end = text.len().min(INFO_BYTES_KEPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

/// Takes facts over; whether they are news worth a look at once.
fn informed(instance: &mut Instance, asked: &Asked, reply: &Reply, now: Instant) -> bool {
    let facts = reply.as_str().and_then(|text| Facts::read(text, asked.at, instance.generation));
    let Some(facts) = facts else { return false };
    let before = instance.facts.take();
    instance.info = reply.as_str().map(kept);
    if before.as_ref().is_some_and(|old| old.run_id.is_some() && old.run_id != facts.run_id) {
        instance.rebooted = true;
    }
    if before.as_ref().is_some_and(|old| old.role != facts.role) {
        instance.role_since = now;
    }
    if facts.role == super::facts::Role::Replica && facts.link_up {
        let grown = before.as_ref().filter(|old| {
            old.run_id == facts.run_id && old.history == facts.history && old.offset < facts.offset
        });
        // Bytes came after the earlier sample was asked for, or so long before the later one.
        let by_growth = grown.map(|old| old.asked_at);
        let by_word = facts.silence.map(|silence| {
            Instant::from_micros(facts.asked_at.since(Instant::ZERO + silence).as_micros() as u64)
        });
        instance.streamed_at = instance.streamed_at.max(by_growth).max(by_word);
    }
    let news = before.as_ref().is_none_or(|old| {
        old.generation != facts.generation
            || old.role != facts.role
            || old.run_id != facts.run_id
            || old.link_up != facts.link_up
            || old.master != facts.master
            || old.replicas != facts.replicas
            || old.history != facts.history
            || old.bundled.as_ref().map(|b| (b.epoch, b.role, b.set_version))
                != facts.bundled.as_ref().map(|b| (b.epoch, b.role, b.set_version))
    });
    instance.facts = Some(facts);
    news
}
