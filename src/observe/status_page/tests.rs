//! The page under hostile names, and what its first sentence says.

use super::*;
use crate::model::event::EventKind;
use crate::observe::sample;

const HOSTILE: &str = "<script>alert('x')</script>\"&\u{202e}";

#[test]
fn names_from_outside_never_become_markup() {
    let mut status = sample::failing_over();
    status.version = HOSTILE.into();
    status.cluster_id = HOSTILE.into();
    status.raft_role = HOSTILE.into();
    status.peers[0].address.host = HOSTILE.into();
    for group in &mut status.groups {
        group.name = HOSTILE.into();
        group.mode = HOSTILE.into();
        group.situation = HOSTILE.into();
        group.summary = HOSTILE.into();
        group.master.role = HOSTILE.into();
        group.master.address.host = HOSTILE.into();
        group.replicas[0].address.host = HOSTILE.into();
        if let Some(failover) = &mut group.failover {
            failover.phase = HOSTILE.into();
            failover.cause = HOSTILE.into();
        }
    }
    for event in &mut status.events {
        event.group = HOSTILE.into();
        event.payload = HOSTILE.into();
    }
    status.webhooks[0].name = HOSTILE.into();
    status.webhooks[0].last_error = Some(HOSTILE.into());
    let page = html(&status, &Viewer::default());
    assert_eq!(page.matches("<script>").count(), 1, "only the page's own");
    assert!(!page.contains("alert('x')") && !page.contains('\u{202e}'));
    assert!(page.matches("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;\u{fffd}").count() > 20);
    // The tree that scripts read holds them as plain text, and only as text or class-less values.
    let tree = serde_json::to_value(tree(&status)).unwrap();
    attributes_are_tame(&tree);
}

/// No attribute carries a name from outside, an address to load or a handler.
fn attributes_are_tame(node: &serde_json::Value) {
    let Some(parts) = node.as_array() else { return };
    for (name, value) in parts[1].as_object().unwrap() {
        let value = value.as_str().unwrap();
        assert!(!name.starts_with("on") && name != "style" && name != "src", "{name}");
        assert!(!value.contains("alert"), "{name}={value}");
        assert!(name != "href" || ["/status.json", "/metrics", "/api/incidents"].contains(&value), "{value}");
    }
    parts[2..].iter().for_each(attributes_are_tame);
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_its_policy_allows_nothing_else() {
    let page = html(&sample::well(), &Viewer::default());
    for outside in ["http://", "https://", "//cdn", " src=", "@import", "url(", " style=", "javascript:"] {
        let found = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(outside), "{outside}");
    }
    let policy = content_security_policy();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    assert!(!policy.contains("unsafe"));
    // What is hashed is what stands between the tags.
    let between = |open: &str, close: &str| {
        let start = page.find(open).unwrap() + open.len();
        let end = page[start..].find(close).unwrap();
        STANDARD.encode(Sha256::digest(&page.as_bytes()[start..start + end]))
    };
    assert!(policy.contains(&between("<style>", "</style>")));
    assert!(policy.contains(&between("<script>", "</script>")));
}

#[test]
fn the_first_sentence_says_what_matters_most() {
    let says = |status: &Status, text: &str| {
        let page = html(status, &Viewer::default());
        assert!(page.contains(text), "missing: {text}");
    };
    let mut status = sample::well();
    says(&status, "<h1>All is well</h1><p>2 groups, 4 replicas. 3 sentinels in touch.</p>");
    status.peers[0].connected = false;
    says(&status, "Only 2 of 3 sentinels in touch.");
    status.groups[0].replicas[0].sdown = true;
    says(&status, "<h1>Every master serves, a replica is down</h1>");
    status = sample::failing_over();
    says(&status, "<h1>1 of 2 groups needs attention</h1><p>sessions</p>");
    let page = html(&status, &Viewer::default());
    assert!(page.find("<h2>sessions</h2>") < page.find("<h2>mymaster</h2>"), "trouble comes first");
    says(&status, "<li class=\"now\">Promote and confirm</li>");
    says(&status, "chosen successor");
    status.fresh = false;
    says(&status, "<h1>This sentinel is out of touch with the majority</h1>");
    says(&Status { fresh: true, ..Status::default() }, "Nothing to watch");
}

#[test]
fn figures_are_readable() {
    assert_eq!(thousands(0), "0");
    assert_eq!(thousands(48_213_377).replace('\u{202f}', " "), "48 213 377");
    assert_eq!(bytes(999), "999 B");
    assert_eq!(bytes(18_400), "18.4 kB");
    assert_eq!(ago(999), "999 ms");
    assert_eq!(ago(73_000), "1 min 13 s");
    assert_eq!(ago(90_000_000), "1 d 1 h");
}

#[test]
fn a_big_fleet_and_a_long_history_stay_a_bounded_page() {
    let mut status = sample::well();
    let event = status.events[0].clone();
    status.events = (1..=10_000).map(|id| crate::model::event::Event { id, ..event.clone() }).collect();
    assert_eq!(event.kind, EventKind::Monitor);
    assert!(html(&status, &Viewer::default()).len() < 64 * 1024);
}
