//! What happens in the world, and when.

use super::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

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

/// What is to come, in order: by time, then as it was put in. Events stay where they are while the order of
/// them moves.
#[derive(Default)]
pub(super) struct Queue {
    order: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
}

impl Queue {
    pub(super) fn push(&mut self, at_us: u64, sequence: u64, event: Event) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.order.push(Reverse((at_us, sequence, place)));
    }

    /// The next one, if it is due by then.
    pub(super) fn pop(&mut self, until_us: u64) -> Option<(u64, u64, Event)> {
        let &Reverse((at_us, sequence, place)) = self.order.peek()?;
        if at_us > until_us {
            return None;
        }
        self.order.pop();
        self.free.push(place);
        self.events[place].take().map(|event| (at_us, sequence, event))
    }
}
