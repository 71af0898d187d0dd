//! maxmemory: while more memory is used than allowed, keys go by the policy, before a command is
//! admitted and at the server's own wakeups. Replicas and the log get a deletion for each.
//!
//! Promises: one command waits for no more evictions than `maxmemory-eviction-tenacity` allows; a
//! command is refused for want of memory only when nothing can go; a replica, and a master nobody
//! vouches for, change no data of their own. Reads no clock: what a slice may take is counted in keys.

use super::{Action, Level, Server};
use crate::commands::CommandError;
use crate::config::server::memory::MemoryConfig;
use crate::stdx::time::{Duration, Instant, Now};
use crate::store::access::{Lfu, Tracking};
use crate::store::eviction::{Policy, Pool};
use crate::store::stream_node::NodeLimits;
use crate::store::{Lazy, Limits};

/// Evictions of one slice per step of the tenacity: at 10, Redis' default, about half a millisecond.
const KEYS_PER_STEP: usize = 20;

const FREEING_PERIOD: Duration = Duration::from_millis(1);

/// Tells how many bytes the process has allocated.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    pub used: fn() -> u64,
    /// The most since this was last asked.
    pub peak: fn() -> u64,
}

/// Less than this is not worth asking all threads for.
const GIVEN_BACK_BYTES_MIN: u64 = 4 << 20;

#[derive(Debug, Default)]
pub struct Eviction {
    pool: Pool,
    meter: Option<Meter>,
    pub startup_bytes: u64,
    pub peak_bytes: u64,
    /// The most that was used since memory was last given back.
    high_bytes: u64,
    /// What the machine has.
    pub machine_bytes: u64,
    /// Too much is used, and nothing may go.
    is_out_of_memory: bool,
    /// More is to go when this slice is done.
    is_running: bool,
    pub evicted_keys: u64,
    told: bool,
}

impl Eviction {
    pub fn reset_stats(&mut self) {
        self.evicted_keys = 0;
    }
}

pub(super) fn policy_of(config: &MemoryConfig) -> Policy {
    match config.policy {
        "volatile-lru" => Policy::VolatileLru,
        "volatile-lfu" => Policy::VolatileLfu,
        "volatile-random" => Policy::VolatileRandom,
        "volatile-ttl" => Policy::VolatileTtl,
        "allkeys-lru" => Policy::AllKeysLru,
        "allkeys-lfu" => Policy::AllKeysLfu,
        "allkeys-random" => Policy::AllKeysRandom,
        _ => Policy::NoEviction,
    }
}

/// Keys that one slice may take.
fn slice_keys(tenacity: u32) -> usize {
    match tenacity {
        0..=10 => KEYS_PER_STEP * tenacity as usize,
        11..=99 => (KEYS_PER_STEP as f64 * 10.0 * 1.15f64.powi(tenacity as i32 - 10)) as usize,
        _ => usize::MAX,
    }
}

impl Server {
    /// Where used memory is read, and what the machine has; told once at the start.
    pub fn set_meter(&mut self, meter: Meter, machine_bytes: u64) {
        self.eviction.meter = Some(meter);
        self.eviction.startup_bytes = (meter.used)();
        self.eviction.machine_bytes = machine_bytes;
    }

    /// Bytes allocated; without a meter what the machine says the process takes.
    pub(in crate::server) fn used_bytes(&self) -> u64 {
        self.eviction.meter.map_or(self.stats.resident_bytes, |meter| (meter.used)())
    }

    pub(in crate::server) fn note_memory_peak(&mut self) {
        let used = self.used_bytes();
        // Between two looks all may have come and gone.
        let peak = self.eviction.meter.map_or(used, |meter| (meter.peak)().max(used));
        self.eviction.peak_bytes = self.eviction.peak_bytes.max(peak);
        let high = self.eviction.high_bytes.max(peak);
        // Small things are freed by the threads that had them, and the allocator keeps their pages until it is
        // asked. A look costs as much as there is left, so it must be earned.
        let is_earned = high - used >= GIVEN_BACK_BYTES_MIN.max(used / 8);
        self.eviction.high_bytes = if is_earned { used } else { high };
        if is_earned {
            self.actions.push(Action::PurgeMemory);
        }
    }

    /// What waits for replicas and the disk: evicting for it would make more of it.
    pub(in crate::server) fn not_counted_bytes(&self) -> u64 {
        let replicas = self.replication.replicas.attached().map(|replica| replica.waiting_bytes()).max();
        self.aof.waiting_bytes() + replicas.unwrap_or(0) as u64
    }

    /// Whether more is used than allowed.
    fn is_over(&self) -> bool {
        let max = self.config.memory.max_bytes;
        if max == 0 {
            return false;
        }
        let used = self.used_bytes();
        used > max && used.saturating_sub(self.not_counted_bytes()) > max
    }

    /// Lets keys go until memory is enough or the slice is used up. Cheap when it is enough.
    pub(in crate::server) fn evict(&mut self, now: Now) {
        self.eviction.is_running = false;
        if !self.is_over() || !self.may_evict(now) {
            self.eviction.is_out_of_memory = false;
            return;
        }
        let policy = policy_of(&self.config.memory);
        let (samples, lazy) = (self.config.memory.samples as usize, self.config.memory.lazy.eviction);
        for _ in 0..slice_keys(self.config.memory.eviction_tenacity) {
            let mut pool = std::mem::take(&mut self.eviction.pool);
            let victim =
                self.keyspace.choose_victim(policy, samples, now.wall.as_millis(), &mut pool, &mut self.rng);
            self.eviction.pool = pool;
            let Some((db, key)) = victim else {
                // What is being freed still counts as used: wait for it before refusing.
                self.eviction.is_running = self.is_freeing();
                self.eviction.is_out_of_memory = !self.eviction.is_running;
                self.tell_out_of_memory();
                return;
            };
            if let Some(value) = self.keyspace.remove(db, &key) {
                if lazy {
                    self.keyspace.discard_value(value);
                } else {
                    drop(value);
                }
                self.eviction.evicted_keys += 1;
                let word: &[u8] = if lazy { b"UNLINK" } else { b"DEL" };
                self.feed(db, &[word, &key]);
                self.touch(db, &key);
                self.notify(crate::config::server::notify::EVICTED, "evicted", db, &key);
            }
            if self.is_freeing() {
                // How much it frees is known when it is freed.
                break;
            }
            if !self.is_over() {
                self.eviction.is_out_of_memory = false;
                return;
            }
        }
        self.eviction.is_running = true;
        self.eviction.is_out_of_memory = false;
    }

    fn is_freeing(&self) -> bool {
        self.keyspace.has_garbage() || self.keyspace.garbage_counters().pending() > 0
    }

    fn may_evict(&self, now: Now) -> bool {
        if self.loading || self.hub.pause.is_some() {
            return false;
        }
        match self.replication.is_replica() {
            true => !self.config.memory.replica_ignores_max,
            false => self.gate.is_vouched(now.mono),
        }
    }

    fn tell_out_of_memory(&mut self) {
        if self.eviction.is_out_of_memory && !std::mem::replace(&mut self.eviction.told, true) {
            let text = format!(
                "more than maxmemory ({} bytes) is used and no key may go by maxmemory-policy {}: commands that need memory are refused; raise maxmemory, choose a policy that evicts, or delete keys",
                self.config.memory.max_bytes, self.config.memory.policy
            );
            self.log(Level::Warning, text);
        }
    }

    /// Why a command that needs memory is not run.
    pub(in crate::server) fn refuse_for_memory(&self) -> Option<CommandError> {
        self.eviction
            .is_out_of_memory
            .then(|| "OOM command not allowed when used memory > 'maxmemory'.".into())
    }

    /// Evictions go on at once.
    pub(in crate::server) fn is_evicting(&self) -> bool {
        self.eviction.is_running
    }

    pub(in crate::server) fn eviction_wakeup(&self, now: Instant) -> Option<Instant> {
        // While something is being freed there is nothing to do but to look again.
        let pause = if self.is_freeing() { FREEING_PERIOD } else { Duration::ZERO };
        self.is_evicting().then(|| now + pause)
    }

    /// What others copied from the configuration of memory.
    pub(in crate::server) fn memory_config_changed(&mut self) {
        let config = &self.config.memory;
        let lfu = Lfu { log_factor: config.lfu_log_factor, decay_minutes: config.lfu_decay_minutes };
        let tracking = if policy_of(config).is_lfu() { Tracking::Frequency(lfu) } else { Tracking::Recency };
        let small = |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX);
        let encodings = &config.encodings;
        self.keyspace.set_limits(Limits {
            hash_entries: small(encodings.hash_entries),
            hash_bytes: small(encodings.hash_bytes),
            set_ints: small(encodings.set_ints),
            zset_entries: small(encodings.zset_entries),
            zset_bytes: small(encodings.zset_bytes),
            list_node: encodings.list_node.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
            stream_node: NodeLimits {
                bytes: usize::try_from(encodings.stream_node_bytes).unwrap_or(usize::MAX),
                entries: usize::try_from(encodings.stream_node_entries).unwrap_or(usize::MAX),
            },
            hll_sparse_bytes: small(encodings.hll_sparse_bytes),
        });
        let lazy = &config.lazy;
        self.keyspace.lazy = Lazy {
            deleted: lazy.user_del,
            replaced: lazy.server_del,
            expired: lazy.expire,
            flushed: lazy.user_flush,
            resynced: lazy.replica_flush,
        };
        if self.keyspace.tracking() != tracking {
            self.keyspace.track(tracking);
        }
        self.eviction.pool.forget();
        self.eviction.told = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenacity_grows_from_nothing_to_no_end() {
        assert_eq!([0, 1, 10].map(slice_keys), [0, 20, 200]);
        assert!(slice_keys(50) > 10_000 && slice_keys(99) > slice_keys(98));
        assert_eq!(slice_keys(100), usize::MAX);
    }
}
