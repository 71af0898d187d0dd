//! What is configured of full syncs and of the stream's memory. Has never heard of a replica.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncConfig {
    /// A full sync waits so long for further replicas that can share it. Redis waits 5 s; here the walk
    /// is shared by those that come while it is short, so nobody waits unless that is asked for.
    pub delay_s: u64,
    /// So many waiting are enough; 0: the whole delay.
    pub replicas_max: usize,
    /// The stream is forgotten when no replica was there for so long; 0: never.
    pub backlog_ttl_s: u64,
    /// How a replica takes an image, as said. Whichever it is: to a file without a name, read whole, and
    /// only then in the place of what was there.
    pub load: String,
}

impl Default for SyncConfig {
    fn default() -> Self {
        SyncConfig { delay_s: 0, replicas_max: 0, backlog_ttl_s: 3600, load: "disabled".into() }
    }
}
