//! Who is near: GEOSEARCH and the older GEORADIUS family, replied or stored.

use super::args::{int, is};
use super::geo::{place_of, point, reply_distance, reply_point, unit_m};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::Writer;
use crate::resp::spec::{Arity, DENYOOM, KEY_1, KEY_1_2, READONLY, WRITE};
use crate::stdx::geohash::{self, Point, Search, Shape};
use crate::stdx::number::{format_f64, parse_f64};
use crate::store::tree::Scored;
use crate::store::{SmallBytes, ZSet};

/// How many ranks are looked at before a limit is looked at again.
const RANKS_AT_A_TIME: usize = 64;

/// What tells the commands apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// GEORADIUS: longitude, latitude, radius, unit stand first.
    Radius,
    /// GEORADIUSBYMEMBER: member, radius, unit.
    RadiusByMember,
    /// GEOSEARCH: all is said by options.
    Search,
    SearchStore,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Unsorted,
    Nearest,
    Farthest,
}

struct Query<'a> {
    center: Option<Point>,
    /// A center was named, though its member may be missing with the whole key.
    has_center: bool,
    shape: Option<(Shape, f64)>,
    with_distance: bool,
    with_hash: bool,
    with_point: bool,
    order: Order,
    /// 0: all of them.
    count: usize,
    any: bool,
    store: Option<&'a [u8]>,
    store_distance: bool,
}

struct Found {
    member: SmallBytes,
    score: f64,
    point: Point,
    distance_m: f64,
}

fn number(word: &[u8], error: &'static str) -> Result<f64, CommandError> {
    parse_f64(word).ok_or(error.into())
}

fn circle(radius: &[u8], unit: &[u8]) -> Result<(Shape, f64), CommandError> {
    let radius = number(radius, "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err("ERR radius cannot be negative".into());
    }
    Ok((Shape::Circle { radius }, unit_m(unit)?))
}

fn rectangle(width: &[u8], height: &[u8], unit: &[u8]) -> Result<(Shape, f64), CommandError> {
    let width = number(width, "ERR need numeric width")?;
    let height = number(height, "ERR need numeric height")?;
    if height < 0.0 || width < 0.0 {
        return Err("ERR height or width cannot be negative".into());
    }
    Ok((Shape::Box { width, height }, unit_m(unit)?))
}

fn member_center(zset: Option<&ZSet>, member: &[u8]) -> Result<Option<Point>, CommandError> {
    match zset {
        None => Ok(None),
        Some(zset) => match place_of(zset, member) {
            Some(point) => Ok(Some(point)),
            None => Err("ERR could not decode requested zset member".into()),
        },
    }
}

impl<'a> Query<'a> {
    /// `zset` is what the key holds: members that are no center are refused on the way.
    fn parse(
        form: Form,
        may_store: bool,
        argv: &[&'a [u8]],
        zset: Option<&ZSet>,
    ) -> Result<Query<'a>, CommandError> {
        let mut query = Query {
            center: None,
            has_center: false,
            shape: None,
            with_distance: false,
            with_hash: false,
            with_point: false,
            order: Order::Unsorted,
            count: 0,
            any: false,
            store: None,
            store_distance: false,
        };
        let options = match form {
            Form::Radius => {
                query.center = Some(point(argv[2], argv[3])?);
                query.shape = Some(circle(argv[4], argv[5])?);
                6
            }
            Form::RadiusByMember => {
                query.center = member_center(zset, argv[2])?;
                // Redis does not look at the radius when there is nothing to search.
                if zset.is_some() {
                    query.shape = Some(circle(argv[3], argv[4])?);
                }
                5
            }
            Form::Search => 2,
            Form::SearchStore => {
                query.store = Some(argv[1]);
                3
            }
        };
        query.options(form, may_store, &argv[options..], zset)?;
        query.check(form, argv[0])?;
        Ok(query)
    }

    fn options(
        &mut self,
        form: Form,
        may_store: bool,
        words: &[&'a [u8]],
        zset: Option<&ZSet>,
    ) -> Result<(), CommandError> {
        let is_search = matches!(form, Form::Search | Form::SearchStore);
        let (mut by_member, mut by_point, mut at) = (false, false, 0);
        while at < words.len() {
            let (word, rest) = (words[at], &words[at + 1..]);
            if is(word, "withdist") {
                self.with_distance = true;
            } else if is(word, "withhash") {
                self.with_hash = true;
            } else if is(word, "withcoord") {
                self.with_point = true;
            } else if is(word, "any") {
                self.any = true;
            } else if is(word, "asc") {
                self.order = Order::Nearest;
            } else if is(word, "desc") {
                self.order = Order::Farthest;
            } else if is(word, "count") && !rest.is_empty() {
                let count = int(rest[0])?;
                if count <= 0 {
                    return Err("ERR COUNT must be > 0".into());
                }
                self.count = usize::try_from(count).unwrap_or(usize::MAX);
                at += 1;
            } else if !is_search
                && may_store
                && (is(word, "store") || is(word, "storedist"))
                && !rest.is_empty()
            {
                self.store = Some(rest[0]);
                self.store_distance = is(word, "storedist");
                at += 1;
            } else if is_search && is(word, "frommember") && !rest.is_empty() && !by_point {
                self.center = member_center(zset, rest[0])?;
                by_member = true;
                at += 1;
            } else if is_search && is(word, "fromlonlat") && rest.len() >= 2 && !by_member {
                self.center = Some(point(rest[0], rest[1])?);
                by_point = true;
                at += 2;
            } else if is_search
                && is(word, "byradius")
                && rest.len() >= 2
                && !matches!(self.shape, Some((Shape::Box { .. }, _)))
            {
                self.shape = Some(circle(rest[0], rest[1])?);
                at += 2;
            } else if is_search
                && is(word, "bybox")
                && rest.len() >= 3
                && !matches!(self.shape, Some((Shape::Circle { .. }, _)))
            {
                self.shape = Some(rectangle(rest[0], rest[1], rest[2])?);
                at += 3;
            } else if form == Form::SearchStore && is(word, "storedist") {
                self.store_distance = true;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        self.has_center = by_member || by_point || !is_search;
        Ok(())
    }

    fn check(&self, form: Form, name: &[u8]) -> Result<(), CommandError> {
        let is_search = matches!(form, Form::Search | Form::SearchStore);
        let name = String::from_utf8_lossy(name);
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_point) {
            let what = if form == Form::SearchStore { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(CommandError::Text(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if is_search && !self.has_center {
            return Err(CommandError::Text(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )));
        }
        if is_search && self.shape.is_none() {
            return Err(CommandError::Text(format!(
                "ERR exactly one of BYRADIUS and BYBOX can be specified for {name}"
            )));
        }
        if self.any && self.count == 0 {
            return Err("ERR the ANY argument requires COUNT argument".into());
        }
        Ok(())
    }

    /// All that is inside, sorted and cut as asked for.
    fn search(&self, zset: &ZSet) -> (Vec<Found>, f64) {
        let (Some(center), Some((shape, unit_m))) = (self.center, self.shape) else {
            return (Vec::new(), 1.0);
        };
        let search = Search { center, shape, unit_m };
        let limit = if self.any { self.count } else { usize::MAX };
        let mut found = Vec::new();
        for cell in search.cells() {
            if found.len() >= limit {
                break;
            }
            let (from, before) = cell.scores();
            let first = zset.count_while(|entry| entry.score < from);
            let end = zset.count_while(|entry| entry.score < before).max(first);
            let mut at = first;
            while at < end && found.len() < limit {
                let next = end.min(at + RANKS_AT_A_TIME);
                zset.visit(at..next, &mut |entry: &Scored| {
                    let point = geohash::decode(entry.score);
                    if found.len() < limit
                        && let Some(distance_m) = search.reach_m(point)
                    {
                        found.push(Found {
                            member: entry.member.clone(),
                            score: entry.score,
                            point,
                            distance_m,
                        });
                    }
                });
                at = next;
            }
        }
        // The nearest few are what a count without an order means.
        let order = match self.order {
            Order::Unsorted if self.count > 0 && !self.any => Order::Nearest,
            order => order,
        };
        match order {
            Order::Unsorted => {}
            Order::Nearest => found.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m)),
            Order::Farthest => found.sort_by(|a, b| b.distance_m.total_cmp(&a.distance_m)),
        }
        if self.count > 0 {
            found.truncate(self.count);
        }
        (found, unit_m)
    }

    fn reply(&self, reply: &mut Writer<'_>, found: &[Found], unit_m: f64) {
        let extras = [self.with_distance, self.with_hash, self.with_point];
        let extras = extras.iter().filter(|wanted| **wanted).count();
        reply.array(found.len());
        for one in found {
            if extras > 0 {
                reply.array(1 + extras);
            }
            reply.bulk(&one.member);
            if self.with_distance {
                reply_distance(reply, one.distance_m / unit_m);
            }
            if self.with_hash {
                reply.integer(one.score as i64);
            }
            if self.with_point {
                reply_point(reply, one.point);
            }
        }
    }
}

fn search(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>, form: Form, may_store: bool) -> Done {
    let key = if form == Form::SearchStore { argv[2] } else { argv[1] };
    let (query, found, unit_m) = {
        let zset = if may_store {
            let place = unit.place(key);
            unit.zset_at(place)?
        } else {
            unit.read_zset(key)?
        };
        let query = Query::parse(form, may_store, argv, zset)?;
        let (found, unit_m) = zset.map_or_else(|| (Vec::new(), 1.0), |zset| query.search(zset));
        (query, found, unit_m)
    };
    match query.store {
        None => query.reply(reply, &found, unit_m),
        Some(target) => {
            let score = |one: &Found| if query.store_distance { one.distance_m / unit_m } else { one.score };
            let scored: Vec<Scored> =
                found.iter().map(|one| Scored { score: score(one), member: one.member.clone() }).collect();
            super::zset_range::store_result(unit, target, &scored);
            if !scored.is_empty() {
                // Replicas get the members: their sines may differ in the last digit.
                let mut command = super::args::owned(&[b"ZADD", target]);
                for entry in &scored {
                    command.extend([format_f64(entry.score).into_bytes(), entry.member.to_vec()]);
                }
                let delete = super::args::owned(&[b"DEL", target]);
                unit.effects.propagate = super::Propagate::Rewritten(vec![delete, command]);
            }
            reply.integer(scored.len() as i64);
        }
    }
    Ok(())
}

fn georadius(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    search(unit, argv, reply, Form::Radius, true)
}

fn georadius_ro(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    search(unit, argv, reply, Form::Radius, false)
}

fn georadiusbymember(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    search(unit, argv, reply, Form::RadiusByMember, true)
}

fn georadiusbymember_ro(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    search(unit, argv, reply, Form::RadiusByMember, false)
}

fn geosearch(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    search(unit, argv, reply, Form::Search, false)
}

fn geosearchstore(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    search(unit, argv, reply, Form::SearchStore, true)
}

const G: &str = "@geo";
const PUT: u32 = WRITE | DENYOOM;

pub(super) const COMMANDS: &[DataCommand] = &[
    row("geosearch", Arity::AtLeast(7), READONLY, KEY_1, G, "Members within a circle or a box", geosearch),
    row("geosearchstore", Arity::AtLeast(8), PUT, KEY_1_2, G, "The same, stored", geosearchstore),
    row("georadius", Arity::AtLeast(6), PUT, KEY_1, G, "Members within a circle", georadius),
    row("georadius_ro", Arity::AtLeast(6), READONLY, KEY_1, G, "The same, never stored", georadius_ro),
    row("georadiusbymember", Arity::AtLeast(5), PUT, KEY_1, G, "Members around one", georadiusbymember),
    row(
        "georadiusbymember_ro",
        Arity::AtLeast(5),
        READONLY,
        KEY_1,
        G,
        "The same, never stored",
        georadiusbymember_ro,
    ),
];
