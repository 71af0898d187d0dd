//! Against real receivers on loopback.

use super::*;
use crate::alerts::reach::Host;
use crate::model::event::EventKind;
use crate::stdx::time::{Instant, Wall};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use hmac::{KeyInit, Mac};
use reqwest::dns::Resolve;
use std::collections::VecDeque;
use tokio::sync::Mutex;

const SECRET: &[u8] = b"a secret of the test";

/// Answers as scripted, then 200, and tells the test what it got.
#[derive(Clone)]
struct Receiver {
    script: Arc<Mutex<VecDeque<Response>>>,
    got: mpsc::UnboundedSender<(HeaderMap, Bytes)>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let _ = receiver.got.send((headers, body));
    let scripted = receiver.script.lock().await.pop_front();
    scripted.unwrap_or_else(|| StatusCode::OK.into_response())
}

async fn receiver(script: Vec<Response>) -> (String, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (got, requests) = mpsc::unbounded_channel();
    let receiver = Receiver { script: Arc::new(Mutex::new(script.into())), got };
    let app = Router::new().fallback(receive).with_state(receiver);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://user:hunter2@{address}/hook?key=hunter2"), requests)
}

pub(super) fn webhook(name: &str, url: &str) -> WebhookConfig {
    WebhookConfig::new(name, url)
}

pub(super) fn from(from: u64) -> Office {
    Office { from, ..Office::default() }
}

pub(super) fn start(config: &[WebhookConfig]) -> (AlertSender, mpsc::UnboundedReceiver<Progress>) {
    let began = std::time::Instant::now();
    let clock = move || Now {
        mono: Instant::from_micros(u64::try_from(began.elapsed().as_micros()).unwrap()),
        wall: Wall(1_700_000_000_000),
    };
    let logger = Logger::root(slog::Discard, slog::o!());
    AlertSender::start(config, "c1".into(), logger, clock, Rng::with_seed(1)).unwrap()
}

pub(super) fn event(id: u64) -> Event {
    Event {
        id,
        at_ms: 1_700_000_000_000,
        kind: EventKind::SwitchMaster,
        group: "m".into(),
        epoch: 2,
        instance: None,
        payload: "m 10.0.0.1 6379 10.0.0.2 6379".into(),
        details: Vec::new(),
    }
}

pub(super) async fn soon<T>(what: impl Future<Output = Option<T>>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it comes in time").expect("not closed")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_receiver_that_stumbles_gets_the_same_event_again_signed_each_time() {
    let broken = || StatusCode::INTERNAL_SERVER_ERROR.into_response();
    let (url, mut requests) = receiver(vec![broken()]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SECRET).unwrap();
    let mut config = webhook("ops", &url);
    config.secret_file = Some(file.path().to_owned());
    let (sender, mut progress) = start(&[config]);
    sender.event(event(1));
    sender.event(event(2));
    sender.own("ops", from(1));
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (headers, body) = soon(requests.recv()).await;
        let id = text(&headers, "webhook-id").to_owned();
        let signed = text(&headers, "webhook-signature").strip_prefix("v1,").unwrap();
        let signed = base64::engine::general_purpose::STANDARD.decode(signed).unwrap();
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET).unwrap();
        mac.update(format!("{id}.{}.", text(&headers, "webhook-timestamp")).as_bytes());
        mac.update(&body);
        mac.verify_slice(&signed).expect("the signature is of id.timestamp.body");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["type"], "+switch-master");
        ids.push(id);
    }
    assert_eq!(ids, ["evt_c1_1", "evt_c1_1", "evt_c1_2"]);
    let ops = |up_to| Progress { webhook: "ops".into(), up_to, ..Progress::default() };
    assert_eq!(soon(progress.recv()).await, ops(1));
    assert_eq!(soon(progress.recv()).await, ops(2));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_no_error_shows_the_url() {
    let (elsewhere, mut never) = receiver(Vec::new()).await;
    let moved = (StatusCode::TEMPORARY_REDIRECT, [("location", elsewhere)]).into_response();
    let (url, mut requests) = receiver(vec![moved]).await;
    let (sender, mut progress) = start(&[webhook("ops", &url)]);
    sender.own("ops", from(1));
    sender.event(event(1));
    soon(requests.recv()).await;
    let mut status = sender.status();
    let told = soon(async {
        status.wait_for(|all| all.first().is_some_and(|webhook| webhook.last_error.is_some())).await.ok()
    });
    let told = told.await[0].last_error.clone().unwrap();
    assert_eq!(told, "the receiver answered 307; redirects are not followed");
    soon(requests.recv()).await;
    assert_eq!(soon(progress.recv()).await.up_to, 1, "the second try is answered 200");
    assert!(never.try_recv().is_err(), "the place it was sent to heard nothing");
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_nobody_and_an_endless_answer_is_an_answer() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}/", silent.local_addr().unwrap());
    let drops = std::iter::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1024])));
    let endless = Body::from_stream(tokio_stream::iter(drops)).into_response();
    let (url, mut requests) = receiver(vec![endless]).await;
    let (sender, mut progress) = start(&[webhook("silent", &silent_url), webhook("ops", &url)]);
    sender.own("silent", from(1));
    sender.own("ops", from(1));
    for id in 1..=20 {
        sender.event(event(id));
    }
    let connection = silent.accept().await.unwrap();
    for id in 1..=20 {
        soon(requests.recv()).await;
        let delivered = soon(progress.recv()).await;
        assert_eq!((delivered.webhook.as_str(), delivered.up_to), ("ops", id));
    }
    let status = sender.status().borrow().clone();
    assert_eq!((status[0].name.as_str(), status[0].pending), ("silent", 20));
    drop(connection);
}

#[tokio::test]
async fn nothing_listening_is_said_without_the_secrets_of_the_url() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://user:hunter2@localhost:{}/hunter2?hunter2", closed.port());
    let (sender, _progress) = start(&[webhook("ops", &url)]);
    sender.own("ops", from(1));
    sender.event(event(1));
    let mut status = sender.status();
    let told = soon(async {
        status.wait_for(|all| all.first().is_some_and(|webhook| webhook.last_error.is_some())).await.ok()
    });
    let told = told.await[0].last_error.clone().unwrap();
    assert!(told.starts_with("cannot connect: Connection refused"), "{told}");
    assert!(!told.contains("hunter2"));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let resolver = GuardedResolver { host: Host::Name("hook.example".into()), allow_private: false };
    let refused = resolver.resolve("localhost".parse().unwrap()).await.err().unwrap().to_string();
    assert!(refused.contains("allow-private: yes"), "{refused}");
    let resolver = GuardedResolver { host: Host::Name("hook.example".into()), allow_private: true };
    assert!(resolver.resolve("localhost".parse().unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_missing_secret_file_is_named() {
    let mut config = webhook("ops", "https://ops.example/hook");
    config.secret_file = Some("/nonexistent/hook.secret".into());
    let logger = Logger::root(slog::Discard, slog::o!());
    let clock = || Now::at_millis(0);
    let refused = AlertSender::start(&[config], "c".into(), logger, clock, Rng::with_seed(1)).err().unwrap();
    assert!(refused.to_string().starts_with("webhook 'ops': secret-file /nonexistent/hook.secret: "));
}

#[test]
fn the_owner_knows_better_than_the_log() {
    let status =
        |name: &str, pending| WebhookStatus { name: name.into(), pending, ..WebhookStatus::default() };
    let mut known = vec![status("a", 0), WebhookStatus { given_up: 3, ..status("b", 0) }];
    lay_over(&mut known, &[status("b", 5), status("c", 1)]);
    assert_eq!(known[1].given_up, 3, "what was given up is the log's");
    let seen: Vec<(&str, u64)> = known.iter().map(|w| (w.name.as_str(), w.pending)).collect();
    assert_eq!(seen, [("a", 0), ("b", 5)]);
}
