//! INFO of a sentinel: the sections of Redis Sentinel, then `# Raft`.

use super::facts::{Facts, GroupFacts};
use super::instance::mode_name;
use super::process;
use crate::model::info::InfoWriter;

/// Redis clients compare this with what they need; it names the dialect, not our release.
pub const REDIS_VERSION: &str = "7.2.0";

type Section = (&'static str, fn(&Facts, &mut InfoWriter));

const SECTIONS: &[Section] = &[
    ("server", process::server),
    ("clients", process::clients),
    ("stats", process::stats),
    ("cpu", process::cpu),
    ("sentinel", sentinel),
    ("raft", raft),
];

/// The wanted sections in their own order; none named, or `all`, `default`, `everything`: all.
pub fn text(facts: &Facts, wanted: &[&[u8]]) -> String {
    let says = |name: &str| wanted.iter().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    let all = wanted.is_empty() || ["all", "default", "everything"].into_iter().any(says);
    let mut info = InfoWriter::default();
    for (name, write) in SECTIONS {
        if all || says(name) {
            write(facts, &mut info);
        }
    }
    info.finish()
}

fn sentinel(facts: &Facts, info: &mut InfoWriter) {
    info.section("Sentinel")
        .field("sentinel_masters", facts.groups.len())
        // Time is read from a clock that cannot jump, so there is no tilt to fall into.
        .field("sentinel_tilt", 0)
        .field("sentinel_tilt_since_seconds", -1)
        .field("sentinel_total_tilt", 0)
        .field("sentinel_running_scripts", facts.scripts.iter().filter(|script| script.running()).count())
        .field("sentinel_scripts_queue_length", facts.scripts.len())
        .field("sentinel_simulate_failure_flags", facts.simulated_failures);
    for (index, group) in facts.groups.iter().enumerate() {
        info.field(
            &format!("master{index}"),
            format!(
                "name={},status={},address={},slaves={},sentinels={}",
                group.name,
                status(group),
                group.master.address,
                group.replicas.len(),
                facts.voters()
            ),
        );
    }
}

fn status(group: &GroupFacts) -> &'static str {
    if group.master.o_down_ms.is_some() {
        "odown"
    } else if group.master.s_down_ms.is_some() {
        "sdown"
    } else {
        "ok"
    }
}

fn raft(facts: &Facts, info: &mut InfoWriter) {
    let leader = facts.raft_leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
    info.section("Raft")
        .field("raft_node", facts.node)
        .field("raft_role", facts.raft_role)
        .field("raft_term", facts.raft_term)
        .field("raft_leader", leader)
        .field("raft_applied", facts.raft_applied)
        .field("raft_voters", facts.voters())
        .field("raft_voters_usable", facts.usable())
        .field("vedette_fresh", if facts.fresh { "yes" } else { "no" });
    for (index, group) in facts.groups.iter().enumerate() {
        info.field(
            &format!("vedette_group{index}"),
            format!(
                "name={},mode={},epoch={},situation={},in_sync={}",
                group.name,
                mode_name(group.mode),
                group.epoch,
                group.situation.replace([',', '\r', '\n'], " "),
                group.in_sync.len()
            ),
        );
    }
}
