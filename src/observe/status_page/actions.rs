//! What an operator may do from the page. The buttons name what is meant, the dialog asks for the rest;
//! names are read from the page's text by the script, so nothing from outside becomes markup.

use crate::model::status::GroupStatus;
use crate::observe::view::{Element, el};

/// Who looks at the page, and what the page may offer.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    /// Somebody is configured who may act.
    pub can_act: bool,
    /// The user that logged in to look, when it may act too.
    pub user: Option<String>,
    /// Shown to this page alone, and asked back with every action of a browser.
    pub token: String,
}

pub(super) fn button(action: &'static str, label: &str) -> Element {
    el("button", "").attr("type", "button").attr("data-act", action).text(label)
}

/// What may be done with this group now.
pub(super) fn bar(group: &GroupStatus) -> Option<Element> {
    let mut buttons = Vec::new();
    if !group.replicas.is_empty() && group.failover.is_none() {
        buttons.push(button("switchover", "Switch over"));
    }
    if group.policy.paused.is_some() {
        buttons.push(button("resume", "End maintenance"));
    } else {
        buttons.push(button("pause", "Maintenance"));
    }
    if group.policy.flapping || group.policy.held.as_ref().is_some_and(|hold| hold.guard != "pause") {
        buttons.push(button("acknowledge", "Acknowledge"));
    }
    (!buttons.is_empty()).then(|| el("div", "actions").children(buttons))
}
