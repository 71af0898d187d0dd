//! WAIT: sessions that stand still until enough replicas have what they wrote.

use crate::model::Offset;
use crate::session::SessionId;
use crate::stdx::time::Instant;

#[derive(Debug)]
struct Wait {
    session: SessionId,
    offset: Offset,
    needed: usize,
    /// `None`: for ever.
    deadline: Option<Instant>,
}

#[derive(Debug, Default)]
pub struct Waits(Vec<Wait>);

impl Waits {
    pub fn add(&mut self, session: SessionId, offset: Offset, needed: usize, deadline: Option<Instant>) {
        self.0.push(Wait { session, offset, needed, deadline });
    }

    pub fn forget(&mut self, session: SessionId) {
        self.0.retain(|wait| wait.session != session);
    }

    /// Lets a wait end at the next look; whether there was one.
    pub fn expire(&mut self, session: SessionId) -> bool {
        let wait = self.0.iter_mut().find(|wait| wait.session == session);
        wait.map(|wait| wait.deadline = Some(Instant::ZERO)).is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|wait| wait.deadline).min()
    }

    /// Those that are over, each with how many replicas have its writes. `count`: replicas that
    /// acknowledged at least an offset.
    pub fn take_done(&mut self, now: Instant, count: impl Fn(Offset) -> usize) -> Vec<(SessionId, usize)> {
        let mut done = Vec::new();
        self.0.retain(|wait| {
            let have = count(wait.offset);
            let over = have >= wait.needed || wait.deadline.is_some_and(|deadline| deadline <= now);
            if over {
                done.push((wait.session, have));
            }
            !over
        });
        done
    }

    /// All of them: the history they wait on is over.
    pub fn take_all(&mut self) -> Vec<SessionId> {
        self.0.drain(..).map(|wait| wait.session).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_by_count_or_by_time_and_tells_the_count() {
        let mut waits = Waits::default();
        let at = Instant::from_millis;
        waits.add(1, 100, 1, None);
        waits.add(2, 200, 2, Some(at(50)));
        let acked = |offset| usize::from(offset <= 100);
        assert_eq!(waits.take_done(at(10), acked), [(1, 1)]);
        assert_eq!(waits.next_deadline(), Some(at(50)));
        assert_eq!(waits.take_done(at(49), acked), []);
        assert_eq!(waits.take_done(at(50), acked), [(2, 0)]);
        assert!(waits.is_empty());
    }
}
