//! Stories in virtual time.

use super::*;
use crate::alerts::Files;
use crate::config::webhook::WebhookConfig;

struct Story {
    delivery: Delivery,
    now_ms: u64,
    actions: Vec<Action>,
}

impl Story {
    fn with(webhooks: &[&str]) -> Story {
        let targets = webhooks.iter().map(|name| {
            let config = WebhookConfig::new(name, "https://user:hunter2@hook.example/secret-path?k=v");
            Target::new(&config, &Files::default()).unwrap()
        });
        let delivery = Delivery::new("c".into(), targets.collect(), Rng::with_seed(7));
        Story { delivery, now_ms: 0, actions: Vec::new() }
    }

    fn give(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        self.delivery.handle(Now::at_millis(self.now_ms), input, &mut actions);
        self.actions.extend(actions.iter().filter(|a| matches!(a, Action::Notice { .. })).map(|a| match a {
            Action::Notice { webhook, text } => {
                Action::Notice { webhook: webhook.clone(), text: text.clone() }
            }
            _ => unreachable!(),
        }));
        actions
    }

    fn event(&mut self, id: u64, kind: EventKind) -> Vec<Action> {
        self.give(Input::Event(Event {
            id,
            at_ms: 0,
            kind,
            group: "m".into(),
            epoch: 1,
            instance: None,
            payload: String::new(),
            details: Vec::new(),
        }))
    }

    fn own(&mut self, webhook: &str, from: u64) -> Vec<Action> {
        self.give(Input::Own { webhook: webhook.into(), office: Office { from, ..Office::default() } })
    }

    fn answer(&mut self, webhook: &str, code: u16) -> Vec<Action> {
        self.give(Input::Answered {
            webhook: webhook.into(),
            answer: Answer::Status { code, retry_after: None },
        })
    }

    /// Goes to the next wakeup and says how long that took.
    fn sleep(&mut self) -> (u64, Vec<Action>) {
        let at = self.delivery.next_wakeup().expect("something is to come").as_micros().div_ceil(1000);
        let slept = at.saturating_sub(self.now_ms);
        self.now_ms = at.max(self.now_ms);
        (slept, self.give(Input::Tick))
    }

    fn notices(&self) -> Vec<&str> {
        self.actions
            .iter()
            .filter_map(|a| if let Action::Notice { text, .. } = a { Some(text.as_str()) } else { None })
            .collect()
    }
}

/// Which event each request is about, and to whom.
fn sent(actions: &[Action]) -> Vec<(String, u64)> {
    let of = |action: &Action| {
        let Action::Send { webhook, request } = action else { return None };
        let (_, id) = request.headers.iter().find(|(name, _)| *name == "webhook-id")?;
        Some((webhook.clone(), id.rsplit('_').next()?.parse().ok()?))
    };
    actions.iter().filter_map(of).collect()
}

/// How far, and how many events were given up, kept or not.
fn progress(actions: &[Action]) -> Vec<(u64, u64)> {
    reports(actions)
        .into_iter()
        .map(|report| (report.up_to, report.dead.len() as u64 + report.lost))
        .collect()
}

fn reports(actions: &[Action]) -> Vec<Progress> {
    let of = |action: &Action| match action {
        Action::Progress(progress) => Some(progress.clone()),
        _ => None,
    };
    actions.iter().filter_map(of).collect()
}

fn to(webhook: &str, id: u64) -> Vec<(String, u64)> {
    vec![(webhook.to_owned(), id)]
}

#[test]
fn events_go_out_one_at_a_time_and_in_order() {
    let mut story = Story::with(&["ops"]);
    assert!(story.event(1, EventKind::Monitor).is_empty(), "not ours: nothing happens");
    assert_eq!(sent(&story.own("ops", 1)), to("ops", 1));
    assert!(sent(&story.event(2, EventKind::ODown)).is_empty(), "one request in flight");
    let after = story.answer("ops", 200);
    assert_eq!(progress(&after), [(1, 0)]);
    assert_eq!(sent(&after), to("ops", 2));
    assert_eq!(progress(&story.answer("ops", 204)), [(2, 0)]);
    assert_eq!(story.delivery.next_wakeup(), None);
}

#[test]
fn what_nobody_wants_is_passed_and_the_cursor_committed_a_little_later() {
    let mut story = Story::with(&["ops"]);
    story.own("ops", 1);
    for id in 1..=40 {
        assert!(story.event(id, EventKind::Replica).is_empty(), "a notice; the filter wants warnings");
    }
    let (slept, actions) = story.sleep();
    assert_eq!(slept, 5_000);
    assert_eq!(progress(&actions), [(40, 0)], "one commit for all forty");
    assert_eq!(story.delivery.next_wakeup(), None);
}

#[test]
fn a_failing_receiver_is_tried_later_and_later_with_the_same_id() {
    let mut story = Story::with(&["ops"]);
    story.own("ops", 1);
    assert_eq!(sent(&story.event(1, EventKind::SwitchMaster)), to("ops", 1));
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert!(progress(&story.answer("ops", 503)).is_empty());
        let (slept, actions) = story.sleep();
        assert_eq!(sent(&actions), to("ops", 1));
        waits.push(slept);
    }
    assert!((1_000..=2_000).contains(&waits[0]), "{waits:?}");
    assert!(waits.iter().all(|wait| (1_000..=300_000).contains(wait)), "{waits:?}");
    assert!(waits[11] >= 150_000, "{waits:?}");
    let status = story.delivery.status();
    assert_eq!((status[0].pending, status[0].failures, status[0].delivered_up_to), (1, 12, 0));
    assert_eq!(progress(&story.answer("ops", 200)), [(1, 0)]);
    assert_eq!(story.delivery.status()[0].last_error, None);
}

#[test]
fn a_receiver_may_ask_for_patience_but_not_for_more_than_an_hour() {
    let mut story = Story::with(&["ops"]);
    story.own("ops", 1);
    story.event(1, EventKind::SwitchMaster);
    let patience = |s| Answer::Status { code: 429, retry_after: Some(Duration::from_secs(s)) };
    story.give(Input::Answered { webhook: "ops".into(), answer: patience(60) });
    assert_eq!(story.sleep().0, 60_000);
    story.give(Input::Answered { webhook: "ops".into(), answer: patience(1_000_000) });
    assert_eq!(story.sleep().0, 3_600_000);
}

#[test]
fn after_a_day_an_event_is_given_up_and_the_next_gets_its_try() {
    let mut story = Story::with(&["ops"]);
    story.own("ops", 1);
    story.event(1, EventKind::SwitchMaster);
    let mut tries = 0;
    let given_up = loop {
        tries += 1;
        let actions = story.answer("ops", 500);
        if !progress(&actions).is_empty() {
            break actions;
        }
        story.sleep();
    };
    assert_eq!(progress(&given_up), [(1, 1)]);
    assert!(story.now_ms >= 24 * 3_600_000 && story.now_ms <= 24 * 3_600_000 + 300_000);
    assert!((288..600).contains(&tries), "{tries}");
    assert!(story.notices().len() < 60, "the log is not flooded: {}", story.notices().len());
    // The notice of the drop waits for the receiver like everything else, and once there is nothing
    // to do, nothing wakes us.
    story.sleep();
    assert_eq!(story.delivery.next_wakeup(), None);
    assert_eq!(sent(&story.event(2, EventKind::WebhookDropped)), to("ops", 2));
}

#[test]
fn giving_up_on_the_notice_of_a_drop_is_not_told_again() {
    let mut story = Story::with(&["ops"]);
    story.own("ops", 1);
    story.event(1, EventKind::WebhookDropped);
    story.now_ms += 25 * 3_600_000;
    assert_eq!(progress(&story.answer("ops", 500)), [(1, 0)]);
}

#[test]
fn gone_means_gone_until_an_operator_says_otherwise() {
    let mut story = Story::with(&["ops"]);
    story.own("ops", 1);
    story.event(1, EventKind::SwitchMaster);
    let told = reports(&story.answer("ops", 410));
    assert_eq!((told.len(), told[0].up_to), (1, 0), "the event itself still waits");
    assert!(told[0].disabled.as_deref().unwrap().contains("410 (Gone)"));
    assert!(sent(&story.event(2, EventKind::SwitchMaster)).is_empty());
    assert_eq!(story.delivery.next_wakeup(), None);
    let disabled = Office { from: 1, disabled: told[0].disabled.clone(), ..Office::default() };
    assert!(story.give(Input::Own { webhook: "ops".into(), office: disabled.clone() }).is_empty());
    let mut next = Story::with(&["ops"]);
    next.event(1, EventKind::SwitchMaster);
    assert!(
        next.give(Input::Own { webhook: "ops".into(), office: disabled }).is_empty(),
        "nor by the next owner"
    );
    assert_eq!(sent(&next.own("ops", 1)), to("ops", 1), "enabled: it goes on where it stopped");
    assert_eq!(sent(&next.answer("ops", 200)), []);
}

#[test]
fn a_message_that_is_not_wanted_is_put_aside_and_the_next_goes_on() {
    let mut story = Story::with(&["ops"]);
    story.own("ops", 1);
    story.event(1, EventKind::ODown);
    story.event(2, EventKind::ODownEnd);
    let mut actions = story.answer("ops", 400);
    for _ in 1..UNFIT_TRIES {
        assert!(reports(&actions).is_empty());
        assert_eq!(sent(&story.sleep().1), to("ops", 1));
        actions = story.answer("ops", 400);
    }
    let told = reports(&actions);
    assert_eq!((told[0].up_to, told[0].dead[0].event.id), (1, 1));
    assert!(told[0].dead[0].why.contains("400"), "{:?}", told[0].dead);
    assert!(story.now_ms < 60_000, "not for a day");
    assert_eq!(sent(&story.sleep().1), to("ops", 2));
}

#[test]
fn a_replay_comes_after_what_is_new_under_the_old_id_and_is_told_once() {
    let mut story = Story::with(&["ops"]);
    story.own("ops", 1);
    let old = Event {
        id: 1,
        at_ms: 0,
        kind: EventKind::ODown,
        group: "m".into(),
        epoch: 1,
        instance: None,
        payload: String::new(),
        details: Vec::new(),
    };
    story.event(1, EventKind::ODown);
    story.answer("ops", 200);
    assert_eq!(sent(&story.event(2, EventKind::ODown)), to("ops", 2));
    let office = Office { from: 2, replay: vec![old], ..Office::default() };
    let again = |office: &Office| Input::Own { webhook: "ops".into(), office: office.clone() };
    assert!(story.give(again(&office)).is_empty(), "one request in flight");
    assert_eq!(sent(&story.answer("ops", 200)), to("ops", 1));
    assert_eq!(story.delivery.status()[0].pending, 1);
    let done = story.answer("ops", 200);
    assert_eq!(reports(&done)[0].replayed, [1]);
    assert!(story.give(again(&office)).is_empty(), "the log has not heard of it yet: not once more");
    assert!(story.give(again(&Office { from: 3, ..Office::default() })).is_empty());
    assert_eq!(sent(&story.give(again(&office))), to("ops", 1), "asked for a second time");
}

#[test]
fn a_dead_receiver_delays_nobody_else() {
    let mut story = Story::with(&["dead", "alive"]);
    story.own("dead", 1);
    story.own("alive", 1);
    let first = story.event(1, EventKind::ODown);
    assert_eq!(sent(&first), [("dead".to_owned(), 1), ("alive".to_owned(), 1)]);
    for id in 2..=100 {
        story.event(id, EventKind::ODown);
        let actions = story.answer("alive", 200);
        assert_eq!(progress(&actions), [(id - 1, 0)]);
        assert_eq!(sent(&actions), to("alive", id));
    }
    assert_eq!(story.delivery.status()[0].pending, 100);
}

#[test]
fn a_new_owner_goes_on_at_the_committed_cursor() {
    let mut old = Story::with(&["ops"]);
    let mut new = Story::with(&["ops"]);
    old.own("ops", 1);
    for id in 1..=3 {
        old.event(id, EventKind::ODown);
        new.event(id, EventKind::ODown);
    }
    let committed = progress(&old.answer("ops", 200))[0].0;
    // Event 2 is delivered too, but the old owner loses its office before it can commit that.
    old.give(Input::Disown { webhook: "ops".into() });
    assert!(old.answer("ops", 200).is_empty(), "no business of ours any more");
    assert!(old.event(4, EventKind::ODown).is_empty());
    assert_eq!(sent(&new.own("ops", committed + 1)), to("ops", 2), "at least once, same id");
    // Back in office while nothing is in flight: from the cursor again.
    assert_eq!(sent(&old.own("ops", 4)), to("ops", 4));
    assert!(old.own("ops", 4).is_empty(), "owning twice is owning");
}

#[test]
fn an_answer_that_comes_after_a_change_of_office_frees_the_line() {
    let mut story = Story::with(&["ops"]);
    story.own("ops", 1);
    story.event(1, EventKind::ODown);
    story.event(2, EventKind::ODown);
    story.give(Input::Disown { webhook: "ops".into() });
    assert!(sent(&story.own("ops", 2)).is_empty(), "the old request is still in flight");
    let actions = story.answer("ops", 200);
    assert!(progress(&actions).is_empty(), "event 1 was another's to commit");
    assert_eq!(sent(&actions), to("ops", 2));
}

#[test]
fn overflow_is_one_notice_and_memory_stays_bounded() {
    let mut story = Story::with(&["dead"]);
    story.own("dead", 1);
    let mut told = Vec::new();
    for id in 1..=3 * RING as u64 {
        told.extend(progress(&story.event(id, EventKind::ODown)));
    }
    assert!(story.delivery.ring.len() <= RING);
    assert!((1..=6).contains(&told.len()), "{told:?}");
    let dropped: u64 = told.iter().map(|(_, dropped)| *dropped).sum();
    assert_eq!(dropped, told.last().unwrap().0, "every event given up is counted, once");
    // The request in flight was about an event long gone; its answer moves nothing back.
    let last = told.last().unwrap().0;
    assert_eq!(sent(&story.answer("dead", 200)), to("dead", last + 1));
}

#[test]
fn a_new_webhook_starts_with_what_is_there_and_an_old_one_misses_what_is_not() {
    let mut new = Story::with(&["new"]);
    new.event(900, EventKind::ODown);
    assert_eq!(sent(&new.own("new", 1)), to("new", 900));
    assert!(new.notices().is_empty(), "nothing was promised to it");
    let mut old = Story::with(&["old"]);
    old.event(900, EventKind::ODown);
    let actions = old.own("old", 880);
    assert_eq!(progress(&actions), [(899, 20)]);
    assert_eq!(sent(&actions), to("old", 900));
}

#[test]
fn nothing_private_is_in_any_notice_or_status() {
    let mut story = Story::with(&["ops"]);
    story.own("ops", 1);
    story.event(1, EventKind::ODown);
    story.answer("ops", 302);
    let status = format!("{:?}", story.delivery.status());
    let notices = story.notices().join("\n");
    assert!(notices.contains("https://hook.example: the receiver answered 302; redirects are not followed"));
    for text in [status, notices] {
        assert!(
            !text.contains("hunter2") && !text.contains("secret-path") && !text.contains("k=v"),
            "{text}"
        );
    }
}

#[test]
fn nothing_is_sent_before_the_fleet_has_its_name_and_the_name_is_part_of_the_id() {
    let mut story = Story::with(&["ops"]);
    story.delivery.cluster.clear();
    story.own("ops", 1);
    assert!(sent(&story.event(1, EventKind::SwitchMaster)).is_empty());
    let actions = story.give(Input::Named { cluster: "c9".into() });
    let Some(Action::Send { request, .. }) = actions.iter().find(|a| matches!(a, Action::Send { .. })) else {
        panic!("nothing was sent");
    };
    assert!(request.headers.iter().any(|(_, value)| value == "evt_c9_1"), "{:?}", request.headers);
}
