//! Counters of INFO, commandstats and the rates that people watch.

use super::table::CommandId;
use crate::stdx::time::{Duration, Instant};
use std::collections::BTreeMap;

/// Kinds of errors that are counted apart.
const ERROR_CODES_MAX: usize = 128;
/// Samples of the rate; INFO shows their mean.
const RATE_SAMPLES: usize = 16;

#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    pub calls: u64,
    pub micros: u64,
    pub rejected: u64,
    pub failed: u64,
}

#[derive(Debug, Default)]
pub struct Stats {
    pub commands: u64,
    pub calls: Vec<Calls>,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub expired_keys: u64,
    /// Rounds of expiry that left some for the next one.
    pub expiry_cut_short: u64,
    /// Connections closed for `maxmemory-clients`.
    pub evicted_clients: u64,
    pub error_replies: u64,
    /// Replicas that got the whole data set.
    pub sync_full: u64,
    /// Replicas that went on where they had stopped, and those that asked for it in vain.
    pub sync_partial_ok: u64,
    pub sync_partial_err: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    /// Changes since the last snapshot.
    pub dirty: u64,
    pub resident_bytes: u64,
    pub resident_bytes_peak: u64,
    /// By the first word of the reply.
    pub errors: BTreeMap<String, u64>,
    /// Commands, bytes in and bytes out, each second.
    rates: [[u64; 3]; RATE_SAMPLES],
    rate_next: usize,
    sampled: Option<(Instant, [u64; 3])>,
}

impl Stats {
    pub fn new(commands: usize) -> Self {
        Stats { calls: vec![Calls::default(); commands], ..Stats::default() }
    }

    pub fn called(&mut self, id: CommandId, took: Duration) {
        self.commands += 1;
        if let Some(calls) = self.calls.get_mut(id) {
            calls.calls += 1;
            calls.micros += took.as_micros() as u64;
        }
    }

    /// An error was replied.
    pub fn error(&mut self, text: &str) {
        self.error_replies += 1;
        let code = text.split(' ').next().unwrap_or_default();
        if let Some(count) = self.errors.get_mut(code) {
            *count += 1;
        } else if self.errors.len() < ERROR_CODES_MAX {
            // Scripts choose their own.
            self.errors.insert(code.chars().take(64).collect(), 1);
        }
    }

    pub fn resident(&mut self, bytes: u64) {
        self.resident_bytes = bytes;
        self.resident_bytes_peak = self.resident_bytes_peak.max(bytes);
    }

    /// Notes the rates since the last sample.
    pub fn sample(&mut self, now: Instant) {
        let totals = [self.commands, self.input_bytes, self.output_bytes];
        if let Some((then, before)) = self.sampled {
            let ms = now.since(then).as_millis().max(1) as u64;
            let rates = &mut self.rates[self.rate_next % RATE_SAMPLES];
            for (rate, (total, before)) in rates.iter_mut().zip(totals.into_iter().zip(before)) {
                *rate = (total - before) * 1000 / ms;
            }
            self.rate_next += 1;
        }
        self.sampled = Some((now, totals));
    }

    fn rate(&self, of: usize) -> u64 {
        let count = self.rate_next.clamp(1, RATE_SAMPLES) as u64;
        self.rates.iter().map(|rates| rates[of]).sum::<u64>() / count
    }

    pub fn commands_per_second(&self) -> u64 {
        self.rate(0)
    }

    pub fn input_kib_per_second(&self) -> f64 {
        self.rate(1) as f64 / 1024.0
    }

    pub fn output_kib_per_second(&self) -> f64 {
        self.rate(2) as f64 / 1024.0
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&mut self) {
        let (dirty, resident) = (self.dirty, self.resident_bytes);
        *self = Stats::new(self.calls.len());
        self.dirty = dirty;
        self.resident(resident);
    }
}
