//! What is not of one group: the sentinels, the webhooks, what happened.

use super::{ago, ago_or_none, plural};
use crate::model::event::{Event, Severity};
use crate::model::status::{PeerStatus, Status, WebhookStatus};
use crate::observe::view::{Element, el};
use crate::stdx::calendar;
use crate::stdx::time::Wall;

const EVENTS_SHOWN: usize = 24;
/// Followers have little to say to each other: a link that is up and quiet is no news.
const HEARD_SHOWN_MS: u64 = 3_000;

pub(super) fn side(status: &Status) -> Element {
    let mut side = el("div", "side").child(sentinels(status));
    if let Some(card) = super::drills::card(status) {
        side = side.child(card);
    }
    if status.webhooks.is_empty() { side } else { side.child(webhooks(status)) }
}

/// How many sentinels are in touch with this one.
pub(super) fn sentence(status: &Status) -> String {
    let others = || status.peers.iter().filter(|peer| peer.id != status.node);
    let (all, touched) = (others().count() + 1, others().filter(|peer| peer.connected).count() + 1);
    if all == touched {
        format!("{all} sentinel{} in touch.", plural(all))
    } else {
        format!("Only {touched} of {all} sentinels in touch.")
    }
}

fn sentinels(status: &Status) -> Element {
    let others = status.peers.iter().filter(|peer| peer.id != status.node).map(|peer| {
        let role = if status.raft_leader == Some(peer.id) { "leader" } else { "follower" };
        (peer.id, other(peer, role))
    });
    let me = status.peers.iter().find(|peer| peer.id == status.node);
    let mut rows: Vec<(u64, Element)> = others.collect();
    let address = me.map_or("this sentinel".to_owned(), |peer| format!("{} (this one)", peer.address));
    let touch = if status.fresh { ("ok", "in touch") } else { ("bad", "out of touch") };
    rows.push((status.node, row(status.node, &status.raft_role, address, touch.0, touch.1.to_owned())));
    rows.sort_by_key(|(id, _)| *id);
    el("section", "card")
        .child(el("h3", "").text("Sentinels"))
        .child(el("ul", "rows").children(rows.into_iter().map(|(_, row)| row)))
}

fn other(peer: &PeerStatus, role: &str) -> Element {
    let heard = ago_or_none(peer.last_heard_ms);
    let (tone, text) = match (peer.connected, peer.last_heard_ms) {
        (true, Some(0..=HEARD_SHOWN_MS)) => ("ok", format!("heard {heard} ago")),
        (true, _) => ("ok", "connected".to_owned()),
        (false, Some(_)) => ("bad", format!("silent for {heard}")),
        (false, None) => ("bad", "never heard".to_owned()),
    };
    row(peer.id, role, peer.address.to_string(), tone, text)
}

fn row(id: u64, role: &str, address: String, tone: &str, text: String) -> Element {
    let first = el("div", "line")
        .child(el("strong", "").text(format!("sentinel {id}")))
        .child(el("span", if role == "leader" { "tag busy" } else { "tag" }).text(role));
    let second =
        el("div", "line dim").child(el("span", "mono").text(address)).child(el("span", "").text(text));
    el("li", &format!("dot {tone}")).child(first).child(second)
}

fn webhooks(status: &Status) -> Element {
    let rows = status.webhooks.iter().map(webhook);
    el("section", "card").child(el("h3", "").text("Webhooks")).child(el("ul", "rows").children(rows))
}

fn webhook(hook: &WebhookStatus) -> Element {
    let tone = match hook {
        _ if hook.disabled.is_some() => "bad",
        _ if hook.last_error.is_some() || !hook.dead.is_empty() => "warn",
        _ => "ok",
    };
    let (word, class) = match hook.pending {
        _ if hook.disabled.is_some() => ("disabled".to_owned(), "tag bad"),
        0 => ("nothing waits".to_owned(), "tag"),
        pending => (format!("{pending} waiting"), "tag warn"),
    };
    let first =
        el("div", "line").child(el("strong", "").text(&*hook.name)).child(el("span", class).text(word));
    let failures = if hook.failures == 0 { String::new() } else { format!("{} failures", hook.failures) };
    let second = el("div", "line dim")
        .child(el("span", "").text(format!("up to event {}", hook.delivered_up_to)))
        .child(el("span", "").text(failures));
    let place = [hook.format.as_str(), hook.endpoint.as_str()];
    let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
    let mut item = el("li", &format!("dot {tone}")).child(first).child(second);
    if !place.is_empty() {
        item = item.child(el("div", "dim payload").text(place.join(" to ")));
    }
    if let Some(why) = &hook.disabled {
        item = item.child(el("div", "error").text(format!("Nothing is sent: {why}")));
    } else if let Some(error) = &hook.last_error {
        item = item.child(el("div", "error").text(&**error));
    }
    let kept = hook.dead.len();
    if kept > 0 {
        let remedy = format!("{kept} given up; they can be replayed: vedette webhooks replay {}", hook.name);
        item = item.child(el("div", "error").text(remedy));
    }
    item
}

pub(super) fn events(status: &Status) -> Element {
    let newest = status.events.iter().rev().take(EVENTS_SHOWN);
    let mut list = Vec::new();
    let mut day = String::new();
    for event in newest {
        let date = calendar::date(Wall(event.at_ms));
        if date != day {
            list.push(el("li", "day").text(&*date));
            day = date;
        }
        list.push(entry(event));
    }
    let card = el("section", "card").child(el("h3", "").text("What happened"));
    if list.is_empty() {
        return card.child(el("p", "dim").text(format!("Nothing in {}.", ago(status.uptime_ms))));
    }
    card.child(el("ol", "events").children(list))
}

fn entry(event: &Event) -> Element {
    let row = event.kind.row();
    let tone = match (row.severity, row.name.as_bytes().first()) {
        (Severity::Warning, Some(b'-')) => "warn",
        (Severity::Warning, _) => "loud",
        _ => "quiet",
    };
    let head = el("div", "line")
        .child(el("code", "").text(row.name))
        .child(el("span", "dim").text(&*event.group))
        .child(el("span", "id dim").text(format!("#{}", event.id)));
    el("li", &format!("event {tone}"))
        .child(
            el("time", "mono")
                .attr("datetime", calendar::rfc3339(Wall(event.at_ms)))
                .text(calendar::time_of_day(Wall(event.at_ms))),
        )
        .child(
            el("div", "")
                .child(head)
                .child(el("div", "what").text(row.summary))
                .child(el("div", "payload mono dim").text(&*event.payload)),
        )
}
