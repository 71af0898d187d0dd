//! A lock kept over real servers: the core of `redlock` joined with connections, the clock and entropy.
//! This is the library's way to a lock; `vedette lock` is made of it.
//!
//! Promises: it is renewed as long as the [`Keeper`] lives, given back when it is dropped, and what
//! [`Keeper::state`] says is never more than what the core says. Decides nothing itself.
//!
//! ```no_run
//! use std::time::Duration;
//! use vedette::daemon::lock::{Access, Keeper, Place};
//! use vedette::redlock::{Plan, Wait};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let places = ["10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"];
//! let places = places.iter().map(|text| text.parse().map(Place::Server)).collect::<Result<_, _>>()?;
//! let plan = Plan { wait: Wait::For(Duration::from_secs(5)), ..Plan::new(3, Duration::from_secs(30))? };
//!
//! let mut keeper = Keeper::start(Access::open(places), "nightly-report", plan)?;
//! let grant = keeper.acquired().await?;
//! // Hand grant.fence to whatever stores the result: it refuses a lower one than it has seen.
//! tokio::select! {
//!     () = work(grant.fence) => {}
//!     why = keeper.ending() => eprintln!("the lock ends ({why}): the work was stopped"),
//! }
//! keeper.release().await;
//! # Ok(())
//! # }
//! # async fn work(_fence: u64) {}
//! ```

mod member;

pub use crate::sentinel::Auth;

use crate::daemon::clock;
use crate::model::Address;
use crate::net::dial::Ways;
use crate::net::link::Route;
use crate::redlock::wire::Keys;
use crate::redlock::{Action, BadPlan, Grant, Input, Lock, Loss, Plan, Refusal};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

/// The clock counts the time a machine was suspended, timers do not: looked at so often.
const GLANCE: Duration = Duration::from_millis(500);

/// One of the independent masters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Server(Address),
    /// The master of a group, wherever its sentinels say it is.
    Group {
        name: String,
        sentinels: Vec<Address>,
    },
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Server(address) => address.fmt(f),
            Place::Group { name, .. } => write!(f, "the master of {name}"),
        }
    }
}

/// Where the servers are, and how to get in.
#[derive(Clone, Debug)]
pub struct Access {
    pub places: Vec<Place>,
    pub data_auth: Option<Auth>,
    pub sentinel_auth: Option<Auth>,
    pub data_route: Route,
    pub sentinel_route: Route,
    /// So many replicas of each must have the key before that server counts: a replica that is promoted
    /// without it would have forgotten the lock.
    pub replicas: usize,
}

impl Access {
    /// In plain text, where nobody asks for a password. A group's key is to be at one replica.
    pub fn open(places: Vec<Place>) -> Access {
        let route = Route { ways: Ways::plain(), tls: None };
        let replicas = usize::from(places.iter().any(|place| matches!(place, Place::Group { .. })));
        Access {
            places,
            data_auth: None,
            sentinel_auth: None,
            data_route: route.clone(),
            sentinel_route: route,
            replicas,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not held yet; servers that do not count, and why.
    Waiting(Vec<String>),
    Held(Grant),
    /// It could not be renewed so far and ends soon: stop what it protects.
    Expiring(Grant),
    Lost(Loss),
    /// Given up, with the servers that did not count.
    Refused(Refusal, Vec<String>),
    Released,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum NotHeld {
    #[error("somebody else has the lock")]
    Conflict,
    #[error("no majority of the servers counts: {}", .0.join("; "))]
    Unreachable(Vec<String>),
    #[error("the lock is no longer held")]
    Over,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Plan(#[from] BadPlan),
    #[error("the plan is for {0} servers, and {1} are named")]
    Count(usize, usize),
    #[error("{0} is named twice: independent servers are needed")]
    Twice(Place),
    #[error("the name of a lock is not empty")]
    Name,
    #[error("no random numbers: {0}")]
    Entropy(getrandom::Error),
}

/// A lock that is asked for, held, and renewed, until it is released or dropped.
#[derive(Debug)]
pub struct Keeper {
    state: watch::Receiver<State>,
    /// Dropped when it is no longer wanted.
    wanted: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Begins to ask for it. Needs a tokio runtime with I/O and time.
    pub fn start(access: Access, name: &str, plan: Plan) -> Result<Keeper, StartError> {
        plan.check()?;
        if name.is_empty() {
            return Err(StartError::Name);
        }
        if plan.servers != access.places.len() {
            return Err(StartError::Count(plan.servers, access.places.len()));
        }
        for (index, place) in access.places.iter().enumerate() {
            if access.places[..index].contains(place) {
                return Err(StartError::Twice(place.clone()));
            }
        }
        let (secret, seed) = chance().map_err(StartError::Entropy)?;
        let (tell, state) = watch::channel(State::Waiting(Vec::new()));
        let (wanted, unwanted) = oneshot::channel();
        let driver = Driver::new(access, name, plan, tell);
        let task = tokio::spawn(driver.run(secret, seed, unwanted));
        Ok(Keeper { state, wanted, task })
    }

    /// The newest word.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// The next word that is not the one before.
    pub async fn changed(&mut self) -> State {
        // An error says that the driver ended; its last word stays.
        if self.state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.state.borrow_and_update().clone()
    }

    /// Waits until it is held or given up.
    pub async fn acquired(&mut self) -> Result<Grant, NotHeld> {
        loop {
            match self.state.borrow_and_update().clone() {
                State::Waiting(_) => {}
                State::Held(grant) | State::Expiring(grant) => return Ok(grant),
                State::Refused(Refusal::Conflict, _) => return Err(NotHeld::Conflict),
                State::Refused(Refusal::Unreachable, why) => return Err(NotHeld::Unreachable(why)),
                State::Refused(Refusal::GivenBack, _) | State::Lost(_) | State::Released => {
                    return Err(NotHeld::Over);
                }
            }
            if self.state.changed().await.is_err() {
                return Err(NotHeld::Over);
            }
        }
    }

    /// Waits until what the lock protects has to stop, and says why.
    pub async fn ending(&mut self) -> Loss {
        loop {
            match self.state.borrow_and_update().clone() {
                State::Expiring(_) => return Loss::Expired,
                State::Lost(loss) => return loss,
                _ => {}
            }
            if self.state.changed().await.is_err() {
                return Loss::Expired;
            }
        }
    }

    /// Gives it back, or stops waiting for it; returns when the servers were told.
    pub async fn release(self) {
        drop(self.wanted);
        // A driver that panicked has told nobody; the servers forget by themselves.
        let _ = self.task.await;
    }
}

/// 160 random bits as hexadecimal digits, and a seed for what needs no secrecy.
fn chance() -> Result<(String, u64), getrandom::Error> {
    let mut bytes = [0_u8; 20];
    getrandom::fill(&mut bytes)?;
    let mut secret = String::with_capacity(40);
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(secret, "{byte:02x}");
    }
    Ok((secret, getrandom::u64()?))
}

struct Driver {
    places: Vec<Place>,
    plan: Plan,
    asks: Vec<mpsc::UnboundedSender<member::Ask>>,
    answers: mpsc::UnboundedReceiver<Input>,
    tell: watch::Sender<State>,
    members: JoinSet<()>,
}

impl Driver {
    fn new(access: Access, name: &str, plan: Plan, tell: watch::Sender<State>) -> Driver {
        let (give, answers) = mpsc::unbounded_channel();
        let mut members = JoinSet::new();
        let places = access.places.clone();
        let (access, keys) = (Arc::new(access), Arc::new(Keys::of(name)));
        let asks = (0..places.len())
            .map(|server| {
                let (ask, asked) = mpsc::unbounded_channel();
                let member = member::Member::new(server, access.clone(), keys.clone(), plan.patience);
                members.spawn(member.serve(asked, give.clone()));
                ask
            })
            .collect();
        Driver { places, plan, asks, answers, tell, members }
    }

    async fn run(mut self, secret: String, seed: u64, mut unwanted: oneshot::Receiver<()>) {
        let (mut lock, actions) = Lock::acquire(self.plan.clone(), &secret, seed, clock::mono());
        self.act(&lock, actions);
        let mut wanted = true;
        while let Some(wake) = lock.next_wake() {
            let pause = wake.since(clock::mono()).min(GLANCE);
            let input = tokio::select! {
                Some(answer) = self.answers.recv() => answer,
                _ = &mut unwanted, if wanted => {
                    wanted = false;
                    Input::GiveBack
                }
                () = tokio::time::sleep(pause) => Input::Tick,
            };
            let actions = lock.handle(clock::mono(), input);
            self.act(&lock, actions);
        }
        self.members.shutdown().await;
    }

    fn act(&mut self, lock: &Lock, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Ask { server, id, token, request } => {
                    let ask = member::Ask { id, token, request, asked_at: clock::mono() };
                    // A member ends with the driver only.
                    let _ = self.asks[server].send(ask);
                }
                Action::Acquired(grant) | Action::Renewed(grant) => {
                    self.tell.send_modify(|state| match state {
                        // Once told to stop it stays told.
                        State::Expiring(old) => *old = grant,
                        other => *other = State::Held(grant),
                    });
                }
                Action::Expiring => self.tell.send_modify(|state| {
                    if let State::Held(grant) = state {
                        *state = State::Expiring(grant.clone());
                    }
                }),
                Action::Lost(loss) => self.say(State::Lost(loss)),
                Action::Refused(refusal) => self.say(State::Refused(refusal, self.troubles(lock))),
                Action::Released => {
                    if !matches!(*self.tell.borrow(), State::Lost(_)) {
                        self.say(State::Released);
                    }
                }
            }
        }
        let troubles = self.troubles(lock);
        self.tell.send_if_modified(|state| match state {
            State::Waiting(old) if *old != troubles => {
                *old = troubles;
                true
            }
            _ => false,
        });
    }

    fn say(&self, state: State) {
        self.tell.send_replace(state);
    }

    fn troubles(&self, lock: &Lock) -> Vec<String> {
        let troubles = lock.troubles().into_iter();
        troubles.map(|(server, why)| format!("{}: {why}", self.places[server])).collect()
    }
}
