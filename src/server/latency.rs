//! How long things take: a histogram for every command, and a history of what took longer than
//! `latency-monitor-threshold`. Decides nothing.

use super::Server;
use super::table::CommandId;
use crate::model::info::InfoWriter;
use crate::stdx::time::{Duration, Instant, Now};
use std::collections::{BTreeMap, VecDeque};

/// As many as Redis keeps of each kind.
const SAMPLES_MAX: usize = 160;
/// Each power of two is cut into so many steps: 1.6 %.
const STEPS_LOG2: u32 = 6;
const STEPS: usize = 1 << STEPS_LOG2;
/// Nanoseconds up to 2^30, a second.
const POWERS: usize = 30 - STEPS_LOG2 as usize + 2;

/// Counts by duration, in steps that grow with it.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u32]>,
    pub total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; POWERS * STEPS].into(), total: 0 }
    }
}

impl Histogram {
    #[inline]
    pub fn add(&mut self, took: Duration) {
        let ns = (took.as_nanos() as u64).clamp(1000, (1 << 30) - 1);
        let power = (ns | (STEPS as u64 - 1)).ilog2() - (STEPS_LOG2 - 1);
        let step = if power == 0 { ns as usize } else { (ns >> (power - 1)) as usize & (STEPS - 1) };
        let at = power as usize * STEPS + step;
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add(1);
        }
        self.total += 1;
    }

    /// The largest duration that counts in this place, in nanoseconds.
    fn highest_ns(at: usize) -> u64 {
        let (power, step) = (at / STEPS, (at % STEPS) as u64);
        if power == 0 { step } else { ((STEPS as u64 + step + 1) << (power - 1)) - 1 }
    }

    pub fn percentile_us(&self, percentile: f64) -> f64 {
        let wanted = ((self.total as f64 * percentile / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        for (at, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted {
                return Self::highest_ns(at) as f64 / 1000.0;
            }
        }
        0.0
    }

    /// `(microseconds, how many took at most that)`, the bound doubling from 1 on, without those
    /// that add nothing.
    pub fn doubling(&self) -> Vec<(u64, u64)> {
        let (mut bound_ns, mut seen, mut at, mut all) = (1024, 0, 0, Vec::new());
        while seen < self.total && at < self.counts.len() {
            let before = seen;
            while at < self.counts.len() && Self::highest_ns(at) < bound_ns {
                seen += u64::from(self.counts[at]);
                at += 1;
            }
            if seen > before {
                all.push((bound_ns / 1000, seen));
            }
            bound_ns *= 2;
        }
        all
    }
}

/// What took long, of one kind.
#[derive(Debug, Default)]
pub struct Series {
    /// Seconds and milliseconds, the oldest first; at most one for a second.
    pub samples: VecDeque<(u64, u64)>,
    pub max_ms: u64,
}

#[derive(Debug, Default)]
pub struct Latency {
    /// By command; `None` until it is called.
    histograms: Vec<Option<Histogram>>,
    pub events: BTreeMap<&'static str, Series>,
}

impl Latency {
    pub fn new(commands: usize) -> Self {
        Latency { histograms: vec![None; commands], events: BTreeMap::new() }
    }

    #[inline]
    pub fn histogram(&mut self, id: CommandId) -> &mut Histogram {
        if self.histograms.len() <= id {
            self.histograms.resize(id + 1, None);
        }
        self.histograms[id].get_or_insert_with(Histogram::default)
    }

    pub fn histogram_of(&self, id: CommandId) -> Option<&Histogram> {
        self.histograms.get(id)?.as_ref()
    }

    pub fn drop_histograms(&mut self) {
        self.histograms.iter_mut().for_each(|histogram| *histogram = None);
    }

    pub fn note(&mut self, now: Now, event: &'static str, took: Duration) {
        let (second, ms) = (now.wall.as_millis() / 1000, took.as_millis() as u64);
        let series = self.events.entry(event).or_default();
        series.max_ms = series.max_ms.max(ms);
        match series.samples.back_mut() {
            Some((last, worst)) if *last == second => *worst = (*worst).max(ms),
            _ => {
                series.samples.push_back((second, ms));
                if series.samples.len() > SAMPLES_MAX {
                    series.samples.pop_front();
                }
            }
        }
    }
}

impl Server {
    /// Work between commands that took long; `since`: when it began, as [`Server::watch`] told.
    pub(in crate::server) fn note_cycle(&mut self, now: Now, event: &'static str, since: Option<Instant>) {
        let threshold_ms = self.config.latency.threshold_ms;
        let (Some(since), Some(clock)) = (since, self.scripting.clock()) else { return };
        let took = clock().since(since);
        if took.as_millis() as u64 >= threshold_ms {
            self.latency.note(now, event, took);
        }
    }

    /// What time it is, if anybody wants to know how long things take.
    pub(in crate::server) fn watch(&self) -> Option<Instant> {
        if self.config.latency.threshold_ms == 0 { None } else { self.scripting.clock().map(|clock| clock()) }
    }

    /// DEBUG SLEEP: the only command that is slow outside of its handler.
    pub(in crate::server) fn note_stall(&mut self, now: Now, took: Duration) {
        let threshold_ms = self.config.latency.threshold_ms;
        if threshold_ms > 0 && took.as_millis() as u64 >= threshold_ms {
            self.latency.note(now, "command", took);
        }
    }
}

/// INFO latencystats.
pub(super) fn info(server: &Server, _: Now, out: &mut InfoWriter) {
    out.section("Latencystats");
    let percentiles = &server.config.latency.percentiles;
    for slot in 0..server.table.slots() {
        let Some(histogram) = server.latency.histogram_of(slot) else { continue };
        let shown: Vec<String> =
            percentiles.iter().map(|p| format!("p{p}={:.3}", histogram.percentile_us(*p))).collect();
        out.field(&format!("latency_percentiles_usec_{}", server.table.name_of(slot)), shown.join(","));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each look at it takes ten milliseconds.
    fn slow_clock() -> Instant {
        thread_local!(static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
        LOOKS.with(|looks| looks.set(looks.get() + 1));
        Instant::from_millis(LOOKS.with(|looks| looks.get()) * 10)
    }

    #[test]
    fn slow_cycles_are_events_and_quick_ones_are_not() {
        let cycles = |clock: fn() -> Instant, threshold_ms: u64| {
            let mut config = crate::config::server::ServerConfig::default();
            config.latency.threshold_ms = threshold_ms;
            let now = Now::at_millis(1_700_000_000_000);
            let mut server = Server::new(config, 1, now);
            server.set_script_clock(clock);
            server.handle(now, crate::server::Input::Tick, &mut Vec::new());
            let events = server.latency.events.iter();
            events.map(|(name, series)| (*name, series.max_ms)).collect::<Vec<_>>()
        };
        assert_eq!(cycles(slow_clock, 10), [("eviction-cycle", 10), ("expire-cycle", 10)]);
        assert_eq!(cycles(slow_clock, 11), []);
        assert_eq!(cycles(slow_clock, 0), []);
        assert_eq!(cycles(|| Instant::ZERO, 1), []);
    }

    #[test]
    fn percentiles_are_near_and_bounds_double() {
        let mut histogram = Histogram::default();
        for us in 1..=1000 {
            histogram.add(Duration::from_micros(us));
        }
        for (percentile, us) in [(50.0, 500.0), (99.0, 990.0), (100.0, 1000.0)] {
            let found = histogram.percentile_us(percentile);
            assert!((found - us).abs() < us * 0.02, "{percentile}: {found}");
        }
        let doubling = histogram.doubling();
        assert_eq!(
            doubling.iter().map(|(bound, _)| *bound).collect::<Vec<_>>(),
            [1, 2, 4, 8, 16, 32, 65, 131, 262, 524, 1048]
        );
        assert_eq!(doubling.last(), Some(&(1048, 1000)));
        assert!((495..=530).contains(&doubling[9].1), "{doubling:?}");
        histogram.add(Duration::from_secs(100));
        assert!(histogram.percentile_us(100.0) > 1_000_000.0);
    }
}
