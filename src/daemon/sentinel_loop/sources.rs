//! Where the loop's inputs come from. Each source has a waker of its own, so a turn looks at those that
//! something happened to, and a client's question costs no look at a dozen others.
//!
//! Promises: what has arrived is taken in one of the next turns, whatever else is busy; nothing is lost when
//! the future is dropped. Has never heard of what the inputs mean.

use super::Shell;
use super::connection::Newcomer;
use super::secrets::Secrets;
use crate::daemon::clock;
use crate::daemon::errand_runner::News;
use crate::daemon::shutdown::Shutdown;
use crate::model::Address;
use crate::model::drill::Scorecard;
use crate::model::webhook::Progress;
use crate::net::http::Ask;
use crate::net::link::LinkEvent;
use crate::net::peer_link;
use crate::net::ready::Ready;
use crate::net::served::Arrived;
use crate::net::stream::Stream;
use crate::stdx::time::{Duration, Instant, Now};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::time::Sleep;

/// What a turn begins with.
pub(super) enum Begun {
    Peer(peer_link::LinkEvent),
    PeerConnection(Stream),
    Link(LinkEvent<Address>),
    Client(Arrived),
    Newcomer(Newcomer),
    Secrets(Box<Secrets>),
    Webhook(Progress),
    Ask(Ask),
    DrillEnded(Box<Scorecard>),
    Errand(News),
    Stop(&'static str),
    /// It is time for something.
    Time,
}

/// Those that are looked at only when their bell rings.
#[derive(Clone, Copy, Debug)]
enum Source {
    Peers,
    PeerConnections,
    Newcomers,
    Secrets,
    Webhooks,
    Asks,
    Drills,
    Errands,
    Stop,
    Timer,
}

const SOURCES: [Source; 10] = [
    Source::Peers,
    Source::PeerConnections,
    Source::Newcomers,
    Source::Secrets,
    Source::Webhooks,
    Source::Asks,
    Source::Drills,
    Source::Errands,
    Source::Stop,
    Source::Timer,
];

pub(super) struct Sources {
    ready: Arc<Ready<Source>>,
    bells: Vec<Waker>,
    rung: Vec<Source>,
    stop: Pin<Box<dyn Future<Output = &'static str> + Send>>,
    timer: Pin<Box<Sleep>>,
    /// When the timer rings; nothing once it has.
    armed: Option<Instant>,
    /// Whose turn it is to be looked at first.
    first: u8,
}

impl Sources {
    /// Inside the runtime whose time is meant.
    pub(super) fn new(mut shutdown: Shutdown) -> Self {
        let ready = Arc::<Ready<Source>>::default();
        Sources {
            bells: SOURCES.iter().map(|source| ready.bell(*source)).collect(),
            ready,
            rung: Vec::new(),
            stop: Box::pin(async move { shutdown.requested().await }),
            timer: Box::pin(tokio::time::sleep(std::time::Duration::ZERO)),
            armed: None,
            first: 0,
        }
    }

    /// Rings at `at` at the latest. It is left alone where it rings before: setting it is dearer than one
    /// more look.
    fn arm(&mut self, at: Instant) {
        if self.armed.is_none_or(|armed| at < armed) {
            // Disks may have taken their time since the turn began.
            self.timer.as_mut().reset(tokio::time::Instant::now() + at.since(clock::mono()));
            self.armed = Some(at);
            // A timer that was set anew names nobody until it is looked at.
            self.bells[Source::Timer as usize].wake_by_ref();
        }
    }
}

impl Shell {
    /// The next thing that happened, or that it is time for something.
    pub(super) async fn begin_turn(&mut self, now: Now) -> Begun {
        let due = self.due(now.mono);
        self.sources.arm(due);
        poll_fn(|context| self.poll_turn(context)).await
    }

    /// When the core, the page or the watchdog wants something.
    fn due(&self, now: Instant) -> Instant {
        let beat = self.notifier.beat_every().map(|every: Duration| now + every);
        [self.core.next_wakeup(), self.errands.next_wakeup(), beat]
            .into_iter()
            .flatten()
            .fold(self.status_due, Instant::min)
    }

    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Begun> {
        self.sources.first = (self.sources.first + 1) % 3;
        let first = self.sources.first;
        for turn in 0..3 {
            let begun = match (first + turn) % 3 {
                0 => self.poll_sources(context),
                1 => self.links.poll(context).map(Begun::Link),
                _ => self.served.poll(context).map(Begun::Client),
            };
            if begun.is_ready() {
                return begun;
            }
        }
        Poll::Pending
    }

    fn poll_sources(&mut self, context: &mut Context<'_>) -> Poll<Begun> {
        loop {
            let sources = &mut self.sources;
            if sources.rung.is_empty() && sources.ready.poll(context, &mut sources.rung).is_pending() {
                return Poll::Pending;
            }
            while let Some(source) = self.sources.rung.pop() {
                let bell = self.sources.bells[source as usize].clone();
                if let Poll::Ready(begun) = self.look_at(source, &mut Context::from_waker(&bell)) {
                    // There may be more.
                    bell.wake();
                    return Poll::Ready(begun);
                }
            }
        }
    }

    /// A source whose senders are all gone has nothing to say any more.
    fn look_at(&mut self, source: Source, context: &mut Context<'_>) -> Poll<Begun> {
        fn some<T>(polled: Poll<Option<T>>, begun: impl FnOnce(T) -> Begun) -> Poll<Begun> {
            match polled {
                Poll::Ready(Some(value)) => Poll::Ready(begun(value)),
                Poll::Ready(None) | Poll::Pending => Poll::Pending,
            }
        }
        match source {
            Source::Peers => some(self.peer_events.poll_recv(context), Begun::Peer),
            Source::PeerConnections => some(self.to_peers.poll_recv(context), Begun::PeerConnection),
            Source::Newcomers => some(self.newcomers.poll_recv(context), Begun::Newcomer),
            Source::Secrets => {
                some(self.fresh_secrets.poll_recv(context), |secrets| Begun::Secrets(Box::new(secrets)))
            }
            Source::Webhooks => some(self.alert_progress.poll_recv(context), Begun::Webhook),
            Source::Asks => some(self.asks.poll_next(context), Begun::Ask),
            Source::Drills => some(self.drills.poll_ended(context), |card| Begun::DrillEnded(Box::new(card))),
            Source::Errands => some(self.errand_news.poll_recv(context), Begun::Errand),
            Source::Stop => {
                let Poll::Ready(name) = self.sources.stop.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                // It is said once, and a future that has ended is not polled again.
                self.sources.stop = Box::pin(std::future::pending());
                Poll::Ready(Begun::Stop(name))
            }
            Source::Timer => {
                if self.sources.armed.is_none() || self.sources.timer.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.sources.armed = None;
                Poll::Ready(Begun::Time)
            }
        }
    }
}
