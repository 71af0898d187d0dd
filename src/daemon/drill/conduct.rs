//! The order of a drill: look, lay the baseline, let the canary sing, do the harm, wait for the new
//! master, undo the harm, wait until the fleet is whole, read what is left, judge.
//!
//! Promises: however it ends, the harm is undone, nothing of its own keeps running, and what it wrote
//! is removed as far as a master can be reached.

use super::canary::{Canary, Diary, Late, open, stay_behind};
use super::discovery::Discovery;
use super::{Field, Keys, witness};
use crate::daemon::clock;
use crate::drill::{Record, figure, judge};
use crate::model::Address;
use crate::model::drill::{Scenario, Scorecard};
use crate::model::event::Event;
use crate::model::status::Status;
use crate::stdx::time::Instant;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

const READY_WITHIN: Duration = Duration::from_secs(10);
/// So many promised writes, and so long, before the harm is done.
const WARM_PROMISED: u64 = 50;
const WARM: Duration = Duration::from_millis(1000);
const WARM_WITHIN: Duration = Duration::from_secs(30);
/// Above down-after: how long a new master is waited for.
const SWITCH_WITHIN: Duration = Duration::from_secs(30);
const WHOLE_WITHIN: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);
/// From the first write at the new master to undoing the harm: whoever then still acknowledges
/// anything at the old one does so long after it was replaced.
const UNDO_AFTER: Duration = Duration::from_millis(500);
const BASELINE: u64 = 100;
const EQUAL_WITHIN: Duration = Duration::from_secs(15);

/// What is to be practised.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: u64,
    pub name: String,
    pub scenario: Scenario,
    pub live: bool,
    pub slo_gap_ms: Option<u64>,
    /// Between two writes of the canary.
    pub pace: Duration,
    /// The old master gets its place back.
    pub go_back: bool,
}

/// Whoever does the harm, and undoes it.
pub trait Hand: Send {
    /// Returns when it is done, with what was done as words for a person.
    fn fault(&mut self, master: &Address) -> impl Future<Output = Result<String, String>> + Send;
    /// Undoes what does not undo itself. May be called without a fault.
    fn heal(&mut self) -> impl Future<Output = Result<(), String>> + Send;
    /// Where a client on the master's own side of a cut reaches it.
    fn beside(&self, master: &Address) -> Address {
        master.clone()
    }
}

/// A line for whoever watches.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Since the drill began.
    pub at: Duration,
    pub text: String,
}

/// Runs it to its end, or until `abort` has a reason.
pub async fn conduct(
    field: &Field,
    order: &Order,
    hand: &mut impl Hand,
    progress: &mpsc::UnboundedSender<Progress>,
    mut abort: watch::Receiver<Option<String>>,
) -> Scorecard {
    let mut drill = Drill::new(field, order, progress);
    let result = tokio::select! {
        result = drill.run(hand) => result,
        Ok(why) = abort.wait_for(Option::is_some) => {
            Err(why.clone().unwrap_or_else(|| "it was ended".to_owned()))
        }
    };
    if let Err(why) = &result {
        drill.say(format!("giving up: {why}"));
    }
    drill.end(hand, result).await
}

struct Drill<'a> {
    field: &'a Field,
    order: &'a Order,
    progress: &'a mpsc::UnboundedSender<Progress>,
    keys: Keys,
    zero: Instant,
    record: Record,
    diary: Arc<Mutex<Diary>>,
    late: Arc<Mutex<Late>>,
    events: BTreeMap<u64, Event>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    servers: Vec<Address>,
    bundled: bool,
    laid: bool,
}

impl<'a> Drill<'a> {
    fn new(field: &'a Field, order: &'a Order, progress: &'a mpsc::UnboundedSender<Progress>) -> Self {
        let now = clock::now();
        let record = Record {
            id: order.id,
            name: order.name.clone(),
            group: field.group.clone(),
            scenario: order.scenario,
            live: order.live,
            slo_gap_ms: order.slo_gap_ms,
            down_after_ms: 0,
            sync_quorum: 1,
            replicas: 0,
            sentinels: field.sentinels.len(),
            started_ms: now.wall.as_millis(),
            fault_us: None,
            ended_us: 0,
            servers: Vec::new(),
            old_master: Address::new("-", 0),
            attempts: Vec::new(),
            events: Vec::new(),
            in_sync_us: None,
            doubts: Vec::new(),
            named: Vec::new(),
            holdings: Vec::new(),
            baseline: BASELINE,
            late_acknowledged: None,
            returned: None,
            trouble: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Drill {
            field,
            order,
            progress,
            keys: Keys::of(order.id),
            zero: now.mono,
            record,
            diary: Arc::default(),
            late: Arc::default(),
            events: BTreeMap::new(),
            tasks: JoinSet::new(),
            stop: watch::channel(false).0,
            servers: Vec::new(),
            bundled: false,
            laid: false,
        }
    }

    fn elapsed(&self) -> Duration {
        clock::mono().since(self.zero)
    }

    fn now_us(&self) -> u64 {
        self.elapsed().as_micros() as u64
    }

    fn say(&self, text: impl Into<String>) {
        // Nobody has to watch.
        let _ = self.progress.send(Progress { at: self.elapsed(), text: text.into() });
    }

    async fn run(&mut self, hand: &mut impl Hand) -> Result<(), String> {
        self.look().await?;
        let master = self.record.old_master.clone();
        witness::lay_baseline(self.field, &self.keys, &master, BASELINE, self.record.replicas).await?;
        self.laid = true;
        let discovery = Arc::new(Discovery::start(self.field));
        let canary = Canary {
            key: self.keys.canary.clone(),
            quorum: self.record.sync_quorum,
            pause: self.order.pace,
            zero: self.zero,
            diary: self.diary.clone(),
        };
        self.tasks.spawn(canary.sing(self.field.clone(), discovery.clone(), self.stop.subscribe()));
        self.warm_up().await?;
        if self.bundled && self.order.scenario.row().switches {
            self.tasks.spawn(stay_behind(
                self.field.clone(),
                hand.beside(&master),
                self.keys.late.clone(),
                discovery.subscribe(),
                self.late.clone(),
                self.stop.subscribe(),
            ));
            self.record.late_acknowledged = Some(0);
        }
        self.say(format!("{}: {}", self.order.scenario.name(), self.order.scenario.row().summary));
        self.record.fault_us = Some(self.now_us());
        let done = hand.fault(&master).await?;
        self.say(done);
        if self.order.scenario.row().switches {
            self.await_new_master(&discovery).await;
            tokio::time::sleep(UNDO_AFTER).await;
        }
        self.late.lock().unwrap_or_else(PoisonError::into_inner).silent_from = Some(clock::mono());
        hand.heal().await?;
        self.await_whole().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.stop.send_replace(true);
        self.read_what_is_left().await;
        if self.order.go_back {
            self.go_back().await;
        }
        Ok(())
    }

    /// The fleet as it is, from a sentinel that can speak for it.
    async fn look(&mut self) -> Result<(), String> {
        let mut why = "no sentinel in touch with the majority answers".to_owned();
        while self.elapsed() < READY_WITHIN {
            if let Some(status) = witness::fresh_status(self.field).await {
                match witness::group(self.field, &status) {
                    None => return Err(format!("no group is named '{}'", self.field.group)),
                    Some(group) if group.situation != "ok" => {
                        why = format!("the group is not well: {}", group.summary);
                    }
                    Some(group) => {
                        self.record.old_master = group.master.address.clone();
                        self.record.down_after_ms = group.down_after_ms;
                        self.record.sync_quorum = group.sync_quorum;
                        self.record.replicas = group.replicas.len();
                        self.bundled = group.master.bundled;
                        self.servers = vec![group.master.address.clone()];
                        self.servers.extend(group.replicas.iter().map(|replica| replica.address.clone()));
                        open(&self.diary).servers.clone_from(&self.servers);
                        return Ok(());
                    }
                }
            }
            tokio::time::sleep(POLL).await;
        }
        Err(why)
    }

    async fn warm_up(&mut self) -> Result<(), String> {
        let began = self.elapsed();
        loop {
            let promised = open(&self.diary).promised;
            let waited = self.elapsed() - began;
            if promised >= WARM_PROMISED && waited >= WARM {
                self.say(format!("the canary writes: {promised} writes promised by WAIT"));
                return Ok(());
            }
            if waited > WARM_WITHIN {
                return Err(format!(
                    "only {promised} writes were promised by WAIT within {} s",
                    WARM_WITHIN.as_secs()
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns when a write was acknowledged by another server, or when that takes too long: the
    /// record then says so.
    async fn await_new_master(&mut self, discovery: &Discovery) {
        let limit = self.elapsed() + SWITCH_WITHIN + Duration::from_millis(self.record.down_after_ms);
        let fault_us = self.record.fault_us.unwrap_or(0);
        let mut told = false;
        while self.elapsed() < limit {
            let known = discovery.known();
            if let (false, Some(_), Some(master)) = (told, known.switched_at, &known.master) {
                told = true;
                self.say(format!("+switch-master: clients are sent to {master}"));
            }
            let first = open(&self.diary)
                .attempts
                .iter()
                .rev()
                .take_while(|attempt| attempt.sent_us >= fault_us)
                .filter(|attempt| attempt.server != 0)
                .filter_map(|attempt| attempt.acknowledged_us)
                .min();
            if let Some(at) = first {
                self.say(format!(
                    "first write acknowledged {} after the fault",
                    figure(at.saturating_sub(fault_us))
                ));
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.say("no other master took a write in time");
    }

    async fn await_whole(&mut self) {
        let limit = self.elapsed() + WHOLE_WITHIN;
        let moved = open(&self.diary).attempts.iter().any(|a| a.server != 0 && a.acknowledged_us.is_some());
        loop {
            if let Some(status) = witness::fresh_status(self.field).await {
                self.gather(&status);
            }
            let mut doubts = witness::doubts(self.field, &self.servers).await;
            if doubts.is_empty() && moved {
                let named = witness::named(self.field).await;
                let old = Some(self.record.old_master.clone());
                if named.iter().any(|(_, named)| *named == old) {
                    doubts.push("a sentinel still names the old master".to_owned());
                }
            }
            if doubts.is_empty() {
                self.record.in_sync_us = Some(self.now_us());
                self.record.doubts.clear();
                let after = self.now_us().saturating_sub(self.record.fault_us.unwrap_or(0));
                return self
                    .say(format!("every replica is in sync again, {} after the fault", figure(after)));
            }
            if self.elapsed() > limit {
                self.say(format!("not whole again: {}", doubts.join("; ")));
                self.record.doubts = doubts;
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn gather(&mut self, status: &Status) {
        let since = self.record.started_ms.saturating_sub(1000);
        let ours =
            status.events.iter().filter(|event| event.group == self.field.group && event.at_ms >= since);
        self.events.extend(ours.map(|event| (event.id, event.clone())));
    }

    /// Each server's data: replicas may be a moment behind the last write.
    async fn read_what_is_left(&mut self) {
        if let Some(status) = witness::fresh_status(self.field).await {
            self.gather(&status);
        }
        self.record.named = witness::named(self.field).await;
        let limit = self.elapsed() + EQUAL_WITHIN;
        loop {
            let mut holdings = Vec::new();
            for (index, server) in self.servers.iter().enumerate() {
                holdings.push(witness::holding(self.field, &self.keys, server, index).await);
            }
            let first = holdings.first().and_then(|holding| holding.numbers.clone());
            let equal = first.is_some() && holdings.iter().all(|holding| holding.numbers == first);
            self.record.holdings = holdings;
            if equal || self.elapsed() > limit {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        self.say("every server's data was read and compared");
    }

    /// By a planned switchover.
    async fn go_back(&mut self) {
        let old = self.record.old_master.clone();
        let now = witness::named(self.field).await.into_iter().find_map(|(_, named)| named);
        if now.as_ref() == Some(&old) {
            return;
        }
        self.say(format!("giving {old} its place back"));
        let returned = match super::live::switchover(self.field, Some(&old)).await {
            Err(why) => Err(why),
            Ok(()) => self.await_return(&old).await,
        };
        self.record.returned = Some(returned);
    }

    async fn await_return(&self, old: &Address) -> Result<(), String> {
        let limit = self.elapsed() + WHOLE_WITHIN;
        loop {
            let named = witness::named(self.field).await;
            let back = named.iter().all(|(_, named)| named.as_ref() == Some(old));
            let doubts = witness::doubts(self.field, &self.servers).await;
            if back && doubts.is_empty() {
                return Ok(());
            }
            if self.elapsed() > limit {
                let why =
                    if back { doubts.join("; ") } else { "the switchover back was not agreed".to_owned() };
                return Err(why);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Everything is stopped, undone and removed, whatever happened before.
    async fn end(mut self, hand: &mut impl Hand, result: Result<(), String>) -> Scorecard {
        self.stop.send_replace(true);
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        if result.is_err()
            && let Err(why) = hand.heal().await
        {
            self.say(why);
        }
        if self.laid {
            let named = witness::named(self.field).await.into_iter().find_map(|(_, named)| named);
            if let Some(master) = named
                && let Err(why) = witness::clean(self.field, &self.keys, &master).await
            {
                self.say(format!("the drill's keys stay on {master} until they expire: {why}"));
            }
        }
        self.record.ended_us = self.now_us();
        self.record.trouble = result.err();
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner).acknowledged;
        self.record.late_acknowledged = self.record.late_acknowledged.map(|_| late);
        let diary = std::mem::take(&mut *open(&self.diary));
        self.record.servers = diary.servers;
        self.record.attempts = diary.attempts;
        self.record.events = self.events.into_values().collect();
        judge(&self.record)
    }
}
