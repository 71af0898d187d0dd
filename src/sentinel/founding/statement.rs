//! What a sentinel says of itself to another that asks, while a fleet is being founded and after:
//! JSON, bounded, and read only from one that has proven itself.

use super::Founder;
use crate::consensus::MEMBERS_MAX;
use crate::model::NodeId;
use serde::{Deserialize, Serialize};

pub const VERSION: u32 = 1;
pub const BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stage")]
pub enum Stage {
    /// It looks around.
    Gathering,
    /// It sees exactly these, itself among them.
    Agreed { set: Vec<Founder> },
    /// These or none, and that is on its disk.
    Promised { set: Vec<Founder> },
    /// The fleet of these stands.
    Founded { set: Vec<Founder> },
    /// It is one of a fleet that was founded in another way.
    Stands,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub version: u32,
    pub who: Founder,
    pub expect: usize,
    pub groups: Vec<String>,
    #[serde(flatten)]
    pub stage: Stage,
    /// Of a fleet that stands: an id that nobody had yet.
    #[serde(default)]
    pub next_id: Option<NodeId>,
}

impl Statement {
    pub fn encode(&self) -> Vec<u8> {
        // Strings and numbers: there is nothing in it that JSON cannot hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > BYTES_MAX {
            return Err("its statement is too long".to_owned());
        }
        let said: Statement =
            serde_json::from_slice(bytes).map_err(|_| "its statement cannot be read".to_owned())?;
        if said.version != VERSION {
            return Err(format!(
                "it founds in version {}, this one in {VERSION}; upgrade the older one",
                said.version
            ));
        }
        // These reach logs.
        let plain = |text: &str| text.len() <= 300 && text.bytes().all(|b| b.is_ascii_graphic());
        let founder = |one: &Founder| plain(&one.run_id) && plain(&one.address.host);
        let set = match &said.stage {
            Stage::Agreed { set } | Stage::Promised { set } | Stage::Founded { set } => set.as_slice(),
            Stage::Gathering | Stage::Stands => &[],
        };
        let sorted = set.windows(2).all(|two| two[0] < two[1]);
        let fits = set.len() <= MEMBERS_MAX && sorted && set.iter().all(founder);
        if !fits || !founder(&said.who) || !said.groups.iter().all(|name| plain(name)) {
            return Err("its statement makes no sense".to_owned());
        }
        Ok(said)
    }
}
