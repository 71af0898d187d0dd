//! What of the supervisor's word must outlive the process: `vedette.state`, as text.

use crate::model::Epoch;

/// The role it was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Master,
    Replica,
    /// Fenced: to hold still.
    Still,
}

impl Told {
    fn name(self) -> &'static str {
        match self {
            Told::Master => "master",
            Told::Replica => "replica",
            Told::Still => "still",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub node: String,
    pub group: String,
    pub epoch: Epoch,
    pub told: Told,
}

const HEAD: &str = "vedette-state 1";

impl Record {
    pub fn encode(&self) -> String {
        let Record { node, group, epoch, told } = self;
        format!("{HEAD}\nnode {node}\ngroup {group}\nepoch {epoch}\nrole {}\nend\n", told.name())
    }

    /// `None` unless it is whole: a torn file must not pass for an older reign.
    pub fn decode(text: &str) -> Option<Record> {
        let mut lines = text.strip_suffix("end\n")?.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let node = field("node")?;
        let group = field("group")?;
        let epoch = field("epoch")?.parse().ok()?;
        let told = match field("role")?.as_str() {
            "master" => Told::Master,
            "replica" => Told::Replica,
            "still" => Told::Still,
            _ => return None,
        };
        Some(Record { node, group, epoch, told })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_whole_or_not_at_all() {
        let record = Record { node: "n-1".into(), group: "orders".into(), epoch: 7, told: Told::Still };
        let text = record.encode();
        assert_eq!(Record::decode(&text), Some(record));
        for end in 0..text.len() {
            assert_eq!(Record::decode(&text[..end]), None, "{end}");
        }
    }
}
