//! Places on the globe as numbers of 52 bits that keep neighbours near each other, as Redis' sorted
//! sets hold them, and the squares that a search has to visit, in Redis' order. The arithmetic
//! follows Redis step by step: clients compare distances as text.

use std::f64::consts::PI;

pub const LONGITUDE_MAX: f64 = 180.0;
/// Where the Mercator projection ends.
pub const LATITUDE_MAX: f64 = 85.051_128_78;
/// Bits of each coordinate.
pub const STEPS_MAX: u32 = 26;
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
const MERCATOR_MAX_M: f64 = 20_037_726.37;
/// The bits of longitude in a cell, and those of latitude.
const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
const EVEN: u64 = 0x5555_5555_5555_5555;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub longitude: f64,
    pub latitude: f64,
}

impl Point {
    pub fn is_on_map(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }
}

fn radians(degrees: f64) -> f64 {
    degrees * (PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (PI / 180.0)
}

/// Every bit moves to twice its place.
fn spread(value: u32) -> u64 {
    let mut wide = u64::from(value);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, EVEN),
    ] {
        wide = (wide | wide << shift) & mask;
    }
    wide
}

/// Every second bit, moved together.
fn gather(bits: u64) -> u32 {
    let mut wide = bits & EVEN;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        wide = (wide | wide >> shift) & mask;
    }
    wide as u32
}

/// A square (in degrees) of the map, `steps` halvings of it deep in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub bits: u64,
    steps: u32,
}

struct Area {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

impl Cell {
    /// The square that a point lies in, on a map that reaches `latitude_max` to the north and south.
    fn at(point: Point, steps: u32, latitude_max: f64) -> Cell {
        let part = |value: f64, max: f64| {
            let part = (value + max) / (max + max);
            (part * f64::from(1u32 << steps)) as u32
        };
        let latitude = spread(part(point.latitude, latitude_max));
        Cell { bits: latitude | spread(part(point.longitude, LONGITUDE_MAX)) << 1, steps }
    }

    fn area(self) -> Area {
        let scale = f64::from(1u32 << self.steps);
        let side = |index: u32, max: f64| {
            let edge = |index: f64| -max + (index / scale) * (max + max);
            (edge(f64::from(index)), edge(f64::from(index) + 1.0))
        };
        Area {
            latitude: side(gather(self.bits), LATITUDE_MAX),
            longitude: side(gather(self.bits >> 1), LONGITUDE_MAX),
        }
    }

    /// The square so many columns to the east and rows to the north; beyond an edge is the other one.
    fn beside(self, east: i32, north: i32) -> Cell {
        let unused = 64 - self.steps * 2;
        let step = |bits: u64, fill: u64, by: i32| match by {
            0 => bits,
            1.. => bits.wrapping_add(fill + 1),
            _ => (bits | fill).wrapping_sub(fill + 1),
        };
        let mut columns = self.bits & ODD;
        let mut rows = self.bits & EVEN;
        if east != 0 {
            columns = step(columns, EVEN >> unused, east) & (ODD >> unused);
        }
        if north != 0 {
            rows = step(rows, ODD >> unused, north) & (EVEN >> unused);
        }
        Cell { bits: columns | rows, steps: self.steps }
    }

    /// What sorted sets hold of points inside: from the first to before the last.
    pub fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEPS_MAX - self.steps);
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

/// The number of a point, which must be on the map.
pub fn encode(point: Point) -> u64 {
    Cell::at(point, STEPS_MAX, LATITUDE_MAX).bits
}

/// A score as C on x86 makes it a number: whatever ZADD put there is some place.
pub fn bits_of(score: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    let truncate = |value: f64| if value.abs() < HALF { value as i64 } else { i64::MIN } as u64;
    if score < HALF { truncate(score) } else { truncate(score - HALF) ^ 1 << 63 }
}

/// The middle of the smallest square that a score names.
pub fn decode(score: f64) -> Point {
    let area = Cell { bits: bits_of(score), steps: STEPS_MAX }.area();
    let middle = |(from, to): (f64, f64), max: f64| ((from + to) / 2.0).clamp(-max, max);
    Point { longitude: middle(area.longitude, LONGITUDE_MAX), latitude: middle(area.latitude, LATITUDE_MAX) }
}

/// The geohash string that the rest of the world uses: its map reaches to the poles.
pub fn text(point: Point) -> [u8; 11] {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let bits = Cell::at(point, STEPS_MAX, 90.0).bits;
    let mut text = [b'0'; 11];
    // 52 bits are ten letters and two bits; the last letter is not worth having.
    for (place, letter) in text.iter_mut().take(10).enumerate() {
        *letter = ALPHABET[(bits >> (52 - (place + 1) * 5)) as usize & 0x1f];
    }
    text
}

fn latitude_distance_m(a: f64, b: f64) -> f64 {
    EARTH_RADIUS_M * (radians(b) - radians(a)).abs()
}

/// Metres over a ball of the Earth's size.
pub fn distance_m(a: Point, b: Point) -> f64 {
    let v = ((radians(b.longitude) - radians(a.longitude)) / 2.0).sin();
    if v == 0.0 {
        return latitude_distance_m(a.latitude, b.latitude);
    }
    let (from, to) = (radians(a.latitude), radians(b.latitude));
    let u = ((to - from) / 2.0).sin();
    let square = u * u + from.cos() * to.cos() * v * v;
    2.0 * EARTH_RADIUS_M * square.sqrt().asin()
}

/// What a search may reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    pub center: Point,
    pub shape: Shape,
    /// Metres in a unit of the shape.
    pub unit_m: f64,
}

impl Search {
    /// How far a point is from the middle, if it is inside.
    pub fn reach_m(&self, point: Point) -> Option<f64> {
        match self.shape {
            Shape::Circle { radius } => {
                let distance = distance_m(self.center, point);
                (distance <= radius * self.unit_m).then_some(distance)
            }
            Shape::Box { width, height } => {
                let (width_m, height_m) = (width * self.unit_m, height * self.unit_m);
                if latitude_distance_m(point.latitude, self.center.latitude) > height_m / 2.0 {
                    return None;
                }
                let beside = Point { longitude: self.center.longitude, latitude: point.latitude };
                if distance_m(point, beside) > width_m / 2.0 {
                    return None;
                }
                Some(distance_m(self.center, point))
            }
        }
    }

    /// The corners of what has to be seen: west, south, east, north.
    fn bounds(&self) -> (f64, f64, f64, f64) {
        let Point { longitude, latitude } = self.center;
        let (width, height) = match self.shape {
            Shape::Circle { radius } => (self.unit_m * radius, self.unit_m * radius),
            Shape::Box { width, height } => (self.unit_m * (width / 2.0), self.unit_m * (height / 2.0)),
        };
        let up = degrees(height / EARTH_RADIUS_M);
        let aside = |latitude: f64| degrees(width / EARTH_RADIUS_M / radians(latitude).cos());
        // The side nearer to the pole is the wider one in degrees; Redis looks at the other.
        let aside = if latitude < 0.0 { aside(latitude - up) } else { aside(latitude + up) };
        (longitude - aside, latitude - up, longitude + aside, latitude + up)
    }

    /// How deep a cell may be for it and its neighbours to cover the shape, at most.
    fn steps(&self) -> u32 {
        let range = match self.shape {
            Shape::Circle { radius } => radius,
            Shape::Box { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        let mut range_m = range * self.unit_m;
        if range_m == 0.0 {
            return STEPS_MAX;
        }
        let mut steps = 1i32;
        while range_m < MERCATOR_MAX_M {
            range_m *= 2.0;
            steps += 1;
        }
        steps -= 2;
        // Cells are narrower towards the poles.
        let latitude = self.center.latitude.abs();
        steps -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        steps.clamp(1, STEPS_MAX as i32) as u32
    }

    /// The cells that together hold all that can be inside, in the order Redis visits them.
    pub fn cells(&self) -> Vec<Cell> {
        let (west, south, east, north) = self.bounds();
        let mut steps = self.steps();
        let mut cell = Cell::at(self.center, steps, LATITUDE_MAX);
        let too_small = cell.beside(0, 1).area().latitude.1 < north
            || cell.beside(0, -1).area().latitude.0 > south
            || cell.beside(1, 0).area().longitude.1 < east
            || cell.beside(-1, 0).area().longitude.0 > west;
        if steps > 1 && too_small {
            steps -= 1;
            cell = Cell::at(self.center, steps, LATITUDE_MAX);
        }
        let area = cell.area();
        let is_useless = |east_by: i32, north_by: i32| {
            north_by < 0 && area.latitude.0 < south
                || north_by > 0 && area.latitude.1 > north
                || east_by < 0 && area.longitude.0 < west
                || east_by > 0 && area.longitude.1 > east
        };
        let around = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let mut cells = vec![cell];
        let mut last = None;
        for (east_by, north_by) in around {
            if steps >= 2 && is_useless(east_by, north_by) {
                continue;
            }
            let next = cell.beside(east_by, north_by);
            // Of a map of few cells the neighbours are the same ones.
            if last != Some(next) {
                cells.push(next);
                last = Some(next);
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::Rng;

    const PALERMO: Point = Point { longitude: 13.361_389, latitude: 38.115_556 };
    const CATANIA: Point = Point { longitude: 15.087_269, latitude: 37.502_669 };

    #[test]
    fn known_places_are_where_redis_has_them() {
        assert_eq!(encode(PALERMO), 3_479_099_956_230_698);
        assert_eq!(encode(CATANIA), 3_479_447_370_796_909);
        let (a, b) = (decode(3_479_099_956_230_698.0), decode(3_479_447_370_796_909.0));
        assert_eq!(format!("{:.4}", distance_m(a, b)), "166274.1516");
        assert_eq!(&text(a), b"sqc8b49rny0");
        assert_eq!(&text(b), b"sqdtr74hyu0");
    }

    /// Whatever is inside lies in a visited cell.
    #[test]
    fn cells_hold_all_that_is_inside() {
        let mut rng = Rng::with_seed(3);
        for _ in 0..400 {
            let mut anywhere = |spread: f64, center: Point| Point {
                longitude: (center.longitude + (rng.f64() - 0.5) * spread).clamp(-170.0, 170.0),
                latitude: (center.latitude + (rng.f64() - 0.5) * spread / 2.0).clamp(-70.0, 70.0),
            };
            let center = anywhere(300.0, Point { longitude: 0.0, latitude: 0.0 });
            let points: Vec<Point> = (0..60).map(|at| anywhere(f64::from(at) / 10.0, center)).collect();
            let size = 10f64.powf(rng.f64() * 5.0);
            let shape = match rng.bool() {
                true => Shape::Circle { radius: size },
                false => Shape::Box { width: size, height: size * 2.0 },
            };
            let search = Search { center, shape, unit_m: 1.0 };
            let cells = search.cells();
            for point in points {
                let score = encode(point) as f64;
                if search.reach_m(decode(score)).is_some() {
                    let held = cells.iter().any(|cell| (cell.scores().0..cell.scores().1).contains(&score));
                    assert!(held, "{search:?} misses {point:?}");
                }
            }
        }
    }

    #[test]
    fn any_score_is_some_place() {
        for score in [f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, 1.5, 9.3e18] {
            assert!(decode(score).is_on_map(), "{score}");
        }
    }
}
