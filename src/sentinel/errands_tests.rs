//! Who runs what, how often, and what is told of it.

use super::*;
use crate::model::event::EventKind;

const PACE: Pace =
    Pace { script_max_runtime: Duration::from_secs(60), script_retry_delay: Duration::from_secs(30) };

struct Story {
    errands: Errands,
    now: Instant,
    ran: Vec<(u64, JobId)>,
    progress: u64,
    told: Vec<String>,
}

impl Story {
    fn new() -> Self {
        let (errands, now) = (Errands::default(), Instant::from_millis(1000));
        Story { errands, now, ran: Vec::new(), progress: 0, told: Vec::new() }
    }

    fn say(&mut self, input: Input) {
        let mut actions = Vec::new();
        self.errands.handle(self.now, PACE, input, &mut actions);
        for action in actions {
            match action {
                Action::Run { job, event, .. } => self.ran.push((event.id, job)),
                Action::Progress { up_to } => self.progress = up_to,
                Action::Told { kind, payload } => self.told.push(format!("{} {payload}", kind.name())),
            }
        }
    }

    fn event(&mut self, id: u64, scripts: usize) {
        let event = Event {
            id,
            at_ms: 0,
            kind: EventKind::ODown,
            group: "m".into(),
            epoch: 1,
            instance: None,
            payload: "master m 127.0.0.1 6379".into(),
            details: Vec::new(),
        };
        let errands = vec![Errand::Script { argv: vec!["/bin/told".into()] }; scripts];
        self.say(Input::Event { event, errands });
    }

    fn end(&mut self, index: usize, ending: Ending) {
        let (_, job) = self.ran[index];
        self.say(Input::Started { job, pid: 7 });
        self.say(Input::Ended { job, ending });
    }

    fn events_run(&self) -> Vec<u64> {
        self.ran.iter().map(|(event, _)| *event).collect()
    }
}

#[test]
fn only_the_owner_runs_and_from_where_the_last_one_stopped() {
    let mut story = Story::new();
    for id in 1..=4 {
        story.event(id, 1);
    }
    assert_eq!((story.events_run(), story.progress), (vec![], 0));
    story.say(Input::Own { from: 3 });
    assert_eq!((story.events_run(), story.progress), (vec![3, 4], 2));
    story.end(1, Ending::Exit(0));
    assert_eq!(story.progress, 2, "the third event's script still runs");
    story.end(0, Ending::Exit(0));
    assert_eq!(story.progress, 4);
    story.event(5, 0);
    assert_eq!(story.progress, 5, "an event without errands is done with");
    story.say(Input::Disown);
    story.event(6, 1);
    assert_eq!((story.events_run().len(), story.progress), (2, 5));
    assert!(story.told.is_empty());
}

#[test]
fn one_and_signals_are_tried_again_later_each_time_and_two_is_the_last_word() {
    let mut story = Story::new();
    story.say(Input::Own { from: 1 });
    story.event(1, 1);
    let mut delay = PACE.script_retry_delay;
    for turn in 0..10 {
        story.end(turn, if turn % 2 == 0 { Ending::Exit(1) } else { Ending::Signal(15) });
        assert_eq!(story.errands.next_wakeup(), Some(story.now + delay));
        story.now = story.now + delay;
        story.say(Input::Tick);
        delay *= 2;
    }
    assert_eq!(story.ran.len(), 11);
    story.end(10, Ending::Exit(1));
    assert_eq!(story.told, ["-script-error /bin/told 0 1"]);
    assert_eq!(story.progress, 1);

    story.event(2, 1);
    story.end(11, Ending::Exit(2));
    assert_eq!(story.told[1..], ["-script-error /bin/told 0 2"]);
    story.event(3, 1);
    story.end(12, Ending::TimedOut);
    assert_eq!(story.told[2..], ["-script-timeout /bin/told 7"]);
    assert_eq!(story.errands.jobs().next().map(|job| job.retries), Some(1), "a timeout is tried again");
}

#[test]
fn the_queue_is_bounded_and_so_is_what_runs_at_once() {
    let mut story = Story::new();
    story.say(Input::Own { from: 1 });
    for id in 1..=QUEUE_MAX as u64 + 5 {
        story.event(id, 1);
    }
    assert_eq!(story.ran.len(), PARALLEL_MAX);
    assert_eq!(story.errands.jobs().count(), QUEUE_MAX);
    assert_eq!(story.told.len(), 5);
    story.end(0, Ending::Exit(0));
    assert_eq!(story.ran.len(), PARALLEL_MAX + 1, "the next one has its turn");
}

#[test]
fn who_does_not_run_them_knows_what_the_fleet_has_not_run_yet() {
    let mut story = Story::new();
    story.event(1, 1);
    story.event(2, 2);
    let pending =
        |story: &Story, done| story.errands.of_others(done).map(|(event, _)| event.id).collect::<Vec<_>>();
    assert_eq!(pending(&story, 0), [1, 2, 2]);
    assert_eq!(pending(&story, 1), [2, 2], "the fleet agreed that the first is done");
    assert!(pending(&story, 2).is_empty());
    story.say(Input::Own { from: 2 });
    assert!(pending(&story, 1).is_empty(), "its own business now: it shows jobs instead");
    assert_eq!(story.errands.jobs().count(), 2);
}
