//! `users` and `aclfile` of `sentinel.yaml`. A line may hold a password, so it is never shown.

use serde::{Deserialize, Serialize};

/// A user as ACL LIST writes it without its first word: `alice on >secret ~* &* +@all`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserLine(pub String);

impl std::fmt::Debug for UserLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserLine(redacted)")
    }
}
