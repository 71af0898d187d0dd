//! The lock step by step: what it asks, what it makes of the answers, and what it leaves behind.

use super::*;
use std::time::Duration;

const TTL: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

struct Story {
    lock: Lock,
    now: Instant,
    asked: Vec<(usize, u64, Request)>,
    said: Vec<Action>,
}

impl Story {
    fn of(wait: Wait) -> Story {
        let plan = Plan { wait, ..Plan::new(3, TTL).unwrap() };
        let (lock, actions) = Lock::acquire(plan, "t", 7, Instant::from_millis(0));
        let mut story = Story { lock, now: Instant::ZERO, asked: Vec::new(), said: Vec::new() };
        story.take(actions);
        story
    }

    /// Held by all three, with fence 1, since the moment 0.
    fn held() -> Story {
        let mut story = Story::of(Wait::No);
        story.answer([&granted(), &granted(), &granted()]);
        story.answer([&Answer::Fence(0), &Answer::Fence(0), &Answer::Fence(0)]);
        story.answer([&Answer::Renewed, &Answer::Renewed, &Answer::Renewed]);
        assert!(matches!(story.said.pop(), Some(Action::Acquired(_))));
        story
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Ask { server, id, request, .. } => self.asked.push((server, id, request)),
                other => self.said.push(other),
            }
        }
    }

    /// Answers everything that was asked and not answered yet.
    fn answer(&mut self, answers: [&Answer; 3]) {
        for (server, id, _) in std::mem::take(&mut self.asked) {
            let input = Input::Answered { server, id, answer: answers[server].clone() };
            let actions = self.lock.handle(self.now, input);
            self.take(actions);
        }
    }

    fn at(&mut self, ms: u64) {
        self.until(Instant::from_millis(ms));
    }

    fn until(&mut self, end: Instant) {
        while let Some(wake) = self.lock.next_wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            let actions = self.lock.handle(self.now, Input::Tick);
            self.take(actions);
            assert!(self.lock.next_wake() != Some(wake), "it does not move on");
        }
        self.now = end;
    }

    fn requests(&self) -> Vec<&Request> {
        self.asked.iter().map(|(_, _, request)| request).collect()
    }
}

fn granted() -> Answer {
    Answer::Granted { uptime: HOUR }
}

fn taken(by: &str) -> Answer {
    Answer::Taken { holder: by.into() }
}

#[test]
fn a_majority_decides_and_the_fence_is_one_above_the_greatest_it_saw() {
    let mut story = Story::of(Wait::No);
    story.answer([&granted(), &Answer::Failed("down".into()), &granted()]);
    assert_eq!(story.requests(), [&Request::ReadFence; 2]);
    story.answer([&Answer::Fence(3), &Answer::Failed("down".into()), &Answer::Fence(9)]);
    assert_eq!(story.requests(), [&Request::Renew { ttl: TTL, fence: 10 }; 2]);
    story.answer([&Answer::Renewed, &Answer::Failed("down".into()), &Answer::Renewed]);
    let valid_until = Instant::from_millis(10_000 - 102);
    let grant = Grant { token: "t".into(), fence: 10, valid_until };
    assert_eq!(story.said, [Action::Acquired(grant)]);
    assert_eq!(story.lock.troubles(), [(1, "down")]);
}

#[test]
fn a_minority_is_rolled_back_everywhere_also_where_nobody_answered() {
    let mut story = Story::of(Wait::No);
    story.asked.remove(2);
    story.answer([&granted(), &Answer::Failed("down".into()), &granted()]);
    story.at(1000);
    assert_eq!(story.requests(), [&Request::Release; 3]);
    story.answer([&Answer::Released, &Answer::NotOurs, &Answer::NotOurs]);
    assert_eq!(story.said, [Action::Refused(Refusal::Unreachable)]);
    assert!(story.lock.is_over());
    let troubles: Vec<usize> = story.lock.troubles().iter().map(|trouble| trouble.0).collect();
    assert_eq!(troubles, [1, 2]);
}

#[test]
fn a_holder_on_a_majority_is_a_conflict_at_once_and_a_split_is_tried_again() {
    let mut story = Story::of(Wait::No);
    story.answer([&granted(), &taken("x"), &taken("x")]);
    story.answer([&Answer::Released, &Answer::NotOurs, &Answer::NotOurs]);
    assert_eq!(story.said, [Action::Refused(Refusal::Conflict)]);
    let mut story = Story::of(Wait::No);
    story.answer([&granted(), &taken("x"), &taken("y")]);
    story.answer([&Answer::Released, &Answer::NotOurs, &Answer::NotOurs]);
    assert_eq!((&story.said[..], story.lock.token().as_str()), (&[][..], "t"));
    story.at(300);
    assert!(matches!(story.requests()[..], [Request::Acquire { .. }, ..]));
    assert_eq!(story.lock.token(), "t.2", "a late answer of one attempt is none of the next");
}

#[test]
fn waiting_ends_when_it_was_to_end() {
    let mut story = Story::of(Wait::For(Duration::from_secs(2)));
    let x = taken("x");
    let mut attempts = 0;
    while story.said.is_empty() {
        while !story.asked.is_empty() {
            let tries = story.requests().into_iter().filter(|asked| matches!(asked, Request::Acquire { .. }));
            attempts += tries.count() / 3;
            story.answer([&x, &x, &x]);
        }
        if let Some(wake) = story.lock.next_wake() {
            story.until(wake);
        }
    }
    assert_eq!(story.said, [Action::Refused(Refusal::Conflict)]);
    let ended = story.now.as_millis();
    assert!((2000..2100).contains(&ended) && attempts > 8, "{ended} {attempts}");
}

#[test]
fn a_server_that_started_a_moment_ago_does_not_count() {
    let young = Answer::Granted { uptime: Duration::from_secs(3) };
    let mut story = Story::of(Wait::No);
    story.answer([&young, &granted(), &young]);
    assert_eq!(story.requests(), [&Request::Release; 3]);
    assert!(story.lock.troubles()[0].1.contains("from 12 s on"), "{:?}", story.lock.troubles());
}

#[test]
fn answers_that_come_too_late_make_no_holder() {
    let mut story = Story::of(Wait::No);
    story.answer([&granted(), &granted(), &granted()]);
    // A pause of the process: the keys are gone by now.
    story.now = Instant::from_millis(60_000);
    story.answer([&Answer::Fence(0), &Answer::Fence(0), &Answer::Fence(0)]);
    assert_eq!(story.requests(), [&Request::Release; 3]);
}

#[test]
fn it_is_renewed_every_third_of_the_ttl() {
    let mut story = Story::held();
    story.at(3400);
    assert_eq!(story.requests(), [&Request::Renew { ttl: TTL, fence: 1 }; 3]);
    story.answer([&Answer::Renewed, &Answer::Renewed, &Answer::Failed("down".into())]);
    let Some(Action::Renewed(grant)) = story.said.last() else { panic!("{:?}", story.said) };
    assert_eq!(grant.valid_until.as_millis(), 3333 + 9898);
    assert_eq!(story.lock.next_wake().unwrap().as_millis(), 6666);
}

#[test]
fn what_it_protects_is_told_to_stop_before_it_ends() {
    let mut story = Story::held();
    story.at(8000);
    assert_eq!(story.said, []);
    story.at(9000);
    assert_eq!(story.said, [Action::Expiring]);
    story.at(9898);
    assert_eq!(story.said, [Action::Expiring, Action::Lost(Loss::Expired)]);
    assert!(story.lock.held(Instant::from_millis(9898)).is_none());
}

#[test]
fn after_a_pause_the_first_thing_said_is_that_it_is_lost() {
    let mut story = Story::held();
    story.at(3400);
    story.now = Instant::from_millis(20_000);
    story.answer([&Answer::Renewed, &Answer::Renewed, &Answer::Renewed]);
    assert_eq!(story.said[0], Action::Lost(Loss::Expired));
    assert!(!story.said.iter().any(|action| matches!(action, Action::Renewed(_))));
}

#[test]
fn one_server_that_forgot_is_given_the_key_again_and_a_majority_is_a_loss() {
    let mut story = Story::held();
    story.at(3400);
    story.answer([&Answer::Renewed, &Answer::NotOurs, &Answer::Renewed]);
    assert_eq!(story.requests(), [&Request::Acquire { ttl: TTL }]);
    assert!(matches!(story.said[..], [Action::Renewed(_)]));
    story.answer([&granted(), &granted(), &granted()]);
    story.at(6700);
    story.answer([&Answer::NotOurs, &Answer::NotOurs, &Answer::Renewed]);
    assert_eq!(story.said[1], Action::Lost(Loss::Taken));
}

#[test]
fn given_back_it_is_deleted_everywhere() {
    let mut story = Story::held();
    let actions = story.lock.handle(Instant::from_millis(5), Input::GiveBack);
    story.take(actions);
    story.at(6);
    assert_eq!(story.requests(), [&Request::Release; 3]);
    story.answer([&Answer::Released, &Answer::Released, &Answer::Released]);
    assert_eq!(story.said, [Action::Released]);
    assert_eq!(story.lock.next_wake(), None);
}
