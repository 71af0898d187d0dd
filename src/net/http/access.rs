//! Who is asking on the HTTP side, and what they may do.
//!
//! A user proves itself with its secret, as `Authorization: Bearer SECRET` (programs) or Basic
//! (browsers). A route that changes something takes an [`Operator`] among its arguments and is then
//! reached by users with the right `act` only; one that takes an [`Option<Person>`](Person) merely
//! learns who looks. Promises: without configured users nobody can change anything; secrets are held
//! as hashes and compared in constant time over all users; guesses from other machines are slowed
//! down; a page of another site cannot make a logged-in browser act. Has never heard of what is acted
//! on.

use crate::config::Secret;
use crate::config::http_users::{HttpRight, HttpView};
use crate::session::guesses::Guesses;
use crate::stdx::time as core_time;
use axum::Json;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The other end of the connection that a request came on; every request carries one.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A user that proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub right: HttpRight,
}

/// A user that may act, asking from where it may ask from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator(pub Person);

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Nobody is configured who could do this.
    NoUsers,
    /// No credentials, or wrong ones.
    Login,
    /// Too many wrong ones from there.
    Later,
    /// Known, but may only look.
    ViewOnly,
    /// A browser was sent here by another site.
    Foreign,
}

/// A user as configured.
pub struct User {
    pub name: String,
    pub secret: Secret,
    pub right: HttpRight,
}

struct Known {
    person: Person,
    hash: [u8; 32],
}

/// All users of this sentinel's HTTP side; may change while it serves.
pub struct Door {
    users: RwLock<Arc<Vec<Known>>>,
    view: HttpView,
    guesses: Mutex<Guesses>,
    started: Instant,
}

impl Door {
    pub fn new(users: Vec<User>, view: HttpView) -> Self {
        let door =
            Door { users: RwLock::default(), view, guesses: Mutex::default(), started: Instant::now() };
        door.replace(users);
        door
    }

    /// From now on these are the users.
    pub fn replace(&self, users: Vec<User>) {
        let known = users.into_iter().map(|user| Known {
            hash: Sha256::digest(user.secret.expose()).into(),
            person: Person { name: user.name, right: user.right },
        });
        *self.users.write() = Arc::new(known.collect());
    }

    /// Whether there is a user who could act.
    pub fn anybody_may_act(&self) -> bool {
        self.users.read().iter().any(|user| user.person.right == HttpRight::Act)
    }

    /// Who sends these headers: `None` without credentials, an error with wrong ones.
    pub fn who(&self, headers: &HeaderMap, from: IpAddr) -> Result<Option<Person>, Denial> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let (name, secret) = credentials(value.as_bytes()).ok_or(Denial::Login)?;
        let now = core_time::Instant::from_millis(self.started.elapsed().as_millis() as u64);
        let source = (!crate::session::is_loopback(from)).then_some(from);
        if !self.guesses.lock().may_try(now, source) {
            return Err(Denial::Later);
        }
        let hash: [u8; 32] = Sha256::digest(&secret).into();
        let users = self.users.read().clone();
        // Every user is compared, whether one was found or not: the time taken says nothing.
        let (mut found, mut at) = (Choice::from(0), 0_u64);
        for (index, user) in users.iter().enumerate() {
            let named = name.as_ref().is_none_or(|name| *name == user.person.name.as_bytes());
            let fits = user.hash.ct_eq(&hash) & Choice::from(u8::from(named));
            at.conditional_assign(&(index as u64), fits);
            found |= fits;
        }
        if bool::from(found) {
            return Ok(users.get(at as usize).map(|user| user.person.clone()));
        }
        self.guesses.lock().was_wrong(now, source);
        Err(Denial::Login)
    }

    /// Whether this request may look.
    pub fn may_look(&self, headers: &HeaderMap, from: IpAddr) -> Result<(), Denial> {
        match self.view {
            HttpView::Anybody => Ok(()),
            HttpView::Users => self.who(headers, from)?.map(|_| ()).ok_or(Denial::Login),
        }
    }

    /// Whether this request may change something, and in whose name.
    pub fn may_act(&self, headers: &HeaderMap, from: IpAddr) -> Result<Person, Denial> {
        if !self.anybody_may_act() {
            return Err(Denial::NoUsers);
        }
        if is_foreign(headers) {
            return Err(Denial::Foreign);
        }
        match self.who(headers, from)? {
            None => Err(Denial::Login),
            Some(person) if person.right == HttpRight::Act => Ok(person),
            Some(_) => Err(Denial::ViewOnly),
        }
    }
}

/// The name (of Basic) and the secret.
fn credentials(value: &[u8]) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
    let space = value.iter().position(|&byte| byte == b' ')?;
    let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some((None, rest.to_vec()));
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let text = base64::engine::general_purpose::STANDARD.decode(rest).ok()?;
    let colon = text.iter().position(|&byte| byte == b':')?;
    Some((Some(text[..colon].to_vec()), text[colon + 1..].to_vec()))
}

/// Browsers say which site a request was made from; programs say nothing.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let Some(origin) = text("origin") else { return false };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_none() || host != text("host")
}

impl<S: Send + Sync> FromRequestParts<S> for Operator
where
    Arc<Door>: FromRef<S>,
{
    type Rejection = Denial;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denial> {
        let door = Arc::<Door>::from_ref(state);
        door.may_act(&parts.headers, address(parts)).map(Operator)
    }
}

/// Of the other end. A request without one is treated as a stranger's.
pub fn address(parts: &Parts) -> IpAddr {
    parts.extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip())
}

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        let (status, sentence) = match self {
            Denial::NoUsers => (
                StatusCode::FORBIDDEN,
                "Nobody may do this here; give a user of `http-users` the right `may: act` in sentinel.yaml.",
            ),
            Denial::Login => (StatusCode::UNAUTHORIZED, "Log in with a user of `http-users` and its secret."),
            Denial::Later => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many wrong logins from this address; try again in a second.",
            ),
            Denial::ViewOnly => {
                (StatusCode::FORBIDDEN, "This user may only look; `may: act` in `http-users` lets it act.")
            }
            Denial::Foreign => (
                StatusCode::FORBIDDEN,
                "This was asked from a page of another site; use this sentinel's own page.",
            ),
        };
        let body = Json(serde_json::json!({ "error": sentence }));
        match self {
            Denial::Login => {
                let challenge = "Basic realm=\"vedette\", charset=\"UTF-8\"";
                (status, [(header::WWW_AUTHENTICATE, challenge)], body).into_response()
            }
            Denial::Later => (status, [(header::RETRY_AFTER, "1")], body).into_response(),
            _ => (status, body).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn door(view: HttpView) -> Door {
        let user = |name: &str, secret: &str, right| User {
            name: name.to_owned(),
            secret: Secret::new(secret.to_owned()),
            right,
        };
        Door::new(
            vec![user("ann", "s3cret-a", HttpRight::Act), user("bob", "s3cret-b", HttpRight::View)],
            view,
        )
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn basic(name: &str, secret: &str) -> String {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{secret}")))
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn the_right_secret_names_its_user_and_its_right() {
        let door = door(HttpView::Users);
        let act = |authorization: &str| door.may_act(&headers(&[("authorization", authorization)]), HERE);
        assert_eq!(act("Bearer s3cret-a").map(|person| person.name), Ok("ann".to_owned()));
        assert_eq!(act(&basic("ann", "s3cret-a")).map(|person| person.name), Ok("ann".to_owned()));
        assert_eq!(act("Bearer s3cret-b"), Err(Denial::ViewOnly));
        for wrong in
            ["Bearer s3cret-c", "Bearer ", "Basic !", "Digest x", &basic("bob", "s3cret-a"), &basic("", "")]
        {
            assert_eq!(act(wrong), Err(Denial::Login), "{wrong}");
        }
        assert_eq!(door.may_act(&HeaderMap::new(), HERE), Err(Denial::Login));
        assert_eq!(door.may_look(&HeaderMap::new(), HERE), Err(Denial::Login));
        assert_eq!(door.may_look(&headers(&[("authorization", "Bearer s3cret-b")]), HERE), Ok(()));
    }

    #[test]
    fn without_users_everybody_looks_and_nobody_acts() {
        let door = Door::new(Vec::new(), HttpView::Anybody);
        assert_eq!(door.may_look(&HeaderMap::new(), HERE), Ok(()));
        let any = headers(&[("authorization", "Bearer ")]);
        assert_eq!(door.may_act(&any, HERE), Err(Denial::NoUsers));
        door.replace(vec![User {
            name: "ann".into(),
            secret: Secret::new("new".into()),
            right: HttpRight::Act,
        }]);
        assert!(
            door.may_act(&headers(&[("authorization", "Bearer new")]), HERE).is_ok(),
            "taken up while it serves"
        );
    }

    #[test]
    fn another_site_cannot_use_a_browser_that_is_logged_in() {
        let door = door(HttpView::Anybody);
        let act = |pairs: &[(&'static str, &str)]| {
            let mut all = vec![("authorization", "Bearer s3cret-a"), ("host", "sentinel:26380")];
            all.extend_from_slice(pairs);
            door.may_act(&headers(&all), HERE).map(|_| ())
        };
        assert_eq!(act(&[("sec-fetch-site", "cross-site")]), Err(Denial::Foreign));
        assert_eq!(act(&[("origin", "http://evil.example")]), Err(Denial::Foreign));
        assert_eq!(act(&[("origin", "null")]), Err(Denial::Foreign));
        assert_eq!(act(&[("origin", "http://sentinel:26380"), ("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(act(&[]), Ok(()));
    }

    #[test]
    fn guesses_from_other_machines_are_slowed_down() {
        let door = door(HttpView::Users);
        let wrong = headers(&[("authorization", "Bearer guess")]);
        let thief: IpAddr = "10.0.0.9".parse().unwrap();
        let tries: Vec<_> = (0..30).map(|_| door.who(&wrong, thief)).collect();
        assert!(tries.contains(&Err(Denial::Later)), "{tries:?}");
        assert!(
            (0..30).all(|_| door.who(&wrong, HERE) == Err(Denial::Login)),
            "this machine is never locked out"
        );
    }
}
