//! Agreed events as lines, each told once: ids are dense, so "newer than the last one told" is all
//! that has to be remembered.

use crate::model::event::{Event, Severity};
use crate::model::status::Status;

/// Remembers the newest event told.
#[derive(Debug, Default)]
pub(super) struct Teller {
    told: u64,
}

impl Teller {
    /// Nothing that is already in `status` will be told.
    pub(super) fn from_now(status: &Status) -> Self {
        Teller { told: newest(status) }
    }

    /// Events that were not told before, oldest first. A sentinel that lags behind the one asked
    /// before adds nothing.
    pub(super) fn news<'a>(&mut self, status: &'a Status) -> Vec<&'a Event> {
        let told = self.told;
        self.told = told.max(newest(status));
        status.events.iter().filter(|event| event.id > told).collect()
    }
}

fn newest(status: &Status) -> u64 {
    status.events.iter().map(|event| event.id).max().unwrap_or(0)
}

/// `12:00:01.042  +switch-master  mymaster ...`, in UTC.
pub(super) fn line(event: &Event) -> String {
    let name = event.kind.name();
    format!("{}  {name:<24} {}", clock(event.at_ms), event.payload)
}

pub(super) fn is_warning(event: &Event) -> bool {
    event.kind.row().severity == Severity::Warning
}

/// Time of day in UTC from milliseconds since the Unix epoch.
pub(super) fn clock(unix_ms: u64) -> String {
    let (ms, seconds) = (unix_ms % 1000, unix_ms / 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::EventKind;

    fn event(id: u64) -> Event {
        Event {
            id,
            at_ms: 1_700_000_000_042,
            kind: EventKind::SwitchMaster,
            group: "m".into(),
            epoch: 1,
            instance: None,
            payload: "m 127.0.0.1 1 127.0.0.1 2".into(),
            details: Vec::new(),
        }
    }

    #[test]
    fn each_event_is_told_once_even_when_another_sentinel_lags() {
        let with =
            |ids: &[u64]| Status { events: ids.iter().map(|&id| event(id)).collect(), ..Status::default() };
        let mut teller = Teller::from_now(&with(&[1, 2]));
        let ids = |events: Vec<&Event>| events.iter().map(|event| event.id).collect::<Vec<_>>();
        assert_eq!(ids(teller.news(&with(&[1, 2, 3, 4]))), [3, 4]);
        assert!(teller.news(&with(&[1, 2, 3])).is_empty());
        assert_eq!(ids(teller.news(&with(&[3, 4, 5]))), [5]);
    }

    #[test]
    fn lines_carry_the_time_of_day() {
        assert_eq!(line(&event(1)), "22:13:20.042  +switch-master           m 127.0.0.1 1 127.0.0.1 2");
    }
}
