//! Host names to addresses, off the loop and never in its way.
//!
//! One question per name is under way at a time, however often it is asked and however long the
//! resolver takes: a resolver that hangs costs one thread a name. Who asks waits a moment for it and
//! is then given the last good address; only a name that never led anywhere is waited for. Has never
//! heard of what is at the addresses.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const FRESH: Duration = Duration::from_secs(1);
/// How long one who has an older answer waits for a newer one.
const GRACE: Duration = Duration::from_millis(100);
/// Names remembered; far above any fleet, and a bound all the same.
const NAMES_MAX: usize = 4096;

/// What a lookup will have found.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Asks the system, or whoever stands in for it in a test.
pub type Lookup = dyn Fn(String) -> Found + Send + Sync;

/// Told when a name leads elsewhere than before: the name, the old address, the new one.
pub type Moved = dyn Fn(&str, IpAddr, IpAddr) + Send + Sync;

pub struct Names {
    lookup: Box<Lookup>,
    moved: Box<Moved>,
    /// An answer younger than this is not asked for again.
    fresh: Duration,
    known: Arc<Mutex<BTreeMap<String, Entry>>>,
}

#[derive(Default)]
struct Entry {
    good: Option<(Vec<IpAddr>, Instant)>,
    /// The question under way: ends with the answer's arrival in `good`, or with the error.
    running: Option<watch::Receiver<Option<Result<(), io::ErrorKind>>>>,
}

impl Names {
    /// The system's resolver, on the runtime's blocking threads.
    pub fn of_system(moved: Box<Moved>) -> Arc<Self> {
        let lookup = |host: String| -> Found {
            Box::pin(async move {
                let found = tokio::net::lookup_host((host, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            })
        };
        Self::new(Box::new(lookup), moved, FRESH)
    }

    pub fn new(lookup: Box<Lookup>, moved: Box<Moved>, fresh: Duration) -> Arc<Self> {
        Arc::new(Names { lookup, moved, fresh, known: Arc::default() })
    }

    /// Where the name leads, the best first. An address leads to itself.
    pub async fn find(self: &Arc<Self>, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        let (mut running, good) = {
            let mut known = self.known.lock();
            if known.len() >= NAMES_MAX && !known.contains_key(host) {
                known.retain(|_, entry| entry.running.is_some());
            }
            let entry = known.entry(host.to_owned()).or_default();
            if let Some((good, at)) = &entry.good
                && at.elapsed() < self.fresh
            {
                return Ok(good.clone());
            }
            let running = entry.running.clone().unwrap_or_else(|| self.ask(host, entry));
            (running, entry.good.as_ref().map(|(good, _)| good.clone()))
        };
        let answered = async {
            match running.wait_for(Option::is_some).await {
                Ok(answer) => answer.unwrap_or(Err(io::ErrorKind::Other)),
                // The runtime is ending.
                Err(_) => Err(io::ErrorKind::Interrupted),
            }
        };
        let answer = match &good {
            None => answered.await,
            Some(_) => tokio::time::timeout(GRACE, answered).await.unwrap_or(Err(io::ErrorKind::TimedOut)),
        };
        let now = self.known.lock().get(host).and_then(|entry| entry.good.clone());
        match (answer, now.map(|(good, _)| good).or(good)) {
            (_, Some(good)) => Ok(good),
            (answer, None) => Err(answer.err().unwrap_or(io::ErrorKind::NotFound).into()),
        }
    }

    /// Where it led last, without asking anybody.
    pub fn known(&self, host: &str) -> Option<IpAddr> {
        self.known.lock().get(host)?.good.as_ref()?.0.first().copied()
    }

    fn ask(
        self: &Arc<Self>,
        host: &str,
        entry: &mut Entry,
    ) -> watch::Receiver<Option<Result<(), io::ErrorKind>>> {
        let (sender, running) = watch::channel(None);
        entry.running = Some(running.clone());
        let (this, host) = (self.clone(), host.to_owned());
        let question = (self.lookup)(host.clone());
        tokio::spawn(async move {
            let answer = question.await;
            let mut moved = None;
            let result = {
                let mut known = this.known.lock();
                let entry = known.entry(host.clone()).or_default();
                entry.running = None;
                match answer {
                    Ok(found) if !found.is_empty() => {
                        let before = entry.good.as_ref().and_then(|(good, _)| good.first().copied());
                        // A name that still names the old address among others has not moved.
                        moved = before.filter(|old| !found.contains(old)).zip(found.first().copied());
                        entry.good = Some((found, Instant::now()));
                        Ok(())
                    }
                    Ok(_) => Err(io::ErrorKind::NotFound),
                    Err(error) => Err(error.kind()),
                }
            };
            if let Some((old, new)) = moved {
                (this.moved)(&host, old, new);
            }
            // Nobody may wait any more.
            let _ = sender.send(Some(result));
        });
        running
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Names({})", self.known.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::{Mutex as AsyncMutex, mpsc};

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    /// A resolver that answers what the test feeds it, when it feeds it.
    struct Fed {
        names: Arc<Names>,
        answers: mpsc::UnboundedSender<io::Result<Vec<IpAddr>>>,
        asked: Arc<AtomicUsize>,
        moves: Arc<Mutex<Vec<String>>>,
    }

    fn fed() -> Fed {
        let (answers, queue) = mpsc::unbounded_channel::<io::Result<Vec<IpAddr>>>();
        let (queue, asked) = (Arc::new(AsyncMutex::new(queue)), Arc::new(AtomicUsize::new(0)));
        let moves: Arc<Mutex<Vec<String>>> = Arc::default();
        let (counted, noted) = (asked.clone(), moves.clone());
        let lookup = move |_: String| -> Found {
            counted.fetch_add(1, Ordering::Relaxed);
            let queue = queue.clone();
            Box::pin(async move { queue.lock().await.recv().await.unwrap_or_else(|| Ok(Vec::new())) })
        };
        let moved =
            move |host: &str, old: IpAddr, new: IpAddr| noted.lock().push(format!("{host} {old} {new}"));
        Fed { names: Names::new(Box::new(lookup), Box::new(moved), Duration::ZERO), answers, asked, moves }
    }

    #[tokio::test]
    async fn a_resolver_that_hangs_is_asked_once_and_the_last_good_address_stands() {
        let fed = fed();
        fed.answers.send(Ok(vec![ip(1)])).unwrap();
        assert_eq!(fed.names.find("data").await.unwrap(), [ip(1)]);
        // From now on nothing is answered.
        for _ in 0..5 {
            assert_eq!(fed.names.find("data").await.unwrap(), [ip(1)]);
        }
        assert_eq!(fed.asked.load(Ordering::Relaxed), 2, "one question at a time");
        assert_eq!(fed.names.find("10.0.0.7").await.unwrap(), [ip(7)], "an address is not asked for");
        assert_eq!(fed.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_failing_resolver_does_not_lose_what_is_known_and_a_move_is_told() {
        let fed = fed();
        fed.answers.send(Err(io::ErrorKind::NotFound.into())).unwrap();
        assert!(fed.names.find("data").await.is_err(), "never known");
        for answer in [Ok(vec![ip(1)]), Err(io::ErrorKind::NotFound.into()), Ok(vec![ip(2), ip(1)])] {
            fed.answers.send(answer).unwrap();
            assert!(fed.names.find("data").await.unwrap().contains(&ip(1)));
        }
        assert!(fed.moves.lock().is_empty(), "another first among the same is no move");
        fed.answers.send(Ok(vec![ip(9)])).unwrap();
        assert_eq!(fed.names.find("data").await.unwrap(), [ip(9)]);
        assert_eq!(*fed.moves.lock(), ["data 10.0.0.2 10.0.0.9"]);
    }
}
