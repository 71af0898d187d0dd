//! What a group's failovers are allowed to do and whom they prefer: the keys of one entry of
//! `masters` that limit, hold or steer decisions. The same names serve `SENTINEL SET`.
//!
//! Has never heard of a failover: these are numbers with bounds and their texts.

use crate::model::Address;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// More servers in one group than anybody runs.
pub const ZONES_MAX: usize = 128;
pub const FAILOVERS_MAX: u64 = 100;
pub const WINDOW_MS_MIN: u64 = 1000;
pub const WINDOW_MS_MAX: u64 = 7 * 24 * 3600 * 1000;
pub const SYNC_QUORUM_MAX: usize = 128;
/// Shorter than a server may take to restart, a replica would be forgotten that is on its way back.
pub const FORGET_AFTER_MS_MIN: u64 = 60_000;
pub const FORGET_AFTER_MS_MAX: u64 = 365 * 24 * 3600 * 1000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Policy {
    /// Automatic failovers per window before the group counts as flapping; 0: no limit.
    pub failovers_max: u64,
    pub failovers_window_ms: u64,
    /// A promotion that would lose more than this is refused; `None`: no limit.
    pub max_loss_bytes: Option<u64>,
    pub max_loss_seconds: Option<u64>,
    /// n, the replicas that must acknowledge before WAIT's promise holds; `None`: by the number of
    /// data nodes.
    pub sync_quorum: Option<usize>,
    pub prefer_zone: Option<String>,
    pub zones: BTreeMap<Address, String>,
    /// Hand over to the preferred replica afterwards when it was behind at the failover.
    pub prefer_handover: bool,
    /// A replica that is down and on no master's list for so long is forgotten; 0: never.
    pub forget_replicas_after_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            failovers_max: 3,
            failovers_window_ms: 1_800_000,
            max_loss_bytes: None,
            max_loss_seconds: None,
            sync_quorum: None,
            prefer_zone: None,
            zones: BTreeMap::new(),
            prefer_handover: true,
            forget_replicas_after_ms: 7 * 24 * 3600 * 1000,
        }
    }
}

impl Policy {
    /// What is wrong with it, as (key, remedy).
    pub fn complaints(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        if self.failovers_max > FAILOVERS_MAX {
            wrong.push(("failovers-max", format!("give 0 (no limit) to {FAILOVERS_MAX}")));
        }
        if !(WINDOW_MS_MIN..=WINDOW_MS_MAX).contains(&self.failovers_window_ms) {
            wrong.push((
                "failovers-window",
                format!("give milliseconds from {WINDOW_MS_MIN} to {WINDOW_MS_MAX}"),
            ));
        }
        if self.sync_quorum.is_some_and(|n| !(1..=SYNC_QUORUM_MAX).contains(&n)) {
            wrong.push(("sync-quorum", format!("give auto or a number from 1 to {SYNC_QUORUM_MAX}")));
        }
        if !is_forget_after(self.forget_replicas_after_ms) {
            wrong.push((
                "forget-replicas-after",
                format!("give 0 (never) or milliseconds from {FORGET_AFTER_MS_MIN} to {FORGET_AFTER_MS_MAX}"),
            ));
        }
        let zones = self.prefer_zone.iter().chain(self.zones.values());
        if let Some(zone) = zones.into_iter().find(|zone| !is_zone(zone)) {
            let shown: String = zone.chars().filter(|c| !c.is_control()).take(64).collect();
            wrong.push((
                "zones",
                format!("'{shown}' is no zone; use letters, digits, '.', '-' and '_' (at most 64)"),
            ));
        }
        if self.zones.len() > ZONES_MAX {
            wrong.push(("zones", format!("no more than {ZONES_MAX} servers can be given a zone")));
        }
        if let Some(wanted) = &self.prefer_zone
            && !self.zones.values().any(|zone| zone == wanted)
        {
            wrong.push((
                "prefer-zone",
                format!(
                    "no server is in the zone '{wanted}'; say which are with zones: {{ \"HOST:PORT\": {wanted} }}"
                ),
            ));
        }
        wrong
    }

    /// The zone of a server, if it was given one.
    pub fn zone(&self, server: &Address) -> Option<&str> {
        self.zones.get(server).map(String::as_str)
    }

    /// `a:6379=east,b:6379=west`
    pub fn zones_text(&self) -> String {
        let pairs: Vec<String> = self.zones.iter().map(|(server, zone)| format!("{server}={zone}")).collect();
        pairs.join(",")
    }
}

pub fn is_forget_after(ms: u64) -> bool {
    ms == 0 || (FORGET_AFTER_MS_MIN..=FORGET_AFTER_MS_MAX).contains(&ms)
}

pub fn is_zone(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// Reads what [`Policy::zones_text`] writes; an empty text is no zone at all.
pub fn zones_from_text(text: &str) -> Option<BTreeMap<Address, String>> {
    let pair = |pair: &str| {
        let (server, zone) = pair.rsplit_once('=')?;
        is_zone(zone).then_some(())?;
        Some((server.parse().ok()?, zone.to_owned()))
    };
    let zones: Option<BTreeMap<_, _>> = text.split(',').filter(|p| !p.is_empty()).map(pair).collect();
    zones.filter(|zones| zones.len() <= ZONES_MAX)
}

/// `auto` or a number.
pub mod auto_or_number {
    use super::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option)]
    pub fn serialize<S: Serializer>(value: &Option<usize>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            None => serializer.serialize_str("auto"),
            Some(n) => serializer.serialize_u64(*n as u64),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(usize),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(n) => Ok(Some(n)),
            Either::Text(text) if text.eq_ignore_ascii_case("auto") => Ok(None),
            Either::Text(text) => {
                Err(serde::de::Error::custom(format!("`sync-quorum` is auto or a number, not '{text}'")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_read_back_and_strange_ones_are_refused() {
        let mut policy =
            Policy { zones: zones_from_text("10.0.0.1:1=east,[::1]:2=west").unwrap(), ..Policy::default() };
        assert_eq!(zones_from_text(&policy.zones_text()).as_ref(), Some(&policy.zones));
        assert_eq!(zones_from_text(""), Some(BTreeMap::new()));
        for bad in ["east", "10.0.0.1:1=", "10.0.0.1:1=a b", "10.0.0.1=east"] {
            assert_eq!(zones_from_text(bad), None, "{bad}");
        }
        policy.prefer_zone = Some("north".into());
        policy.sync_quorum = Some(0);
        let keys: Vec<&str> = policy.complaints().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["sync-quorum", "prefer-zone"]);
    }
}
