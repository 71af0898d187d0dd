//! `yes` and `no` as Redis writes them, besides YAML's own `true` and `false`; for serde's `with`.

use serde::{Deserialize, Deserializer, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Either {
    Bool(bool),
    Text(String),
}

fn read<E: serde::de::Error>(either: Either) -> Result<bool, E> {
    match either {
        Either::Bool(value) => Ok(value),
        Either::Text(text) if text.eq_ignore_ascii_case("yes") => Ok(true),
        Either::Text(text) if text.eq_ignore_ascii_case("no") => Ok(false),
        Either::Text(text) => Err(E::custom(format!("expected yes or no, not '{text}'"))),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
pub fn serialize<S: Serializer>(value: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *value { "yes" } else { "no" })
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    read(Either::deserialize(deserializer)?)
}

/// The same where the key may be absent.
pub mod option {
    use super::{Either, read};
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn serialize<S: Serializer>(value: &Option<bool>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
        Option::<Either>::deserialize(deserializer)?.map(read).transpose()
    }
}
