//! The hand on a fleet that serves: what can be done through the ports alone. A bundled master is told
//! to end or to stand still (`VEDETTE DRILL`, which it takes only from its sentinels and only if its
//! `enable-drill-command` allows it); a switchover is asked of the sentinels.

use super::conduct::{Hand, Order, Progress, conduct};
use super::{CALL_DEADLINE, CONNECT_DEADLINE, Field, witness};
use crate::model::Address;
use crate::model::drill::{Scenario, Scorecard};
use crate::net::client::Trouble;
use crate::resp::Reply;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Writes of the canary on a fleet that has others to serve.
const PACE: Duration = Duration::from_millis(5);
/// A master that stands still does so this much longer than it takes to be found down.
const HANG_BEYOND: Duration = Duration::from_secs(4);

/// Runs a drill on the fleet that this sentinel belongs to.
pub async fn run(
    field: Field,
    mut order: Order,
    progress: mpsc::UnboundedSender<Progress>,
    abort: watch::Receiver<Option<String>>,
) -> Scorecard {
    order.pace = PACE;
    let mut hand = LiveHand { field: field.clone(), order: order.clone(), hangs_until: None };
    conduct(&field, &order, &mut hand, &progress, abort).await
}

struct LiveHand {
    field: Field,
    order: Order,
    hangs_until: Option<tokio::time::Instant>,
}

impl Hand for LiveHand {
    async fn fault(&mut self, master: &Address) -> Result<String, String> {
        // The lease may have been lost, the fleet may have fallen ill since the drill was agreed on.
        let status = witness::fresh_status(&self.field).await.ok_or("no sentinel speaks for the fleet")?;
        if status.drills.running.as_ref().is_none_or(|running| running.id != self.order.id) {
            return Err("this drill is no longer the one that is agreed on".to_owned());
        }
        let group = witness::group(&self.field, &status).ok_or("the group is no longer watched")?;
        if group.situation != "ok" || group.failover.is_some() || group.master.address != *master {
            return Err(format!("the group is not as it was: {}", group.summary));
        }
        let (epoch, down_after_ms) = (group.epoch, group.down_after_ms);
        match self.order.scenario {
            Scenario::Planned => {
                switchover(&self.field, None).await?;
                Ok("a switchover is agreed on".to_owned())
            }
            Scenario::Kill => {
                self.tell(master, epoch, &["CRASH"]).await?;
                Ok(format!("{master} was told to end as if by kill -9"))
            }
            Scenario::Hang => {
                let hang = Duration::from_millis(down_after_ms) + HANG_BEYOND;
                self.hangs_until = Some(tokio::time::Instant::now() + hang);
                self.tell(master, epoch, &["HANG", &hang.as_millis().to_string()]).await?;
                Ok(format!("{master} was told to stand still for {} ms", hang.as_millis()))
            }
            other => Err(format!("'{}' cannot be done to a fleet that serves", other.name())),
        }
    }

    /// What was told to stand still goes on by itself.
    async fn heal(&mut self) -> Result<(), String> {
        if let Some(until) = self.hangs_until.take() {
            tokio::time::sleep_until(until).await;
        }
        Ok(())
    }
}

impl LiveHand {
    /// An order that is obeyed gets no answer in time; only a refusal does.
    async fn tell(&self, master: &Address, epoch: u64, words: &[&str]) -> Result<(), String> {
        let mut client = self
            .field
            .to_server(master, CONNECT_DEADLINE)
            .await
            .map_err(|trouble| format!("{master}: {trouble}"))?;
        let epoch = epoch.to_string();
        let mut command = vec!["VEDETTE", "DRILL", &self.field.group, &epoch];
        command.extend(words);
        match client.call(&command, Duration::from_millis(300)).await {
            Ok(Reply::Error(text)) => Err(format!("{master} refuses: {text}")),
            Ok(_) | Err(Trouble::Late | Trouble::Closed) => Ok(()),
            Err(trouble) => Err(format!("{master}: {trouble}")),
        }
    }
}

/// Asks the sentinels to move the group's master, to a given replica or the most suitable one.
pub(super) async fn switchover(field: &Field, to: Option<&Address>) -> Result<(), String> {
    let port = to.map(|to| to.port.to_string()).unwrap_or_default();
    let mut words = vec!["SENTINEL", "FAILOVER", field.group.as_str()];
    if let Some(to) = to {
        words.extend(["TO", to.host.as_str(), port.as_str()]);
    }
    let mut why = "no sentinel answers".to_owned();
    for sentinel in &field.sentinels {
        let Ok(mut client) = field.to_sentinel(sentinel, CONNECT_DEADLINE).await else { continue };
        match client.call(&words, CALL_DEADLINE * 6).await {
            Ok(Reply::Error(text)) => why = text,
            Ok(_) => return Ok(()),
            Err(trouble) => why = trouble.to_string(),
        }
    }
    Err(why)
}
