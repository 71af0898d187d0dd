//! Places in sorted sets: adding, asking where and how far. Searches are in `geo_search`.

use super::args::{float, is};
use super::{CommandError, DataCommand, Done, Unit, row};
use crate::resp::spec::{Arity, DENYOOM, KEY_1, READONLY, WRITE};
use crate::resp::{Protocol, Writer};
use crate::stdx::geohash::{self, Point};
use crate::store::ZSet;

/// Longitude and latitude.
pub(super) fn point(longitude: &[u8], latitude: &[u8]) -> Result<Point, CommandError> {
    let point = Point { longitude: float(longitude)?, latitude: float(latitude)? };
    if !point.is_on_map() {
        let Point { longitude, latitude } = point;
        return Err(CommandError::Text(format!(
            "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        )));
    }
    Ok(point)
}

/// Metres in a unit.
pub(super) fn unit_m(word: &[u8]) -> Result<f64, CommandError> {
    match word.to_ascii_lowercase().as_slice() {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err("ERR unsupported unit provided. please use M, KM, FT, MI".into()),
    }
}

pub(super) fn place_of(zset: &ZSet, member: &[u8]) -> Option<Point> {
    zset.score(member).map(geohash::decode)
}

pub(super) fn reply_distance(reply: &mut Writer<'_>, distance: f64) {
    reply.bulk(format!("{distance:.4}").as_bytes());
}

/// A coordinate with all its decimals, as Redis prints its long doubles.
fn reply_coordinate(reply: &mut Writer<'_>, value: f64) {
    let text = format!("{value:.17}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "-0" { "0" } else { text };
    match reply.protocol() {
        Protocol::Resp2 => reply.bulk(text.as_bytes()),
        Protocol::Resp3 => reply.raw(format!(",{text}\r\n").as_bytes()),
    }
}

pub(super) fn reply_point(reply: &mut Writer<'_>, point: Point) {
    reply.array(2);
    reply_coordinate(reply, point.longitude);
    reply_coordinate(reply, point.latitude);
}

/// Becomes a ZADD, here and for replicas.
fn geoadd(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let is_option = |word: &&&[u8]| ["nx", "xx", "ch"].iter().any(|name| is(word, name));
    let options = argv[2..].iter().take_while(is_option).count();
    let given = |name| argv[2..2 + options].iter().any(|word| is(word, name));
    let triples = &argv[2 + options..];
    if !triples.len().is_multiple_of(3) || given("nx") && given("xx") {
        return Err(CommandError::Syntax);
    }
    let mut command: Vec<Vec<u8>> = vec![b"ZADD".to_vec()];
    command.extend(argv[1..2 + options].iter().map(|word| word.to_vec()));
    for triple in triples.chunks_exact(3) {
        let place = point(triple[0], triple[1])?;
        command.extend([geohash::encode(place).to_string().into_bytes(), triple[2].to_vec()]);
    }
    let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
    super::zsets::zadd(unit, &words, reply)?;
    unit.effects.rewrite(command);
    Ok(())
}

fn geopos(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let zset = unit.read_zset(argv[1])?;
    reply.array(argv.len() - 2);
    for member in &argv[2..] {
        match zset.and_then(|zset| place_of(zset, member)) {
            Some(point) => reply_point(reply, point),
            None => reply.null_array(),
        }
    }
    Ok(())
}

fn geohash_text(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let zset = unit.read_zset(argv[1])?;
    reply.array(argv.len() - 2);
    for member in &argv[2..] {
        match zset.and_then(|zset| place_of(zset, member)) {
            Some(point) => reply.bulk(&geohash::text(point)),
            None => reply.null(),
        }
    }
    Ok(())
}

fn geodist(unit: &mut Unit<'_>, argv: &[&[u8]], reply: &mut Writer<'_>) -> Done {
    let metres = match &argv[4..] {
        [] => 1.0,
        [word] => unit_m(word)?,
        _ => return Err(CommandError::Syntax),
    };
    let zset = unit.read_zset(argv[1])?;
    match zset.and_then(|zset| Some((place_of(zset, argv[2])?, place_of(zset, argv[3])?))) {
        Some((from, to)) => reply_distance(reply, geohash::distance_m(from, to) / metres),
        None => reply.null(),
    }
    Ok(())
}

const G: &str = "@geo";

pub(super) const COMMANDS: &[DataCommand] = &[
    row("geoadd", Arity::AtLeast(5), WRITE | DENYOOM, KEY_1, G, "Adds places", geoadd),
    row("geopos", Arity::AtLeast(2), READONLY, KEY_1, G, "Where members are", geopos),
    row("geohash", Arity::AtLeast(2), READONLY, KEY_1, G, "Where members are, as geohashes", geohash_text),
    row("geodist", Arity::AtLeast(4), READONLY, KEY_1, G, "How far two members are apart", geodist),
];
