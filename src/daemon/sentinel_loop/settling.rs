//! Messages leave before a disk is waited for: the order of actions is kept, only the thread gives its
//! links a turn in between. Has never heard of what any action does.

use super::{Fatal, Shell};
use crate::daemon::clock;
use crate::sentinel::Action;
use crate::stdx::time::Now;

impl Shell {
    /// In the order given: what must be on disk before a message leaves stands before it. Stops where a disk
    /// would be waited for while messages have not left yet: this thread is also the one that writes them,
    /// and the others' disks can work at the same time. [`Shell::settle`] goes on from there.
    pub(super) fn carry_out(&mut self, now: Now, actions: Vec<Action>) -> Result<(), Fatal> {
        if !self.held.is_empty() {
            self.held.extend(actions);
            return Ok(());
        }
        let mut sent = false;
        let mut rest = actions.into_iter();
        let mut first = Vec::new();
        while let Some(action) = rest.next() {
            if sent && matches!(action, Action::Persist(_)) {
                self.held = std::iter::once(action).chain(rest).collect();
                break;
            }
            sent |= matches!(action, Action::SendPeer { .. } | Action::Send { .. });
            first.push(action);
        }
        self.carry_out_now(now, first)
    }

    /// Lets what was sent leave, and carries out what stands behind it.
    pub(super) async fn settle(&mut self) -> Result<(), Fatal> {
        while !self.held.is_empty() {
            self.links.flush();
            tokio::task::yield_now().await;
            let held = std::mem::take(&mut self.held);
            self.carry_out_now(clock::now(), held)?;
        }
        Ok(())
    }

    /// Gives leadership away, so the fleet need not find out, and lets the last bytes leave.
    pub(super) async fn stop(&mut self) -> Result<(), Fatal> {
        self.notifier.stopping();
        let mut actions = Vec::new();
        self.core.hand_over(clock::now(), &mut actions);
        self.carry_out(clock::now(), actions)?;
        self.settle().await
    }
}
