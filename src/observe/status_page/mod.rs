//! The status page: one self-contained document. Drawn whole on the server, so it is right without
//! scripts; with them, the tree of [`view`](super::view) comes over `/events?view=page` and only what
//! changed is touched. One file per part of the page.

mod actions;
mod drills;
mod fleet;
mod group;
mod incidents;
mod instance;
mod policy;
mod topology;

pub use actions::Viewer;

use crate::model::status::{InstanceStatus, Status};
use crate::observe::view::{Element, el, escape};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(include_str!("page.js"), include_str!("actions.js"));
const DIALOG: &str = include_str!("dialog.html");
/// Groups that are well are drawn up to this many groups; in a larger fleet each is a line.
const DRAWN_MAX: usize = 8;
/// Groups that need attention are drawn up to this many.
const ILL_MAX: usize = 24;
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='8' fill='%234f46e5'/%3E%3Cpath d='M8 10l8 13 8-13' fill='none' stroke='white' stroke-width='3.4' stroke-linecap='round' stroke-linejoin='round'/%3E%3Ccircle cx='16' cy='9.5' r='2.6' fill='white'/%3E%3C/svg%3E";

/// The value of `Content-Security-Policy`: nothing but this document's own style and script runs,
/// and it may talk to nobody but the sentinel it came from.
pub fn content_security_policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

pub fn html(status: &Status, viewer: &Viewer) -> String {
    let mut page = String::with_capacity(32 * 1024);
    page.push_str("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\"><title>Vedette</title>");
    page.push_str(&format!("<link rel=\"icon\" href=\"{ICON}\">"));
    page.push_str("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>");
    page.push_str(&meta("user", viewer.user.as_deref().unwrap_or("")));
    page.push_str(&meta("token", &viewer.token));
    let acts = if viewer.can_act { " class=\"acts\"" } else { "" };
    page.push_str(&format!("<style>{STYLE}</style></head><body{acts}>"));
    page.push_str("<p id=\"lost\" role=\"status\" hidden></p>");
    tree(status).html(&mut page);
    page.push_str(DIALOG);
    page.push_str(&format!("<script>{SCRIPT}</script></body></html>"));
    page
}

fn meta(name: &str, content: &str) -> String {
    let mut out = format!("<meta name=\"vedette-{name}\" content=\"");
    escape(content, &mut out);
    out.push_str("\">");
    out
}

/// All that changes.
pub fn tree(status: &Status) -> Element {
    // Whoever needs attention comes first; the order is otherwise kept, so that nothing jumps.
    let mut groups: Vec<_> = status.groups.iter().enumerate().collect();
    groups.sort_by_key(|(_, group)| group::is_well(group));
    let (drawn, lines): (Vec<_>, Vec<_>) = groups.into_iter().enumerate().partition(|(at, (_, group))| {
        !group::is_well(group) && *at < ILL_MAX || status.groups.len() <= DRAWN_MAX
    });
    let drawn = drawn.into_iter().map(|(_, (key, group))| group::card(group, status, key));
    let mut page = el("div", "page").attr("id", "page").child(header(status)).child(verdict(status));
    page = page.children(policy::fleet(status));
    if status.groups.is_empty() {
        let hint =
            "No group is watched yet. Add one under masters: in sentinel.yaml, or send SENTINEL MONITOR.";
        page = page.child(el("section", "card empty").text(hint));
    }
    let mut main = el("main", "groups").children(drawn);
    if !lines.is_empty() {
        let lines = lines.into_iter().map(|(_, (key, group))| group::line(group, key));
        main = main.child(el("section", "card").child(el("ul", "rows").children(lines)));
    }
    page = page.child(main);
    if let Some(card) = incidents::card(status) {
        page = page.child(card);
    }
    page.child(el("div", "columns").child(fleet::events(status)).child(fleet::side(status)))
        .child(footer(status))
}

fn header(status: &Status) -> Element {
    let logo = el("svg", "logo")
        .attr("viewBox", "0 0 32 32")
        .attr("aria-hidden", "true")
        .child(el("rect", "").attr("width", "32").attr("height", "32").attr("rx", "8"))
        .child(el("path", "").attr("d", "M8 10l8 13 8-13"))
        .child(el("circle", "").attr("cx", "16").attr("cy", "9.5").attr("r", "2.6"));
    let touch = if status.fresh {
        el("span", "pill ok").attr("title", "with the majority of the sentinels").text("in touch")
    } else {
        el("span", "pill bad").attr("title", "with the majority of the sentinels").text("out of touch")
    };
    el("header", "top").child(el("div", "brand").child(logo).child(el("strong", "").text("Vedette"))).child(
        el("div", "whoami")
            .child(el("span", "").text(format!("sentinel {}", status.node)))
            .child(el("span", "dim").text(&*status.raft_role))
            .child(touch)
            .child(el("span", "live").attr("title", "updates as things happen").text("live")),
    )
}

/// The one sentence that whoever was woken at night reads first.
fn verdict(status: &Status) -> Element {
    let ill: Vec<&str> =
        status.groups.iter().filter(|g| !group::is_well(g)).map(|group| group.name.as_str()).collect();
    let total = status.groups.len();
    let (class, title, text) = if !status.fresh {
        let text = "What is shown below is the last that was agreed, and may have been overtaken. Ask another sentinel.";
        ("bad", "This sentinel is out of touch with the majority".to_owned(), text.to_owned())
    } else if total == 0 {
        ("idle", "Nothing to watch".to_owned(), "The sentinels agree; no group is configured.".to_owned())
    } else if ill.is_empty() {
        let replicas: usize = status.groups.iter().map(|group| group.replicas.len()).sum();
        let away =
            |replica: &&InstanceStatus| replica.paused.is_none() && (replica.sdown || !replica.reachable);
        let away = status.groups.iter().flat_map(|group| &group.replicas).filter(away).count();
        let text = format!(
            "{total} group{}, {replicas} replica{}. {}",
            plural(total),
            plural(replicas),
            fleet::sentence(status)
        );
        match away {
            0 => ("ok", "All is well".to_owned(), text),
            1 => ("warn", "Every master serves, a replica is down".to_owned(), text),
            _ => ("warn", format!("Every master serves, {away} replicas are down"), text),
        }
    } else {
        let worst =
            if status.groups.iter().any(|group| group::tone(group) == "bad") { "bad" } else { "warn" };
        let verb = if ill.len() == 1 { "needs" } else { "need" };
        (worst, format!("{} of {total} group{} {verb} attention", ill.len(), plural(total)), ill.join(", "))
    };
    el("section", &format!("verdict {class}"))
        .attr("role", "status")
        .child(el("span", "beacon"))
        .child(el("div", "").child(el("h1", "").text(title)).child(el("p", "").text(text)))
}

fn footer(status: &Status) -> Element {
    let up = ago(status.uptime_ms);
    el("footer", "dim")
        .child(el("span", "").text(format!("Vedette {}", status.version)))
        .child(el("span", "").text(format!("cluster {}", status.cluster_id)))
        .child(el("span", "").text(format!("term {}, index {}", status.raft_term, status.raft_applied)))
        .child(el("span", "").text(format!("up for {up}")))
        .child(el("span", "").text("times are UTC"))
        .child(el("a", "").attr("href", "/status.json").text("JSON"))
        .child(el("a", "").attr("href", "/metrics").text("metrics"))
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A length of time for a person: the two largest units that matter.
fn ago(ms: u64) -> String {
    let s = ms / 1000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{s} s"),
        60_000..3_600_000 => format!("{} min {} s", s / 60, s % 60),
        3_600_000..86_400_000 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

/// A short length of time, in which tenths of a second matter.
fn span(ms: u64) -> String {
    if (1_000..60_000).contains(&ms) { format!("{}.{} s", ms / 1000, ms / 100 % 10) } else { ago(ms) }
}

fn ago_or_none(ms: Option<u64>) -> String {
    ms.map_or("never".to_owned(), ago)
}

/// `1 234 567` with thin spaces.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests;
