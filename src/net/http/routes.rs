//! Which question is at which path. Every answer, refusals included, is small and says a sentence.

use super::access::{self, Door};
use super::actions::{self, Ask};
use super::snapshots::{Form, Snapshots};
use super::stream::{self, STREAMS_MAX};
use crate::observe::health::{self, Answer, Question};
use crate::observe::status_page;
use axum::extract::{FromRef, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub(super) struct Shared {
    snapshots: Arc<Snapshots>,
    policy: HeaderValue,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
    pub(super) door: Arc<Door>,
    pub(super) asks: mpsc::Sender<Ask>,
    /// Drawn anew at every start.
    pub(super) token: Arc<str>,
}

/// What a handler needs to take an [`access::Operator`].
impl FromRef<Shared> for Arc<Door> {
    fn from_ref(shared: &Shared) -> Self {
        shared.door.clone()
    }
}

type Parameters = Query<BTreeMap<String, String>>;

pub(super) fn router(
    snapshots: Arc<Snapshots>,
    door: Arc<Door>,
    asks: mpsc::Sender<Ask>,
    stop: CancellationToken,
) -> Router {
    let policy = HeaderValue::from_str(&status_page::content_security_policy())
        .unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let shared = Shared {
        snapshots,
        policy,
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        stop,
        door,
        asks,
        token: token(),
    };
    let shown = Router::new()
        .route("/", plain(get(page)))
        .route("/status.json", plain(get(status)))
        .route("/api/v1/status", plain(get(status)))
        .route("/api/incidents", plain(get(incidents)))
        .route("/api/incidents/{id}", plain(get(incident)))
        .route("/metrics", plain(get(metrics)))
        .route("/events", plain(get(events)))
        .layer(middleware::from_fn_with_state(shared.clone(), look));
    Router::new()
        .merge(shown)
        .merge(actions::router())
        // Load balancers ask with the method they were taught: HAProxy's httpchk says OPTIONS.
        .route("/healthz", get(alive).options(alive).fallback(wrong_method))
        .route("/readyz", get(ready).options(ready).fallback(wrong_method))
        .route("/master/{group}", get(master).options(master).fallback(wrong_method))
        .route("/replica/{group}", get(replica).options(replica).fallback(wrong_method))
        .fallback(nothing_here)
        .layer(middleware::from_fn(no_body))
        .layer(middleware::map_response_with_state(shared.clone(), protect))
        .with_state(shared)
}

fn plain(methods: MethodRouter<Shared>) -> MethodRouter<Shared> {
    methods.options(allowed).fallback(wrong_method)
}

async fn page(State(shared): State<Shared>, request: Request) -> Html<String> {
    let viewer = actions::viewer(&shared, &request);
    Html(status_page::html(&shared.snapshots.current(), &viewer))
}

async fn status(State(shared): State<Shared>) -> Response {
    let text = shared.snapshots.text(Form::Json);
    ([(header::CONTENT_TYPE, "application/json")], text.to_string()).into_response()
}

/// All records, newest first, or those of one group.
async fn incidents(State(shared): State<Shared>, Query(parameters): Parameters) -> Response {
    let group = parameters.get("group");
    let status = shared.snapshots.current();
    if let Some(name) = group
        && !status.groups.iter().any(|group| group.name == *name)
    {
        return answer(Answer::new(404, "No group of this name is watched."));
    }
    let chosen: Vec<_> = status.incidents.iter().filter(|i| group.is_none_or(|g| i.group == *g)).collect();
    Json(chosen).into_response()
}

async fn incident(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    match shared.snapshots.current().incidents.iter().find(|incident| incident.id == id) {
        Some(incident) => Json(incident).into_response(),
        None => answer(Answer::new(404, "No incident of this id is kept; /api/incidents lists them.")),
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match shared.snapshots.metrics() {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(error) => answer(Answer::new(500, format!("The metrics cannot be written: {error}."))),
    }
}

async fn events(State(shared): State<Shared>, Query(parameters): Parameters) -> Response {
    let form = match parameters.get("view").map(String::as_str) {
        None => Form::Json,
        Some("page") => Form::PageTree,
        Some(_) => return answer(Answer::new(400, "'view' is 'page' or absent.")),
    };
    match shared.streams.clone().try_acquire_owned() {
        Ok(place) => stream::answer(shared.snapshots, form, shared.stop, place),
        Err(_) => {
            let full = Answer::new(503, format!("{STREAMS_MAX} readers follow already; try again later."));
            ([(header::RETRY_AFTER, "10")], answer(full)).into_response()
        }
    }
}

async fn alive(State(shared): State<Shared>) -> Response {
    answer(health::alive(&shared.snapshots.current()))
}

async fn ready(State(shared): State<Shared>) -> Response {
    answer(health::ready(&shared.snapshots.current()))
}

async fn master(
    State(shared): State<Shared>,
    Path(group): Path<String>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    ask(&shared, &group, &parameters, &headers, health::master)
}

async fn replica(
    State(shared): State<Shared>,
    Path(group): Path<String>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    ask(&shared, &group, &parameters, &headers, health::replica)
}

fn ask(
    shared: &Shared,
    group: &str,
    parameters: &BTreeMap<String, String>,
    headers: &HeaderMap,
    question: fn(&crate::model::status::Status, &Question<'_>) -> Answer,
) -> Response {
    let stated = headers.get("x-haproxy-server-state").and_then(|value| value.to_str().ok());
    let stated = stated.and_then(health::haproxy_server);
    let address = parameters.get("address").cloned().or(stated);
    let lag = parameters.get("lag").map(String::as_str);
    answer(question(&shared.snapshots.current(), &Question { group, address: address.as_deref(), lag }))
}

async fn allowed() -> Response {
    (StatusCode::NO_CONTENT, [(header::ALLOW, "GET, HEAD, OPTIONS")]).into_response()
}

/// Without entropy there is no token, and no browser can act.
fn token() -> Arc<str> {
    let mut bytes = [0_u8; 24];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        Err(_) => "".into(),
    }
}

pub(super) async fn wrong_method(method: Method) -> Response {
    let refused = Answer::new(405, format!("{method} does nothing here; this side only shows. Use GET."));
    ([(header::ALLOW, "GET, HEAD, OPTIONS")], answer(refused)).into_response()
}

async fn nothing_here() -> Response {
    answer(Answer::new(
        404,
        "There is nothing here. There are /, /status.json, /metrics, /healthz, /readyz, /api/incidents, /api/v1/groups/NAME/ACTION, /master/NAME, /replica/NAME and /events.",
    ))
}

pub(super) fn answer(answer: Answer) -> Response {
    let code = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, Json(answer.body)).into_response()
}

/// What shows the fleet is for those who may look.
async fn look(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match shared.door.may_look(&parts.headers, access::address(&parts)) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(denial) => denial.into_response(),
    }
}

/// Nothing here reads a body, so a request that brings one is refused before it can.
async fn no_body(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if length || request.headers().contains_key(header::TRANSFER_ENCODING) {
        let refused = Answer::new(413, "A body is not expected here.");
        return ([(header::CONNECTION, "close")], answer(refused)).into_response();
    }
    next.run(request).await
}

async fn protect(State(shared): State<Shared>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, shared.policy);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
