//! What waits to be written to one peer: bounded, never waited for. When it is full the oldest Raft
//! messages go first, because that protocol asks again by itself.

use std::collections::VecDeque;
use tokio::sync::Notify;

const MAX_FRAMES: usize = 1024;
/// Two of the largest frames fit, so that a snapshot does not push itself out.
const MAX_BYTES: usize = 18 * 1024 * 1024;

#[derive(Default)]
struct Waiting {
    frames: VecDeque<(bool, Vec<u8>)>,
    bytes: usize,
    dropped: u64,
}

#[derive(Default)]
pub(super) struct SendQueue {
    waiting: parking_lot::Mutex<Waiting>,
    filled: Notify,
}

impl SendQueue {
    pub(super) fn push(&self, is_raft: bool, frame: Vec<u8>) {
        let mut waiting = self.waiting.lock();
        waiting.bytes += frame.len();
        waiting.frames.push_back((is_raft, frame));
        while waiting.frames.len() > 1 && (waiting.frames.len() > MAX_FRAMES || waiting.bytes > MAX_BYTES) {
            // The newest stays: it is why there is no room.
            let older = waiting.frames.len() - 1;
            let oldest_raft = waiting.frames.iter().take(older).position(|(is_raft, _)| *is_raft);
            if let Some((_, frame)) = waiting.frames.remove(oldest_raft.unwrap_or(0)) {
                waiting.bytes -= frame.len();
                waiting.dropped += 1;
            }
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// Up to `bytes` of frames, at least one; waits until there is one.
    pub(super) async fn take(&self, bytes: usize) -> Vec<Vec<u8>> {
        loop {
            let filled = self.filled.notified();
            let taken = self.try_take(bytes);
            if !taken.is_empty() {
                return taken;
            }
            filled.await;
        }
    }

    fn try_take(&self, bytes: usize) -> Vec<Vec<u8>> {
        let mut waiting = self.waiting.lock();
        let mut taken = Vec::new();
        let mut size = 0;
        while let Some((_, frame)) = waiting.frames.front() {
            if !taken.is_empty() && size + frame.len() > bytes {
                break;
            }
            size += frame.len();
            let frame = waiting.frames.pop_front();
            taken.extend(frame.map(|(_, frame)| frame));
        }
        waiting.bytes -= size;
        taken
    }

    pub(super) fn dropped(&self) -> u64 {
        self.waiting.lock().dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn when_full_the_oldest_raft_messages_go_and_others_stay() {
        let queue = SendQueue::default();
        queue.push(false, b"forward".to_vec());
        for number in 0..MAX_FRAMES as u32 + 5 {
            queue.push(true, number.to_le_bytes().to_vec());
        }
        let taken = queue.take(usize::MAX).await;
        assert_eq!(taken.len(), MAX_FRAMES);
        assert_eq!(taken[0], b"forward");
        assert_eq!(taken[1], 6u32.to_le_bytes());
        assert_eq!(queue.dropped(), 6);
    }

    #[tokio::test]
    async fn bytes_are_bounded_too() {
        let queue = SendQueue::default();
        for _ in 0..20 {
            queue.push(true, vec![0; 1024 * 1024]);
        }
        assert_eq!(queue.take(usize::MAX).await.len(), MAX_BYTES >> 20);
    }
}
