//! The hello channel of one master, while the fleet is not founded: our line goes out each second, and
//! every line of others comes in. Afterwards nobody listens there.

use crate::model::Address;
use crate::net::client::{Client, Trouble};
use crate::net::dial::DialError;
use crate::net::link::Route;
use crate::resp::Reply;
use crate::sentinel::Auth;
use crate::sentinel::founding::{Founder, hello};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

const CHANNEL: &str = "__sentinel__:hello";
const SPEAK_EVERY: Duration = Duration::from_secs(1);
const REDIAL: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(3);

pub(super) struct Master {
    pub group: String,
    pub address: Address,
    pub auth: Option<Auth>,
    pub route: Route,
}

#[derive(Debug)]
pub(super) enum Heard {
    /// The address of this machine that leads to the master.
    From(IpAddr),
    /// A sentinel is said to be there.
    At(Address),
    /// The channel works, or why it does not; told when it changes.
    State { group: String, trouble: Option<String> },
}

/// For as long as somebody takes what is heard. Nothing is said before `own` is known.
pub(super) async fn greet(master: Master, own: watch::Receiver<Option<Founder>>, heard: mpsc::Sender<Heard>) {
    let mut told = None;
    loop {
        let Err(why) = talk(&master, &own, &heard, &mut told).await else { return };
        let state = Some(format!("the master {} ({}): {why}", master.address, master.group));
        if told.as_ref() != Some(&state) {
            told = Some(state.clone());
            if heard.send(Heard::State { group: master.group.clone(), trouble: state }).await.is_err() {
                return;
            }
        }
        sleep(REDIAL).await;
    }
}

/// `Ok` when nobody listens to us any more.
async fn talk(
    master: &Master,
    own: &watch::Receiver<Option<Founder>>,
    heard: &mpsc::Sender<Heard>,
    told: &mut Option<Option<String>>,
) -> Result<(), String> {
    let (mut listening, local) = connect(master).await?;
    let (mut speaking, _) = connect(master).await?;
    if heard.send(Heard::From(local)).await.is_err() {
        return Ok(());
    }
    let said = listening.call(&["SUBSCRIBE", CHANNEL], DEADLINE).await.map_err(|e| e.to_string())?;
    refused("SUBSCRIBE", &said)?;
    let mut speak_at = Instant::now();
    loop {
        let founder = own.borrow().clone();
        if let Some(founder) = founder
            && speak_at <= Instant::now()
        {
            speak_at = Instant::now() + SPEAK_EVERY;
            let line = hello::line(&founder, &master.group, &master.address);
            let said =
                speaking.call(&["PUBLISH", CHANNEL, &line], DEADLINE).await.map_err(|e| e.to_string())?;
            refused("PUBLISH", &said)?;
            if told.as_ref() != Some(&None) {
                *told = Some(None);
                let state = Heard::State { group: master.group.clone(), trouble: None };
                if heard.send(state).await.is_err() {
                    return Ok(());
                }
            }
        }
        match listening.read(SPEAK_EVERY / 4).await {
            Ok(message) => {
                let line = message.as_array().and_then(|words| words.get(2)).and_then(Reply::as_str);
                if let Some(address) = line.and_then(hello::address)
                    && heard.send(Heard::At(address)).await.is_err()
                {
                    return Ok(());
                }
            }
            Err(Trouble::Late) if heard.is_closed() => return Ok(()),
            Err(Trouble::Late) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

async fn connect(master: &Master) -> Result<(Client, IpAddr), String> {
    let dial = master.route.ways.dial(&master.address, master.route.tls.as_deref());
    let stream = tokio::time::timeout(DEADLINE, dial).await.map_err(|_| "no answer in time".to_owned())?;
    let stream = stream.map_err(|error| match error {
        DialError::Io(error) => Trouble::from(error).to_string(),
        other => other.to_string(),
    })?;
    let local = stream.local_addr().map_err(|error| error.to_string())?.ip();
    let client = Client::over(stream, master.auth.as_ref(), DEADLINE).await.map_err(|e| e.to_string())?;
    Ok((client, local.to_canonical()))
}

fn refused(what: &str, reply: &Reply) -> Result<(), String> {
    reply.error().map_or(Ok(()), |error| Err(format!("{what} is refused: {error}")))
}
