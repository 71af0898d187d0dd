//! The body of every format for the events that matter, word for word: `tests/scripts/alerts`.
//! `VEDETTE_BLESS=1` rewrites them; read what was blessed.

use serde_json::Value;
use std::path::Path;
use vedette::alerts::{FORMATS, Files, Target, request};
use vedette::config::webhook::WebhookConfig;
use vedette::model::Address;
use vedette::model::event::{Event, EventKind, Severity};
use vedette::stdx::calendar::rfc3339;
use vedette::stdx::time::Wall;

const KEY: &str = "R0123456789abcdefghijklmnopqrstu";

fn target(format: &str) -> Target {
    let mut config = WebhookConfig::new("ops", "https://hook.example/x");
    config.format = format.into();
    let mut files = Files::default();
    match format {
        "pagerduty" => files.key = Some(KEY.into()),
        "telegram" => config.chat = Some("-1001234567890".into()),
        "template" => {
            config.template = Some(
                "{\"text\": {{ headline|tojson }}, \"ids\": [{{ id }}, {{ message_id|tojson }}], \
                 \"why\": {{ details.reason|default('-')|tojson }}}"
                    .into(),
            );
        }
        _ => {}
    }
    Target::new(&config, &files).unwrap()
}

fn event(id: u64, kind: EventKind, payload: &str, details: &[(&str, &str)]) -> Event {
    Event {
        id,
        at_ms: 1_795_300_000_000 + id % 1_000_000,
        kind,
        group: "orders".into(),
        epoch: 41,
        instance: Some(Address::new("10.0.0.1", 6379)),
        payload: payload.into(),
        details: details.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    }
}

fn stories() -> Vec<Event> {
    let mut switch = event(
        104,
        EventKind::SwitchMaster,
        "orders 10.0.0.1 6379 10.0.0.2 6379",
        &[("from", "10.0.0.1:6379"), ("to", "10.0.0.2:6379"), ("cause", "crashed")],
    );
    switch.instance = Some(Address::new("10.0.0.2", 6379));
    let mut test = event(106, EventKind::WebhookTest, "ops", &[]);
    (test.group, test.instance, test.epoch) = (String::new(), None, 0);
    vec![
        event(101, EventKind::SDown, "slave 10.0.0.1:6379 10.0.0.1 6379 @ orders 10.0.0.2 6379", &[]),
        event(102, EventKind::ODown, "master orders 10.0.0.1 6379 #quorum 2/2", &[]),
        event(
            103,
            EventKind::AbortNoGoodReplica,
            "master orders 10.0.0.1 6379",
            &[("reason", "2 < 3 & *no* `replica` <!channel> @everyone [x](http://e.example)")],
        ),
        switch,
        event(105, EventKind::ODownEnd, "master orders 10.0.0.1 6379", &[]),
        test,
    ]
}

fn dressed(format: &str, event: &Event) -> Vec<u8> {
    request(event, &target(format), "c.1", Wall(event.at_ms)).unwrap().body
}

#[test]
fn every_format_says_what_its_golden_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/alerts");
    let bless = std::env::var_os("VEDETTE_BLESS").is_some();
    let mut wrong = Vec::new();
    for format in FORMATS {
        let mut said = String::new();
        for event in stories() {
            let body: Value = serde_json::from_slice(&dressed(format.name, &event)).unwrap();
            said.push_str(&format!(
                "== {}\n{}\n",
                event.kind.name(),
                serde_json::to_string_pretty(&body).unwrap()
            ));
        }
        let path = folder.join(format!("{}.txt", format.name));
        if bless {
            std::fs::write(&path, said).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != said {
            wrong.push(format.name);
        }
    }
    assert!(wrong.is_empty(), "other than tests/scripts/alerts: {wrong:?}; VEDETTE_BLESS=1 rewrites them");
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn texts<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(map) => map.values().for_each(|item| texts(item, out)),
        _ => {}
    }
}

/// The longest and the strangest event still fits every vendor.
#[test]
fn a_monster_of_an_event_stays_within_every_limit() {
    let long = |c: &str, n: usize| c.repeat(n);
    let mut monster = event(9_000_000_000_000, EventKind::ODown, &long("&<`*𝄞\n\u{202e}", 4000), &[]);
    monster.group = long("g", 128);
    monster.details = (0..40).map(|i| (format!("{i}{}", long("k", 300)), long("<&*\"\\", 2000))).collect();
    let body = |format: &str| -> Value { serde_json::from_slice(&dressed(format, &monster)).unwrap() };
    let within = |value: &Value, most: usize| {
        let text = value.as_str().unwrap();
        assert!(units(text) <= most, "{} > {most}", units(text));
    };

    let slack = body("slack");
    within(&slack["text"], 40_000);
    within(&slack["blocks"][0]["text"]["text"], 150);
    assert!(slack["blocks"][1]["fields"].as_array().unwrap().len() <= 10);
    slack["blocks"][1]["fields"].as_array().unwrap().iter().for_each(|field| within(&field["text"], 2000));
    within(&slack["blocks"][2]["text"]["text"], 3000);

    assert!(dressed("teams", &monster).len() <= 28 * 1024, "{}", dressed("teams", &monster).len());

    let discord = body("discord");
    let embed = &discord["embeds"][0];
    within(&embed["title"], 256);
    within(&embed["description"], 4096);
    let fields = embed["fields"].as_array().unwrap();
    assert!(fields.len() <= 25);
    for field in fields {
        within(&field["name"], 256);
        within(&field["value"], 1024);
        assert!(!field["value"].as_str().unwrap().is_empty());
    }
    let mut all = Vec::new();
    texts(embed, &mut all);
    assert!(all.iter().map(|text| units(text)).sum::<usize>() <= 6000);

    let pagerduty = body("pagerduty");
    within(&pagerduty["dedup_key"], 255);
    within(&pagerduty["payload"]["summary"], 1024);
    assert!(dressed("pagerduty", &monster).len() <= 512 * 1024);

    within(&body("telegram")["text"], 4096);
}

#[test]
fn both_ends_of_a_problem_carry_one_key_and_a_switch_ends_what_the_dead_master_had_open() {
    let pagerduty = |kind| -> (String, String) {
        let body: Value = serde_json::from_slice(&dressed("pagerduty", &event(7, kind, "", &[]))).unwrap();
        let field = |name: &str| body[name].as_str().unwrap().to_owned();
        (field("event_action"), field("dedup_key"))
    };
    let labels = |kind| -> Vec<(Value, bool)> {
        let body: Value = serde_json::from_slice(&dressed("alertmanager", &event(7, kind, "", &[]))).unwrap();
        let at = rfc3339_of(7);
        body.as_array().unwrap().iter().map(|a| (a["labels"].clone(), a["endsAt"] == at.as_str())).collect()
    };
    for (begins, ends) in [
        (EventKind::ODown, EventKind::ODownEnd),
        (EventKind::SDown, EventKind::SDownEnd),
        (EventKind::LeaseLost, EventKind::LeaseBack),
        (EventKind::Unreachable, EventKind::UnreachableEnd),
        (EventKind::ODown, EventKind::SwitchMaster),
    ] {
        let (opened, closed) = (pagerduty(begins), pagerduty(ends));
        assert_eq!((opened.0.as_str(), closed.0.as_str()), ("trigger", "resolve"));
        assert_eq!(opened.1, closed.1);
        let opened = labels(begins);
        assert_eq!((opened.len(), opened[0].1), (1, false));
        assert!(
            labels(ends).iter().any(|(labels, ended)| *ended && *labels == opened[0].0),
            "{}",
            ends.name()
        );
    }
    assert_eq!(pagerduty(EventKind::AbortNoGoodReplica), pagerduty(EventKind::ODown), "the same incident");
}

fn rfc3339_of(id: u64) -> String {
    rfc3339(Wall(1_795_300_000_000 + id))
}

#[test]
fn filters_choose_by_name_severity_and_group_and_an_end_follows_its_beginning() {
    let wants = |change: &dyn Fn(&mut WebhookConfig), kind: EventKind, group: &str| {
        let mut config = WebhookConfig::new("ops", "https://hook.example/");
        change(&mut config);
        let mut event = event(1, kind, "ops", &[]);
        event.group = group.into();
        config.filter().wants(&event)
    };
    let all = |_: &mut WebhookConfig| {};
    assert!(wants(&all, EventKind::ODown, "m") && !wants(&all, EventKind::Replica, "m"));
    assert!(wants(&all, EventKind::WebhookTest, ""), "its own test, whatever the filter");
    let downs = |c: &mut WebhookConfig| c.events = vec!["*down".into()];
    assert!(wants(&downs, EventKind::SDownEnd, "m") && !wants(&downs, EventKind::SwitchMaster, "m"));
    let verbose = |c: &mut WebhookConfig| c.severity = Some(Severity::Verbose);
    assert!(wants(&verbose, EventKind::RoleChange, "m"));
    let orders = |c: &mut WebhookConfig| c.groups = vec!["orders-*".into()];
    assert!(wants(&orders, EventKind::ODown, "orders-1") && !wants(&orders, EventKind::ODown, "cart"));
    assert!(!wants(&orders, EventKind::WebhookDropped, ""), "what concerns the fleet is no group's");
    let pager = |c: &mut WebhookConfig| c.format = "pagerduty".into();
    assert!(wants(&pager, EventKind::ODown, "m") && wants(&pager, EventKind::LeaseBack, "m"));
    assert!(!wants(&pager, EventKind::TryFailover, "m") && !wants(&pager, EventKind::Monitor, "m"));
    let only = |c: &mut WebhookConfig| (c.format, c.events) = ("pagerduty".into(), vec!["+odown".into()]);
    for (kind, wanted) in [
        (EventKind::ODownEnd, true),
        (EventKind::SwitchMaster, true),
        (EventKind::SDown, false),
        (EventKind::SDownEnd, false),
    ] {
        assert_eq!(wants(&only, kind, "m"), wanted, "{}", kind.name());
    }
}

#[test]
fn a_template_is_read_and_tried_at_start_and_its_mistake_has_a_line() {
    let made = |text: &str| {
        let mut config = WebhookConfig::new("ops", "https://hook.example/");
        (config.format, config.template) = ("template".into(), Some(text.into()));
        Target::new(&config, &Files::default()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(made("{{ headline }}"), Ok(()));
    for (text, part) in [
        ("one\n{{ headline", "line 2: "),
        ("one\ntwo\n{{ no_such_name }}", "line 3: undefined value"),
        ("{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}", "fuel"),
    ] {
        let told = made(text).unwrap_err();
        assert!(told.starts_with("webhook 'ops': template: ") && told.contains(part), "{told}");
    }
}

#[test]
fn further_headers_are_sent_and_only_standard_formats_are_signed() {
    let mut config = WebhookConfig::new("ops", "https://hook.example/");
    config.headers.insert("X-Team".into(), "blue".into());
    config.headers.insert("Content-Type".into(), "text/x-own".into());
    let mut files = Files { secret: Some("a secret of the test".into()), ..Files::default() };
    files.headers.insert("Authorization".into(), "Bearer hunter2\n".into());
    for format in ["generic", "cloudevents", "slack"] {
        config.format = format.into();
        let target = Target::new(&config, &files).unwrap();
        let request = request(&stories()[0], &target, "c", Wall(0)).unwrap();
        let header = |name: &str| {
            let found: Vec<&str> =
                request.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
            assert!(found.len() <= 1, "{name} twice");
            found.first().copied()
        };
        assert_eq!(header("x-team"), Some("blue"));
        assert_eq!(header("content-type"), Some("text/x-own"));
        assert_eq!(header("authorization"), Some("Bearer hunter2"));
        assert_eq!(header("webhook-signature").is_some(), format != "slack");
        assert_eq!(header("webhook-id").is_some(), format != "slack");
        assert!(!format!("{request:?}").contains("hunter2"));
    }
    for (name, value) in
        [("Host", "x"), ("Webhook-Id", "x"), ("a b", "x"), ("X-A", "a\r\nX-B: c"), ("X-A", "")]
    {
        let mut config = WebhookConfig::new("ops", "https://hook.example/");
        config.headers.insert(name.into(), value.into());
        assert!(Target::new(&config, &Files::default()).is_err(), "{name}: {value}");
    }
}
