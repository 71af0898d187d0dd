//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO.

use super::Mode;
use crate::resp::Writer;
use crate::session::{Hub, Session, SessionError};
use crate::stdx::number::parse_i64;

type Done = Result<(), SessionError>;

const MODE_KEPT: &str = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.";
const OPTION_KEPT: &str = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.";

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// `words` begin with ON or OFF.
pub fn tracking(hub: &mut Hub, session: &mut Session, words: &[&[u8]], out: &mut Writer<'_>) -> Done {
    let (mut mode, mut redirect, mut prefixes) = (Mode::default(), None, Vec::new());
    let mut rest = &words[1..];
    while let Some((option, more)) = rest.split_first() {
        rest = more;
        if is(option, "bcast") {
            mode.broadcast = true;
        } else if is(option, "optin") {
            mode.opt_in = true;
        } else if is(option, "optout") {
            mode.opt_out = true;
        } else if is(option, "noloop") {
            mode.no_loop = true;
        } else if let Some((value, more)) = more.split_first().filter(|_| is(option, "redirect")) {
            if redirect.is_some() {
                return Err("ERR A client can only redirect to a single other client".into());
            }
            let id = parse_i64(value).ok_or(SessionError::NotInteger)?;
            let id = u64::try_from(id).unwrap_or(0);
            let outbox = if id == session.id {
                Some(session.outbox.clone())
            } else {
                hub.session(id).map(|other| other.outbox.clone())
            };
            let outbox = outbox.ok_or("ERR The client ID you want redirect to does not exist")?;
            redirect = Some((id, outbox));
            rest = more;
        } else if let Some((value, more)) = more.split_first().filter(|_| is(option, "prefix")) {
            prefixes.push(*value);
            rest = more;
        } else {
            return Err(SessionError::Syntax);
        }
    }
    if is(words[0], "off") {
        hub.tracking.forget(session.id);
        session.tracks = false;
        out.ok();
        return Ok(());
    }
    if !is(words[0], "on") {
        return Err(SessionError::Syntax);
    }
    if !mode.broadcast && !prefixes.is_empty() {
        return Err("ERR PREFIX option requires BCAST mode to be enabled".into());
    }
    let current = hub.tracking.trackers.get(&session.id);
    if current.is_some_and(|tracker| tracker.mode.broadcast != mode.broadcast) {
        return Err(MODE_KEPT.into());
    }
    if mode.broadcast && (mode.opt_in || mode.opt_out) {
        return Err("ERR OPTIN and OPTOUT are not compatible with BCAST".into());
    }
    if mode.opt_in && mode.opt_out {
        return Err("ERR You can't specify both OPTIN mode and OPTOUT mode".into());
    }
    let switches = |now: Mode| mode.opt_in && now.opt_out || mode.opt_out && now.opt_in;
    if current.is_some_and(|tracker| switches(tracker.mode)) {
        return Err(OPTION_KEPT.into());
    }
    if mode.broadcast {
        check_overlaps(current.into_iter().flat_map(|tracker| tracker.prefixes.iter()), &prefixes)?;
    }
    hub.tracking.start(session, mode, redirect, &prefixes);
    session.tracks = true;
    out.ok();
    Ok(())
}

fn check_overlaps<'a>(known: impl Iterator<Item = &'a Box<[u8]>>, given: &[&[u8]]) -> Done {
    let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    let refuse = |one: &[u8], what: &str, other: &[u8]| {
        let (one, other) = (String::from_utf8_lossy(one), String::from_utf8_lossy(other));
        Err(SessionError::Text(format!(
            "ERR Prefix '{one}' overlaps with {what} prefix '{other}'. Prefixes for a single client must not overlap."
        )))
    };
    let known: Vec<_> = known.collect();
    for (index, prefix) in given.iter().enumerate() {
        if let Some(other) = known.iter().find(|other| overlap(prefix, other)) {
            return refuse(prefix, "an existing", other);
        }
        if let Some(other) = given[index + 1..].iter().find(|other| overlap(prefix, other)) {
            return refuse(prefix, "another provided", other);
        }
    }
    Ok(())
}

pub fn caching(hub: &mut Hub, session: &Session, word: &[u8], out: &mut Writer<'_>) -> Done {
    let tracker = hub.tracking.trackers.get_mut(&session.id);
    let tracker = tracker.ok_or("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")?;
    let (fits, refusal) = if is(word, "yes") {
        (tracker.mode.opt_in, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
    } else if is(word, "no") {
        (tracker.mode.opt_out, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
    } else {
        return Err(SessionError::Syntax);
    };
    if !fits {
        return Err(refusal.into());
    }
    tracker.caching = true;
    out.ok();
    Ok(())
}

pub fn info(hub: &Hub, session: &Session, out: &mut Writer<'_>) {
    let tracker = hub.tracking.trackers.get(&session.id);
    let mut flags = vec![if tracker.is_some() { "on" } else { "off" }];
    if let Some(tracker) = tracker {
        let mode = tracker.mode;
        let flag = |is_set, name| if is_set { Some(name) } else { None };
        let more = [
            flag(mode.broadcast, "bcast"),
            flag(mode.opt_in, "optin"),
            flag(mode.opt_in && tracker.caching, "caching-yes"),
            flag(mode.opt_out, "optout"),
            flag(mode.opt_out && tracker.caching, "caching-no"),
            flag(mode.no_loop, "noloop"),
            flag(tracker.is_broken, "broken_redirect"),
        ];
        flags.extend(more.into_iter().flatten());
    }
    out.map(3);
    out.bulk(b"flags");
    out.set(flags.len());
    flags.iter().for_each(|flag| out.bulk(flag.as_bytes()));
    out.bulk(b"redirect");
    out.integer(hub.tracking.shown(session.id).1);
    out.bulk(b"prefixes");
    let prefixes = tracker.map(|tracker| &tracker.prefixes).into_iter().flatten();
    let prefixes: Vec<_> = prefixes.collect();
    out.array(prefixes.len());
    prefixes.into_iter().for_each(|prefix| out.bulk(prefix));
}
