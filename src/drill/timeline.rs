//! A drill drawn as SVG: what the canary met, and under it one row per step of the failover, all on
//! one scale, with the objective as a line through it.

use super::figure;
use super::junit::escape;
use crate::model::drill::Scorecard;
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 128.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 46.0;
const LANE: f64 = 56.0;
const ROW: f64 = 25.0;
const BAR: f64 = 13.0;

/// What a row is called, the step it ends with, and what colours it.
const ROWS: &[(&str, &str, &str)] = &[
    ("noticed", "suspected", "detect"),
    ("agreed", "agreed", "detect"),
    ("begun", "begun", "decide"),
    ("chosen", "chosen", "decide"),
    ("promoted", "promoted", "promote"),
    ("published", "published", "promote"),
    ("first write", "first-write", "clients"),
    ("all in sync", "in-sync", "repair"),
];

struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn x(&self, us: i64) -> f64 {
        let share = (us as f64 - self.from) / (self.to - self.from);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }
}

/// The drawing, or nothing when there was no fault to draw.
pub(super) fn svg(card: &Scorecard) -> String {
    let lane = &card.lane;
    if lane.slots.is_empty() {
        return String::new();
    }
    let to = lane.from_us + (lane.slot_us * lane.slots.len() as u64) as i64;
    let scale = Scale { from: lane.from_us as f64, to: to as f64 };
    let at = |name: &str| card.steps.iter().find(|step| step.name == name).map(|step| step.at_us);
    let rows: Vec<(&str, &str, i64)> =
        ROWS.iter().filter_map(|(label, step, class)| Some((*label, *class, at(step)?))).collect();
    let body = TOP + LANE + 14.0;
    let bottom = body + rows.len() as f64 * ROW;
    let height = bottom + 34.0;
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(&format!("Timeline of the drill {}: {}", card.scenario.name(), card.summary))
    );
    axis(&mut svg, &scale, to, TOP, bottom);
    canary(&mut svg, card, &scale);
    gap(&mut svg, card, &scale, bottom);
    let mut before = 0;
    for (index, (label, class, us)) in rows.iter().enumerate() {
        let y = body + index as f64 * ROW;
        let (x0, x1) = (scale.x(before), scale.x(*us));
        let _ = write!(
            svg,
            "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>\
             <rect class=\"bar {class}\" x=\"{x0:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"3\"><title>{label}: {} after the fault</title></rect>",
            LEFT - 12.0,
            y + 11.0,
            y,
            (x1 - x0).max(3.0),
            figure((*us).max(0) as u64)
        );
        let beyond = *us > to;
        let arrow = if beyond { " \u{2192}" } else { "" };
        let x = if beyond { WIDTH - RIGHT + 6.0 } else { x1.max(x0 + 3.0) + 7.0 };
        let _ = write!(
            svg,
            "<text class=\"value\" x=\"{x:.1}\" y=\"{:.1}\">{}{arrow}</text>",
            y + 11.0,
            figure((*us).max(0) as u64)
        );
        before = (*us).max(before);
    }
    svg.push_str("</svg>");
    svg
}

/// Ticks at round times, and the fault.
fn axis(svg: &mut String, scale: &Scale, to: i64, top: f64, bottom: f64) {
    let span = scale.to - scale.from;
    let mut step = 1_000i64;
    for candidate in [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000, 300_000] {
        step = candidate * 1000;
        if span / step as f64 <= 9.0 {
            break;
        }
    }
    let mut us = (scale.from as i64).div_euclid(step) * step + step;
    while us <= to {
        let x = scale.x(us);
        let ms = us / 1000;
        let text = if step >= 1_000_000 { format!("{} s", ms / 1000) } else { format!("{ms} ms") };
        let text = if us == 0 { String::new() } else { text };
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\">{text}</text>",
            bottom + 18.0
        );
        us += step;
    }
    let x = scale.x(0);
    let _ = write!(
        svg,
        "<line class=\"fault\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
         <text class=\"faultlabel\" x=\"{x:.1}\" y=\"{:.1}\">fault</text>",
        top - 6.0,
        bottom + 18.0
    );
}

/// Writes per slot: promised, acknowledged only, failed (below the line).
fn canary(svg: &mut String, card: &Scorecard, scale: &Scale) {
    let lane = &card.lane;
    let most = lane.slots.iter().map(|slot| slot.acknowledged.max(slot.failed)).max().unwrap_or(0).max(1);
    let middle = TOP + LANE * 0.7;
    let width = (scale.x(lane.from_us + lane.slot_us as i64) - scale.x(lane.from_us)).max(0.5);
    let _ = write!(
        svg,
        "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\">canary</text>\
         <line class=\"base\" x1=\"{LEFT}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\"/>",
        LEFT - 12.0,
        TOP + 24.0,
        WIDTH - RIGHT
    );
    for (index, slot) in lane.slots.iter().enumerate() {
        let x = scale.x(lane.from_us + (lane.slot_us * index as u64) as i64);
        let mut draw = |class: &str, count: u32, y: f64, height: f64| {
            if count > 0 {
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.1}\" width=\"{:.2}\" height=\"{height:.1}\"/>",
                    (width - 0.6).max(0.5)
                );
            }
        };
        let share = |count: u32, room: f64| (f64::from(count) / f64::from(most)).sqrt() * room;
        let up = share(slot.acknowledged, LANE * 0.68);
        draw("acknowledged", slot.acknowledged, middle - up, up);
        let promised = share(slot.promised, LANE * 0.68);
        draw("promised", slot.promised, middle - promised, promised);
        draw("failed", slot.failed, middle + 1.0, share(slot.failed, LANE * 0.28).max(2.0));
    }
}

/// The gap as a bracket over the canary, and the objective counted from its beginning.
fn gap(svg: &mut String, card: &Scorecard, scale: &Scale, bottom: f64) {
    let (Some(length), Some(begin)) = (card.gap_us, card.gap_from_us) else { return };
    let end = begin + length as i64;
    let (x0, x1) = (scale.x(begin), scale.x(end));
    let y = TOP - 12.0;
    let _ = write!(
        svg,
        "<path class=\"bracket\" d=\"M{x0:.1} {:.1}V{y}H{x1:.1}V{:.1}\"/>\
         <text class=\"gap\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        y + 7.0,
        y + 7.0,
        (x0 + x1) / 2.0,
        y - 8.0,
        figure(length)
    );
    if let Some(slo) = card.slo_gap_ms {
        let moment = begin + (slo * 1000) as i64;
        if (moment as f64) <= scale.to {
            let x = scale.x(moment);
            let _ = write!(
                svg,
                "<line class=\"slo\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
                 <text class=\"slolabel\" x=\"{:.1}\" y=\"{:.1}\">SLO {}</text>",
                TOP - 4.0,
                x + 5.0,
                TOP + 2.0,
                figure(slo * 1000)
            );
        } else {
            let _ = write!(
                svg,
                "<text class=\"slolabel beyond\" x=\"{:.1}\" y=\"{:.1}\">SLO {} \u{2192}</text>",
                WIDTH - RIGHT,
                TOP - 20.0,
                figure(slo * 1000)
            );
        }
    }
}
