//! What may be asked of the fleet over HTTP: each path is one SENTINEL command, handed to whoever runs
//! the sentinel and answered when it is agreed. Decides nothing, and knows of the commands only their
//! words.
//!
//! Promises: only a user with the right to act gets through; a request of a browser also shows the
//! token of the page that it came from; everything is a POST without a body, and nothing is done twice
//! by a page that is loaded again.

use super::access::{Denial, Operator, Peer};
use super::routes::{Shared, answer, wrong_method};
use crate::observe::health::Answer;
use crate::observe::status_page::Viewer;
use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use std::collections::BTreeMap;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;

/// A command for the sentinel, asked by a user of the HTTP side.
#[derive(Debug)]
pub struct Ask {
    pub who: String,
    pub words: Vec<String>,
    /// The text of a success, or of an error.
    pub answer: oneshot::Sender<Result<String, String>>,
}

/// Asks at once; a person asks one.
pub const ASKS_MAX: usize = 16;
/// The leader answers within seconds or not at all.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const TOKEN_HEADER: &str = "x-vedette-token";

type Parameters = Query<BTreeMap<String, String>>;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/api/v1/groups/{group}/{action}", post(on_group).fallback(wrong_method))
        .route("/api/v1/fleet/acknowledge", post(on_fleet).fallback(wrong_method))
}

/// What the page may offer to whoever asked for it.
pub(super) fn viewer(shared: &Shared, request: &Request) -> Viewer {
    let from = address_of(request);
    let can_act = shared.door.anybody_may_act();
    let user = shared.door.may_act(request.headers(), from).ok().map(|person| person.name);
    Viewer { can_act, user, token: shared.token.to_string() }
}

fn address_of(request: &Request) -> std::net::IpAddr {
    request.extensions().get::<Peer>().map_or([0, 0, 0, 0].into(), |peer| peer.0.ip())
}

/// A browser says where a request was made; then it must show what only our own page was told.
fn is_ours(shared: &Shared, headers: &HeaderMap) -> bool {
    let browser = ["origin", "sec-fetch-site", "sec-fetch-mode", "referer"];
    match headers.get(TOKEN_HEADER) {
        Some(_) if shared.token.is_empty() => false,
        Some(shown) => bool::from(shown.as_bytes().ct_eq(shared.token.as_bytes())),
        None => !browser.iter().any(|name| headers.contains_key(*name)),
    }
}

async fn on_group(
    State(shared): State<Shared>,
    Path((group, action)): Path<(String, String)>,
    Query(parameters): Parameters,
    Operator(person): Operator,
    headers: HeaderMap,
) -> Response {
    if !is_ours(&shared, &headers) {
        return Denial::Foreign.into_response();
    }
    match words(&group, &action, &parameters, &person.name) {
        Ok(words) => ask(&shared, person.name, words).await,
        Err(refused) => answer(refused),
    }
}

async fn on_fleet(State(shared): State<Shared>, Operator(person): Operator, headers: HeaderMap) -> Response {
    if !is_ours(&shared, &headers) {
        return Denial::Foreign.into_response();
    }
    let words = ["SENTINEL", "ACKNOWLEDGE", "*"].map(str::to_owned).to_vec();
    ask(&shared, person.name, words).await
}

/// The command of this action, or why there is none.
fn words(
    group: &str,
    action: &str,
    parameters: &BTreeMap<String, String>,
    who: &str,
) -> Result<Vec<String>, Answer> {
    let known: &[&str] = match action {
        "switchover" => &["to", "force"],
        "pause" => &["seconds", "reason"],
        "resume" | "acknowledge" => &[],
        _ => {
            let text = "There is no such action. There are switchover, pause, resume and acknowledge.";
            return Err(Answer::new(404, text));
        }
    };
    if let Some(strange) = parameters.keys().find(|name| !known.contains(&name.as_str())) {
        let name: String = strange.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(Answer::new(400, format!("'{action}' knows no parameter '{name}'.")));
    }
    let mut words = vec!["SENTINEL".to_owned()];
    let mut say = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
    match action {
        "switchover" => {
            say(&["FAILOVER", group]);
            if let Some(to) = parameters.get("to") {
                let to: crate::model::Address =
                    to.parse().map_err(|error| Answer::new(400, format!("'to': {error}.")))?;
                say(&["TO", &to.host, &to.port.to_string()]);
            }
            match parameters.get("force").map(String::as_str) {
                None | Some("no") => {}
                Some("yes") => say(&["FORCE"]),
                Some(_) => return Err(Answer::new(400, "'force' is 'yes' or 'no'.")),
            }
        }
        "pause" => {
            let seconds: u64 = match parameters.get("seconds") {
                Some(text) => text.parse().map_err(|_| Answer::new(400, "'seconds' is a whole number."))?,
                None => 3600,
            };
            say(&["PAUSE", group, "FOR", &seconds.to_string(), "OWNER", who]);
            if let Some(reason) = parameters.get("reason").filter(|reason| !reason.is_empty()) {
                say(&["REASON", reason]);
            }
        }
        "resume" => say(&["RESUME", group]),
        _ => say(&["ACKNOWLEDGE", group]),
    }
    Ok(words)
}

async fn ask(shared: &Shared, who: String, words: Vec<String>) -> Response {
    let (sender, receiver) = oneshot::channel();
    let ask = Ask { who, words, answer: sender };
    if shared.asks.try_send(ask).is_err() {
        return answer(Answer::new(503, "This sentinel is busy with other requests; try again."));
    }
    match tokio::time::timeout(ANSWER_LIMIT, receiver).await {
        Ok(Ok(Ok(text))) => {
            (StatusCode::OK, axum::Json(serde_json::json!({ "ok": true, "answer": text }))).into_response()
        }
        Ok(Ok(Err(text))) => {
            let code = if text.starts_with("NOQUORUM") || text.contains("no sentinel leads") {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::CONFLICT
            };
            (code, axum::Json(serde_json::json!({ "ok": false, "error": text }))).into_response()
        }
        _ => answer(Answer::new(504, "No answer in time; it may or may not happen: look, then try again.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(action: &str, parameters: &[(&str, &str)]) -> Result<String, u16> {
        let parameters = parameters.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        words("m", action, &parameters, "ann").map(|words| words.join(" ")).map_err(|answer| answer.code)
    }

    #[test]
    fn each_action_is_one_command() {
        for (action, parameters, wanted) in [
            ("switchover", &[][..], Ok("SENTINEL FAILOVER m")),
            ("switchover", &[("to", "[::1]:7"), ("force", "no")], Ok("SENTINEL FAILOVER m TO ::1 7")),
            ("switchover", &[("force", "yes")], Ok("SENTINEL FAILOVER m FORCE")),
            ("switchover", &[("force", "maybe")], Err(400)),
            ("switchover", &[("to", "nowhere")], Err(400)),
            ("switchover", &[("top", "h:1")], Err(400)),
            (
                "pause",
                &[("seconds", "60"), ("reason", "new disk")],
                Ok("SENTINEL PAUSE m FOR 60 OWNER ann REASON new disk"),
            ),
            ("pause", &[("seconds", "soon")], Err(400)),
            ("resume", &[], Ok("SENTINEL RESUME m")),
            ("acknowledge", &[], Ok("SENTINEL ACKNOWLEDGE m")),
            ("remove", &[], Err(404)),
        ] {
            assert_eq!(said(action, parameters), wanted.map(str::to_owned), "{action} {parameters:?}");
        }
    }
}
