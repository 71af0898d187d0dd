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

fn button(action: &'static str, label: &str) -> Element {
    el("button", "").attr("type", "button").attr("data-act", action).text(label)
}

pub(super) fn bar(group: &GroupStatus) -> Element {
    let mut bar = el("div", "actions");
    if !group.replicas.is_empty() && group.failover.is_none() {
        bar = bar.child(button("switchover", "Switch over"));
    }
    bar
}
