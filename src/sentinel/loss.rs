//! What a promotion would lose, estimated: the master's offsets as they were seen go by, held
//! against the offset of the one to be promoted. What the master wrote after it was last asked is
//! not in it; nobody who is left can know that.

use super::ledger::Group;
use crate::model::{Offset, ReplId};
use crate::stdx::time::{Duration, Instant};

const SAMPLES_MAX: usize = 128;
const STEP_MIN: Duration = Duration::from_millis(250);

/// Where the master was, and when: dense for the last moments, thinner the longer it goes back.
#[derive(Debug, Default)]
pub(super) struct Trail {
    history: Option<ReplId>,
    samples: Vec<(Instant, Offset)>,
    newest: Option<(Instant, Offset)>,
    step: Duration,
}

/// An estimate. `ms`: how far back in time the successor is; `at_least` when the trail does not
/// reach that far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub bytes: u64,
    pub ms: u64,
    pub at_least: bool,
}

impl Trail {
    pub fn note(&mut self, history: &ReplId, at: Instant, offset: Offset) {
        if self.history.as_ref() != Some(history) {
            *self = Trail { history: Some(history.clone()), step: STEP_MIN, ..Trail::default() };
        }
        if self.newest.is_some_and(|(newest, _)| newest >= at) {
            return;
        }
        self.newest = Some((at, offset));
        if self.samples.last().is_some_and(|(last, _)| at.since(*last) < self.step) {
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.step *= 2;
        }
        self.samples.push((at, offset));
    }

    /// What would be lost with a successor that held `offset` of the agreed history at that moment.
    /// `None`: the master was not seen with that history before it.
    pub fn loss(&self, group: &Group, offset: Offset, moment: Instant) -> Option<Loss> {
        let before = |(at, _): &(Instant, Offset)| *at <= moment;
        let dense = self.newest.filter(before);
        let (newest_at, newest) = dense
            .or_else(|| self.samples.iter().rev().copied().find(before))
            .filter(|_| self.history == group.history)?;
        let bytes = newest.saturating_sub(offset);
        if bytes == 0 {
            return Some(Loss { bytes, ms: 0, at_least: false });
        }
        let had = self.samples.iter().rev().find(|(_, had)| *had <= offset);
        let from = had.or(self.samples.first()).map_or(newest_at, |(at, _)| *at);
        let ms = newest_at.since(from).as_millis() as u64;
        Some(Loss { bytes, ms, at_least: had.is_none() })
    }
}

/// Why a promotion with this loss is not made, if a limit of the group forbids it.
pub(super) fn too_much(group: &Group, loss: Option<Loss>) -> Option<String> {
    let limits = &group.settings.policy;
    let (max_bytes, max_seconds) = (limits.max_loss_bytes, limits.max_loss_seconds);
    if max_bytes.is_none() && max_seconds.is_none() {
        return None;
    }
    let Some(loss) = loss else {
        return Some(
            "the loss cannot be estimated, for this leader never saw the master's offset, and max-loss is set"
                .to_owned(),
        );
    };
    let about = if loss.at_least { "at least" } else { "about" };
    if let Some(max) = max_bytes.filter(|max| loss.bytes > *max) {
        return Some(format!("{about} {} bytes would be lost and max-loss-bytes is {max}", loss.bytes));
    }
    // A trail that is too short for the limit cannot show that it is kept.
    let max = max_seconds.filter(|max| loss.ms > max.saturating_mul(1000) || loss.at_least)?;
    Some(format!(
        "{about} {}.{:03} s of writes would be lost and max-loss-seconds is {max}",
        loss.ms / 1000,
        loss.ms % 1000
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Address;
    use crate::sentinel::decision::{Decision, Entry};
    use crate::sentinel::ledger::Ledger;
    use crate::sentinel::settings::Settings;

    fn group() -> Group {
        let mut ledger = Ledger::default();
        let monitor = Decision::Monitor {
            group: "m".into(),
            address: Address::new("h", 1),
            settings: Settings::with_quorum(2),
            configured: false,
        };
        ledger.apply(1, &Entry { at_ms: 0, by: 1, decisions: vec![monitor] });
        let mut group = ledger.groups["m"].clone();
        group.history = ReplId::parse("now");
        group
    }

    #[test]
    fn the_loss_is_told_in_bytes_and_in_time() {
        let (mut group, now) = (group(), ReplId::parse("now").unwrap());
        let end = Instant::from_millis(20_000);
        let mut trail = Trail::default();
        assert_eq!(trail.loss(&group, 5, end), None);
        for second in 1..=10 {
            trail.note(&now, Instant::from_millis(second * 1000), second * 100);
        }
        assert_eq!(trail.loss(&group, 1000, end), Some(Loss { bytes: 0, ms: 0, at_least: false }));
        assert_eq!(trail.loss(&group, 750, end), Some(Loss { bytes: 250, ms: 3000, at_least: false }));
        assert_eq!(trail.loss(&group, 20, end), Some(Loss { bytes: 980, ms: 9000, at_least: true }));
        // A replica that was asked earlier is held against what the master had then.
        let then = Instant::from_millis(5_500);
        assert_eq!(trail.loss(&group, 500, then), Some(Loss { bytes: 0, ms: 0, at_least: false }));
        assert_eq!(too_much(&group, None), None, "no limit, no question");
        group.settings.policy.max_loss_bytes = Some(250);
        assert_eq!(too_much(&group, trail.loss(&group, 750, end)), None);
        assert!(too_much(&group, trail.loss(&group, 749, end)).unwrap().contains("251 bytes"));
        assert!(too_much(&group, None).is_some());
        group.settings.policy.max_loss_bytes = None;
        group.settings.policy.max_loss_seconds = Some(2);
        assert!(too_much(&group, trail.loss(&group, 750, end)).unwrap().contains("3.000 s"));
        assert_eq!(too_much(&group, trail.loss(&group, 800, end)), None);
        // Another master, another trail.
        group.history = ReplId::parse("next");
        assert_eq!(trail.loss(&group, 800, end), None);
    }

    #[test]
    fn a_long_trail_stays_small() {
        let now = ReplId::parse("now").unwrap();
        let mut trail = Trail::default();
        for second in 1..=100_000 {
            trail.note(&now, Instant::from_millis(second * 1000), second);
        }
        assert!(trail.samples.len() <= SAMPLES_MAX);
        let loss = trail.loss(&group(), 1000, Instant::from_millis(200_000_000)).unwrap();
        assert!(!loss.at_least && loss.bytes == 99_000);
    }
}
