//! What a daemon tells systemd: READY, STATUS, WATCHDOG, STOPPING.
//!
//! Promises: the watchdog is fed only from the loop that does the work, so a stuck loop is a dead
//! service; at most every half of `WATCHDOG_USEC` costs a system call; without systemd every call is
//! nothing. Has never heard of what the loop does.

use crate::stdx::time::{Duration, Instant};
use sd_notify::NotifyState;

/// The handle a loop owns and calls [`Notifier::beat`] on each turn.
#[derive(Debug)]
pub struct Notifier {
    present: bool,
    beat_every: Option<Duration>,
    last_beat: Option<Instant>,
    status: String,
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET` and `WATCHDOG_USEC` (which counts only when `WATCHDOG_PID` is ours).
    pub fn from_environment() -> Self {
        Notifier {
            present: std::env::var_os("NOTIFY_SOCKET").is_some(),
            beat_every: sd_notify::watchdog_enabled().map(|whole| whole / 2),
            last_beat: None,
            status: String::new(),
        }
    }

    /// One that tells nobody.
    pub fn silent() -> Self {
        Notifier { present: false, beat_every: None, last_beat: None, status: String::new() }
    }

    /// Whether anybody reads what is told.
    pub fn is_heard(&self) -> bool {
        self.present
    }

    /// The service answers its port from now on.
    pub fn ready(&mut self, status: &str) {
        self.status = status.to_owned();
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// One line for `systemctl status`; sent only when it changed.
    pub fn status(&mut self, status: &str) {
        if self.status != status {
            self.status = status.to_owned();
            self.tell(&[NotifyState::Status(status)]);
        }
    }

    /// The loop turned. An idle loop must still turn every [`Notifier::beat_every`].
    pub fn beat(&mut self, now: Instant) {
        let Some(every) = self.beat_every else { return };
        if self.last_beat.is_none_or(|last| now.since(last) >= every) {
            self.last_beat = Some(now);
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    /// How long the loop may sleep at most: half of what is left to the next due beat would be missed
    /// otherwise. `None`: as long as it likes.
    pub fn beat_every(&self) -> Option<Duration> {
        self.beat_every.map(|every| every / 2)
    }

    /// A slow start (a large data set is loading) asks for this much more time.
    pub fn still_starting(&self, more: Duration) {
        let us = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
        self.tell(&[NotifyState::ExtendTimeoutUsec(us)]);
    }

    pub fn stopping(&mut self) {
        self.tell(&[NotifyState::Stopping]);
    }

    fn tell(&self, states: &[NotifyState]) {
        if self.present {
            // A notice that cannot be sent leaves the verdict to systemd's own timeouts.
            let _ = sd_notify::notify(states);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_are_spaced_by_half_the_limit() {
        let mut notifier = Notifier {
            present: false,
            beat_every: Some(Duration::from_secs(5)),
            last_beat: None,
            status: String::new(),
        };
        let mut sent = Vec::new();
        for second in 0..20 {
            let now = Instant::from_millis(second * 1000);
            notifier.beat(now);
            if notifier.last_beat == Some(now) {
                sent.push(second);
            }
        }
        assert_eq!(sent, [0, 5, 10, 15]);
        assert!(notifier.beat_every().is_some_and(|longest_sleep| longest_sleep < Duration::from_secs(5)));
    }
}
