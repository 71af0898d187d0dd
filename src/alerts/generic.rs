//! Our own body: flat JSON that a script or an automation tool reads without documentation.

use super::{Letter, words};

pub(super) fn body(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    Ok(words::object(letter.event, letter.cluster).to_string().into_bytes())
}
