//! The signature of Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over
//! `id.timestamp.body`; one per live secret, separated by spaces, so that secrets can be rotated.

use crate::alerts::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub(super) fn header(secrets: &[Secret], id: &str, seconds: u64, body: &[u8]) -> Option<String> {
    let signatures: Vec<String> = secrets.iter().map(|secret| sign(secret, id, seconds, body)).collect();
    (!signatures.is_empty()).then(|| signatures.join(" "))
}

fn sign(secret: &Secret, id: &str, seconds: u64, body: &[u8]) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.bytes()) else { return String::new() };
    mac.update(id.as_bytes());
    mac.update(format!(".{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
