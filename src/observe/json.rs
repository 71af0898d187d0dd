//! The snapshot as JSON: one line, the names of `model::status`.

use crate::model::status::Status;

/// Fails only on data that JSON cannot hold, of which a snapshot has none.
pub fn text(status: &Status) -> Result<String, serde_json::Error> {
    serde_json::to_string(status)
}
