//! Many sockets polled by one task: each has a waker of its own that names it, so the task looks at
//! those that something happened to and at no others. Has never heard of what the sockets carry.
//!
//! Promise: a socket that was woken is named by [`Ready::poll`] once, at the earliest poll after it.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Which sockets woke.
pub(crate) struct Ready<N> {
    inner: Mutex<Inner<N>>,
}

impl<N> Default for Ready<N> {
    fn default() -> Self {
        Ready { inner: Mutex::default() }
    }
}

struct Inner<N> {
    woken: Vec<Arc<Bell<N>>>,
    task: Option<Waker>,
}

impl<N> Default for Inner<N> {
    fn default() -> Self {
        Inner { woken: Vec::new(), task: None }
    }
}

/// What one socket is polled with.
pub(crate) struct Bell<N> {
    number: N,
    rung: AtomicBool,
    ready: Arc<Ready<N>>,
}

impl<N: Copy + Send + Sync + 'static> Ready<N> {
    /// A waker that names `number`, and does so at once: a new socket is looked at.
    pub(crate) fn bell(self: &Arc<Self>, number: N) -> Waker {
        let bell = Arc::new(Bell { number, rung: AtomicBool::new(false), ready: self.clone() });
        bell.wake_by_ref();
        Waker::from(bell)
    }

    /// Moves the numbers of all that woke to `numbers`; pending while there are none.
    pub(crate) fn poll(&self, context: &mut Context<'_>, numbers: &mut Vec<N>) -> Poll<()> {
        let mut inner = self.inner.lock();
        for bell in inner.woken.drain(..) {
            // Before the socket is looked at: what happens from here on rings again.
            bell.rung.store(false, Ordering::Release);
            numbers.push(bell.number);
        }
        if !inner.task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
            inner.task = Some(context.waker().clone());
        }
        if numbers.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl<N: Send + Sync> Wake for Bell<N> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut inner = self.ready.inner.lock();
        let first = inner.woken.is_empty();
        inner.woken.push(self.clone());
        // The others find the task on its way.
        if first && let Some(task) = &inner.task {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn each_that_rang_is_named_once() {
        let ready = Arc::new(Ready::default());
        let (one, two) = (ready.bell(1), ready.bell(2));
        let next = |ready: Arc<Ready<i32>>| async move {
            let mut numbers = Vec::new();
            poll_fn(|context| ready.poll(context, &mut numbers)).await;
            numbers
        };
        assert_eq!(next(ready.clone()).await, [1, 2]);
        let waiting = tokio::spawn(next(ready.clone()));
        tokio::task::yield_now().await;
        two.wake_by_ref();
        two.wake_by_ref();
        assert_eq!(waiting.await.unwrap(), [2]);
        one.wake();
        assert_eq!(next(ready).await, [1]);
    }
}
