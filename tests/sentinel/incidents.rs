//! The incident records as every sentinel of a story keeps them: word for word the same.

use super::world::World;
use vedette::model::incident::Incident;
use vedette::sentinel::ledger::Ledger;

impl World {
    /// The records, newest last, with times counted from each record's first step.
    pub fn incidents(&self) -> Vec<String> {
        let most = self.sentinels.values().map(|s| s.ledger().applied).max().unwrap();
        let mut kept = self.sentinels.values().filter(|s| s.ledger().applied == most).map(|s| s.ledger());
        let first = kept.next().unwrap();
        assert!(kept.all(|other| other.incidents == first.incidents), "one record for all");
        let restored = Ledger::decode(&first.encode()).unwrap();
        assert_eq!(restored.incidents, first.incidents, "a snapshot keeps them");
        let mut records: Vec<_> = first.incidents.iter().collect();
        records.reverse();
        records.into_iter().flat_map(|incident| told(incident)).collect()
    }
}

fn told(incident: &Incident) -> Vec<String> {
    let port = |address: &vedette::model::Address| address.port.to_string();
    let successor = incident.successor.as_ref().map_or("nobody".to_owned(), port);
    let mut lines = vec![format!(
        "  [{}: {}, {} to {successor}, {}, outage {:?} repair {:?} by {:?}]",
        incident.cause,
        incident.outcome.name(),
        incident.old_master.port,
        incident.receipt.verdict,
        incident.outage_ms,
        incident.repair_ms,
        incident.leaders,
    )];
    if let Some(evidence) = &incident.evidence {
        let witnesses: Vec<String> = evidence
            .witnesses
            .iter()
            .map(|w| format!("{} reachable {} link {:?}", w.address.port, w.reachable, w.link_up))
            .collect();
        lines.push(format!(
            "    votes {:?} of {} needed, {}",
            evidence.votes,
            evidence.needed,
            witnesses.join(", ")
        ));
    }
    if incident.earlier_attempts > 0 {
        lines.push(format!("    {} earlier attempts", incident.earlier_attempts));
    }
    let from = incident.from_ms();
    lines.extend(incident.steps.iter().map(|step| {
        let place = step.instance.as_ref().map_or(String::new(), |a| format!(" {}", a.port));
        let line = format!("    +{} {}{place} {}", step.at_ms - from, step.step.name(), step.text);
        line.trim_end().to_owned()
    }));
    lines
}
