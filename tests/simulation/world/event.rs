//! What happens in the world, and when.

use super::*;

#[derive(Clone, Debug)]
pub enum Event {
    Wake {
        sentinel: usize,
        generation: u64,
    },
    Peer {
        from: usize,
        to: usize,
        life: u64,
        message: PeerMessage,
    },
    PeerClosed {
        at: usize,
        peer: usize,
        life: u64,
    },
    Redial,
    Operator {
        via: usize,
        command: Box<Command>,
    },
    PeerLink {
        at: usize,
        peer: usize,
        up: bool,
        life: u64,
    },
    Command {
        sentinel: usize,
        channel: u64,
        node: usize,
        run: u64,
        request: u64,
        argv: Vec<Vec<u8>>,
    },
    Replied {
        sentinel: usize,
        channel: u64,
        instance: Address,
        request: u64,
        reply: Reply,
    },
    LinkUp {
        sentinel: usize,
        life: u64,
        channel: u64,
        run: u64,
        instance: Address,
    },
    LinkDown {
        sentinel: usize,
        life: u64,
        channel: Option<u64>,
        instance: Address,
        why: LinkError,
    },
    NodeTick {
        node: usize,
    },
    Repl {
        from: Address,
        to: usize,
        run: u64,
        message: ReplMessage,
    },
    ClientWrite {
        node: usize,
        value: u64,
        wait: usize,
    },
    ClientRead {
        node: usize,
        read: u64,
    },
    ClientAnswer {
        value: u64,
        result: Result<usize, &'static str>,
    },
    ClientTurn,
    Resume {
        host: Host,
    },
    Restart {
        host: Host,
        keep_data: bool,
        keep_dir: bool,
    },
    /// The next fault of the schedule.
    Strike {
        index: usize,
    },
    /// That trouble is over.
    Mend {
        trouble: u64,
    },
    /// A disk is itself again, or ends what it had put off.
    DiskMend {
        host: Host,
        generation: u64,
    },
    Synced {
        sentinel: usize,
        life: u64,
    },
    Stutter {
        node: usize,
        until_us: u64,
    },
    Probe,
}

pub(super) struct Due {
    pub(super) at_us: u64,
    pub(super) sequence: u64,
    pub(super) event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The earliest is the greatest: the heap gives that one.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_us, other.sequence).cmp(&(self.at_us, self.sequence))
    }
}
