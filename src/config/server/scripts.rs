//! What is configured of scripts.

/// How long scripts may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptConfig {
    /// From then on others are told BUSY; 0: never.
    pub busy_reply_threshold_ms: u64,
}

impl Default for ScriptConfig {
    fn default() -> Self {
        ScriptConfig { busy_reply_threshold_ms: 5000 }
    }
}
