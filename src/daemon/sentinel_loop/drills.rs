//! Drills that this sentinel conducts: started when the log says so, their end told to the core.

use super::material::Material;
use super::secrets::Secrets;
use crate::config::Secret;
use crate::daemon::drill::{self, Field, Order};
use crate::model::Address;
use crate::model::drill::Scorecard;
use crate::sentinel::drill::Drill;
use crate::sentinel::{Auth, Sentinel};
use slog::{Logger, info};
use std::collections::BTreeMap;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

pub(super) struct DrillRunner {
    sentinel_pass: Option<Secret>,
    masters: BTreeMap<String, Auth>,
    material: Material,
    logger: Logger,
    abort: Option<(u64, watch::Sender<Option<String>>)>,
    ended: mpsc::UnboundedReceiver<Scorecard>,
    sender: mpsc::UnboundedSender<Scorecard>,
}

impl DrillRunner {
    pub(super) fn new(secrets: &Secrets, material: Material, logger: Logger) -> Self {
        let (sender, ended) = mpsc::unbounded_channel();
        let mut runner = DrillRunner {
            sentinel_pass: None,
            masters: BTreeMap::new(),
            material,
            logger,
            abort: None,
            ended,
            sender,
        };
        runner.renew(secrets);
        runner
    }

    /// Secrets as the files hold them now.
    pub(super) fn renew(&mut self, secrets: &Secrets) {
        self.sentinel_pass = secrets.sentinel_pass.clone().or_else(|| secrets.requirepass.clone());
        self.masters.clone_from(&secrets.masters);
    }

    pub(super) fn start(&mut self, drill: &Drill, core: &Sentinel) {
        // This one first: it answers even when others are slow.
        let mut sentinels = vec![core.address().clone()];
        let others = core.ledger().voters.values().filter_map(|voter| voter.address.clone());
        sentinels.extend(others.filter(|address| address != core.address()).collect::<Vec<Address>>());
        let field = Field {
            group: drill.plan.group.clone(),
            sentinels,
            sentinel_auth: core.sentinel_auth(self.sentinel_pass.as_ref().map(Secret::expose)),
            data_auth: self.masters.get(&drill.plan.group).cloned(),
            sentinel_route: self.material.route_to_peers(),
            data_route: self.material.route(&drill.plan.group),
        };
        let order = Order {
            id: drill.id,
            name: drill.plan.name.clone(),
            scenario: drill.plan.scenario,
            live: true,
            slo_gap_ms: drill.plan.slo_gap_ms,
            pace: Duration::ZERO,
            go_back: drill.plan.go_back,
        };
        let (abort, wish) = watch::channel(None);
        self.abort = Some((drill.id, abort));
        let (progress, mut lines) = mpsc::unbounded_channel::<drill::Progress>();
        let (logger, id) = (self.logger.clone(), drill.id);
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                info!(logger, "drill: {}", line.text; "drill" => id);
            }
        });
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let card = drill::run_live(field, order, progress, wish).await;
            // Nobody waits any more only when the process ends.
            let _ = sender.send(card);
        });
    }

    pub(super) fn abort(&mut self, id: u64, reason: String) {
        if let Some((running, abort)) = &self.abort
            && *running == id
        {
            abort.send_replace(Some(reason));
        }
    }

    pub(super) fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<Option<Scorecard>> {
        self.ended.poll_recv(context)
    }
}
