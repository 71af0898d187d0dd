//! Carries alerts: the clock, the dice and the HTTP client around `alerts::delivery`.
//!
//! For the sentinel's loop, which must give it, in this order:
//! 1. every `Action::Emit`, replayed or not, owner or not: [`AlertSender::event`];
//! 2. every `Action::Webhook`: [`AlertSender::own`] or [`AlertSender::disown`];
//!
//! and hand on what comes back: each [`Progress`] as `Input::WebhookProgress`, and [`status`] laid
//! over the snapshot's webhooks with [`lay_over`]. None of these calls waits for anything.
//!
//! Requests follow no redirect, heed no proxy of the environment, connect within 5 s and end within
//! 10 s; at most 4 KB of an answer are read, and none of it is kept. Dropping the sender drops what
//! is in flight: the next owner sends it again.
//!
//! [`status`]: AlertSender::status

use crate::alerts::delivery::{Action, Answer, Delivery, Input};
use crate::alerts::target::BadTarget;
use crate::alerts::{Files, HttpRequest, Target, retry};
use crate::config::webhook::{TEMPLATE_BYTES_MAX, WebhookConfig};
use crate::daemon::guarded_resolver::GuardedResolver;
use crate::model::event::Event;
use crate::model::status::WebhookStatus;
use crate::model::webhook::{Office, Progress};
use crate::stdx::Rng;
use crate::stdx::time::{Now, Wall};
use slog::{Logger, info, warn};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_BYTES_READ: usize = 4096;
const SECRET_FILE_BYTES: usize = 4096;
const CA_FILE_BYTES: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Target(#[from] BadTarget),
    #[error("webhook '{0}': {1} {2}: {3}")]
    File(String, &'static str, PathBuf, String),
    #[error("webhook '{0}': no HTTPS client can be made ({1}); are the system's CA certificates installed?")]
    Client(String, String),
}

/// The handle. Ends its task when dropped.
pub struct AlertSender {
    inputs: mpsc::UnboundedSender<Input>,
    status: watch::Receiver<Vec<WebhookStatus>>,
}

impl AlertSender {
    /// Must be called inside a tokio runtime. `clock` is the daemon's clock, `rng` its chance.
    pub fn start(
        config: &[WebhookConfig],
        cluster: String,
        logger: Logger,
        clock: impl Fn() -> Now + Send + 'static,
        rng: Rng,
    ) -> Result<(AlertSender, mpsc::UnboundedReceiver<Progress>), StartError> {
        // A second installation is refused, and is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut targets = Vec::new();
        let mut lines = BTreeMap::new();
        for webhook in config {
            let files = read_files(webhook)?;
            let target = Target::new(webhook, &files)?;
            let authority = authority(webhook)?;
            let client = client(&target, authority)
                .map_err(|e| StartError::Client(webhook.name.clone(), innermost(&e)))?;
            let url = Arc::from(target.endpoint.reveal());
            lines.insert(target.name.clone(), Line { client, url });
            targets.push(target);
        }
        let (inputs, input_queue) = mpsc::unbounded_channel();
        let (progress, progress_queue) = mpsc::unbounded_channel();
        let (status_sender, status) = watch::channel(Vec::new());
        let carrier = Carrier {
            delivery: Delivery::new(cluster, targets, rng),
            lines,
            clock,
            logger,
            progress,
            status: status_sender,
            flights: JoinSet::new(),
            passengers: BTreeMap::new(),
        };
        tokio::spawn(carrier.run(input_queue));
        Ok((AlertSender { inputs, status }, progress_queue))
    }

    /// The fleet has got its name; nothing is sent before.
    pub fn named(&self, cluster: &str) {
        self.give(Input::Named { cluster: cluster.to_owned() });
    }

    /// An agreed event, in the order of ids.
    pub fn event(&self, event: Event) {
        self.give(Input::Event(event));
    }

    /// Deliveries of this webhook are ours.
    pub fn own(&self, webhook: &str, office: Office) {
        self.give(Input::Own { webhook: webhook.to_owned(), office });
    }

    /// They are another node's.
    pub fn disown(&self, webhook: &str) {
        self.give(Input::Disown { webhook: webhook.to_owned() });
    }

    /// What signs this webhook's requests from now on: the content of its secret file.
    pub fn renew(&self, webhook: &str, text: &str) -> Result<(), BadTarget> {
        Target::read_secrets(webhook, text)?;
        let secret = crate::config::Secret::new(text.to_owned());
        self.give(Input::Renew { webhook: webhook.to_owned(), secret });
        Ok(())
    }

    /// The webhooks that are ours, after every change.
    pub fn status(&self) -> watch::Receiver<Vec<WebhookStatus>> {
        self.status.clone()
    }

    fn give(&self, input: Input) {
        // The task ends only with this handle.
        let _ = self.inputs.send(input);
    }
}

/// What the owner knows about its webhooks replaces what the log knows about them. Dead letters are
/// the log's.
pub fn lay_over(known: &mut [WebhookStatus], ours: &[WebhookStatus]) {
    for ours in ours {
        if let Some(known) = known.iter_mut().find(|known| known.name == ours.name) {
            let agreed = std::mem::take(known);
            // How far it is, and what was given up on the way, is agreed together.
            let WebhookStatus { dead, given_up, delivered_up_to, .. } = agreed;
            *known = WebhookStatus { dead, given_up, delivered_up_to, ..ours.clone() };
        }
    }
}

struct Line {
    client: reqwest::Client,
    url: Arc<str>,
}

struct Carrier<C> {
    delivery: Delivery,
    lines: BTreeMap<String, Line>,
    clock: C,
    logger: Logger,
    progress: mpsc::UnboundedSender<Progress>,
    status: watch::Sender<Vec<WebhookStatus>>,
    flights: JoinSet<Answer>,
    /// Whose answer each flight will bring.
    passengers: BTreeMap<tokio::task::Id, String>,
}

impl<C: Fn() -> Now> Carrier<C> {
    async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) {
        let mut actions = Vec::new();
        loop {
            let wakeup = self.delivery.next_wakeup().map(|at| at - (self.clock)().mono);
            let sleep = async move {
                match wakeup {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            let input = tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => input,
                    None => return,
                },
                Some(landed) = self.flights.join_next_with_id() => {
                    let (id, answer) = match landed {
                        Ok(landed) => landed,
                        Err(error) => (error.id(), Answer::Failed("the request was cut off".to_owned())),
                    };
                    let Some(webhook) = self.passengers.remove(&id) else { continue };
                    Input::Answered { webhook, answer }
                },
                () = sleep => Input::Tick,
            };
            self.delivery.handle((self.clock)(), input, &mut actions);
            for action in actions.drain(..) {
                self.carry_out(action);
            }
            self.status.send_replace(self.delivery.status());
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Send { webhook, request } => {
                let Some(line) = self.lines.get(&webhook) else { return };
                let flight = post(line.client.clone(), line.url.clone(), request, (self.clock)().wall);
                let id = self.flights.spawn(flight).id();
                self.passengers.insert(id, webhook);
            }
            Action::Progress(progress) => {
                if progress.dead.is_empty() && progress.lost == 0 && progress.disabled.is_none() {
                    info!(self.logger, "webhook delivered"; "webhook" => &progress.webhook, "up_to" => progress.up_to);
                }
                // The loop that reads this ends only together with us.
                let _ = self.progress.send(progress);
            }
            Action::Notice { webhook, text } => {
                warn!(self.logger, "webhook trouble"; "webhook" => webhook, "what" => text);
            }
        }
    }
}

async fn post(client: reqwest::Client, url: Arc<str>, request: HttpRequest, at: Wall) -> Answer {
    let mut post = client.post(&*url).body(request.body);
    for (name, value) in request.headers {
        post = post.header(name, value);
    }
    let mut response = match post.send().await {
        Ok(response) => response,
        Err(error) => return Answer::Failed(describe(&error)),
    };
    let code = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| retry::retry_after(text, at));
    // Read a little, so that an ordinary receiver is not met with a reset; the status is the answer.
    let mut read = 0;
    while read < BODY_BYTES_READ {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) | Err(_) => break,
        }
    }
    Answer::Status { code, retry_after }
}

fn client(target: &Target, authority: Vec<reqwest::Certificate>) -> reqwest::Result<reqwest::Client> {
    let resolver =
        GuardedResolver { host: target.endpoint.host().clone(), allow_private: target.allow_private };
    let mut builder = reqwest::Client::builder();
    if !authority.is_empty() {
        builder = builder.tls_certs_only(authority);
    }
    builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(resolver))
        .build()
}

/// What went wrong, without the URL.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        let when = if error.is_connect() { CONNECT_TIMEOUT } else { TOTAL_TIMEOUT };
        return format!("no answer within {} s", when.as_secs());
    }
    if let Some(why) = certificate_fault(error) {
        return format!("cannot connect: the receiver's certificate {why}");
    }
    let what = if error.is_connect() { "cannot connect" } else { "the request failed" };
    format!("{what}: {}", innermost(error))
}

/// What is wrong with the certificate, when that is what it is.
fn certificate_fault(error: &reqwest::Error) -> Option<String> {
    use rustls::CertificateError as Fault;
    let mut inner: Option<&dyn Error> = Some(error);
    let fault = loop {
        let layer = inner?;
        if let Some(rustls::Error::InvalidCertificate(fault)) = layer.downcast_ref() {
            break fault;
        }
        // An I/O error hides what it was made of from `source`.
        let carried = layer.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        inner = carried.map(|carried| carried as &dyn Error).or_else(|| layer.source());
    };
    Some(match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => "has expired".to_owned(),
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            "is not valid yet; is the clock right?".to_owned()
        }
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => {
            "is for another name than the URL's".to_owned()
        }
        Fault::UnknownIssuer => {
            "comes from an authority that is not trusted here; `ca-file` names a private one".to_owned()
        }
        Fault::Revoked => "was revoked".to_owned(),
        other => format!("is not accepted: {other}"),
    })
}

/// The outer layers of a client's error only say that there is an inner one, and may name the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    match inner.downcast_ref::<reqwest::Error>() {
        Some(_) => "the HTTP client refused it".to_owned(),
        None => inner.to_string(),
    }
}

/// What a start would complain about, but for files that are not there or not ours to read.
pub fn check(webhook: &WebhookConfig) -> Result<(), StartError> {
    let tried = read_files(webhook).and_then(|files| Ok(Target::new(webhook, &files).map(drop)?));
    match tried {
        Err(StartError::File(..)) => Ok(()),
        other => other.and_then(|()| match authority(webhook) {
            Err(StartError::File(..)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }),
    }
}

fn read_files(webhook: &WebhookConfig) -> Result<Files, StartError> {
    let optional = |key: &'static str, path: &Option<PathBuf>, most: usize| {
        path.as_deref().map(|path| read(webhook, key, path, most)).transpose()
    };
    let mut headers = BTreeMap::new();
    for (name, path) in &webhook.header_files {
        headers.insert(name.clone(), read(webhook, "header-files", path, SECRET_FILE_BYTES)?);
    }
    Ok(Files {
        url: optional("url-file", &webhook.url_file, SECRET_FILE_BYTES)?,
        secret: optional("secret-file", &webhook.secret_file, SECRET_FILE_BYTES)?,
        key: optional("key-file", &webhook.key_file, SECRET_FILE_BYTES)?,
        template: optional("template-file", &webhook.template_file, TEMPLATE_BYTES_MAX)?,
        headers,
    })
}

/// The authorities that this webhook's receiver may be certified by; none: the system's.
fn authority(webhook: &WebhookConfig) -> Result<Vec<reqwest::Certificate>, StartError> {
    let Some(path) = &webhook.ca_file else { return Ok(Vec::new()) };
    let text = read(webhook, "ca-file", path, CA_FILE_BYTES)?;
    let refuse = |why: &str| StartError::File(webhook.name.clone(), "ca-file", path.clone(), why.to_owned());
    let certificates = reqwest::Certificate::from_pem_bundle(text.as_bytes())
        .map_err(|_| refuse("is no PEM certificate"))?;
    if certificates.is_empty() { Err(refuse("holds no certificate (PEM)")) } else { Ok(certificates) }
}

fn read(webhook: &WebhookConfig, key: &'static str, path: &Path, most: usize) -> Result<String, StartError> {
    let refuse = |why: String| StartError::File(webhook.name.clone(), key, path.to_owned(), why);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| refuse(error.to_string()))?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
    if bytes.len() > most {
        return Err(refuse(format!("larger than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| refuse("not text".to_owned()))
}

#[cfg(test)]
#[path = "alert_sender_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "alert_sender_tls_tests.rs"]
mod tls_tests;
