//! LATENCY: the history of what was slow, in figures, as a graph and as advice.

use super::super::Server;
use super::super::latency::Series;
use crate::commands::CommandError;
use crate::resp::Writer;
use crate::session::Session;
use crate::session::client::{help, unknown_subcommand};
use crate::stdx::time::Now;
use std::fmt::Write;

type Done = Result<(), CommandError>;

const OFF: &str = "Nothing is noted: latency-monitor-threshold is 0. Turn it on with CONFIG SET latency-monitor-threshold <milliseconds>.\n";
const NOTHING: &str =
    "Nothing took as long as latency-monitor-threshold since it was set, or since LATENCY RESET.\n";
const GRAPH_COLUMNS: usize = 80;
const GRAPH_ROWS: u64 = 4;

pub(super) fn latency(
    server: &mut Server,
    _: &mut Session,
    now: Now,
    argv: &[&[u8]],
    out: &mut Writer<'_>,
) -> Done {
    let arity = |fits: bool, name: &str| {
        if fits { Ok(()) } else { Err(CommandError::Arity(format!("latency|{name}"))) }
    };
    match argv[1].to_ascii_lowercase().as_slice() {
        b"latest" => {
            arity(argv.len() == 2, "latest")?;
            out.array(server.latency.events.len());
            for (name, series) in &server.latency.events {
                let (second, ms) = series.samples.back().copied().unwrap_or_default();
                out.array(4);
                out.bulk(name.as_bytes());
                [second, ms, series.max_ms].into_iter().for_each(|value| out.integer(value as i64));
            }
        }
        b"history" => {
            arity(argv.len() == 3, "history")?;
            let samples = find(server, argv[2]).map(|(_, series)| &series.samples);
            out.array(samples.map_or(0, |samples| samples.len()));
            for (second, ms) in samples.into_iter().flatten() {
                out.array(2);
                out.integer(*second as i64);
                out.integer(*ms as i64);
            }
        }
        b"graph" => {
            arity(argv.len() == 3, "graph")?;
            let (name, series) = find(server, argv[2]).ok_or_else(|| {
                CommandError::Text(format!(
                    "ERR No samples available for event '{}'",
                    String::from_utf8_lossy(argv[2])
                ))
            })?;
            out.verbatim("txt", &graph(name, series, now));
        }
        b"doctor" => {
            arity(argv.len() == 2, "doctor")?;
            let text = if server.config.latency.threshold_ms == 0 {
                OFF.to_owned()
            } else if server.latency.events.is_empty() {
                NOTHING.to_owned()
            } else {
                diagnosis(server)
            };
            out.verbatim("txt", &text);
        }
        b"reset" => {
            let before = server.latency.events.len();
            if argv.len() == 2 {
                server.latency.events.clear();
            } else {
                let named =
                    |name: &str| argv[2..].iter().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
                server.latency.events.retain(|name, _| !named(name));
            }
            out.integer((before - server.latency.events.len()) as i64);
        }
        b"histogram" => histogram(server, &argv[2..], out),
        b"help" => help(
            out,
            &[
                "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                "DOCTOR",
                "    Return a human readable latency analysis report.",
                "GRAPH <event>",
                "    Return an ASCII latency graph for the <event> class.",
                "HISTORY <event>",
                "    Return time-latency samples for the <event> class.",
                "LATEST",
                "    Return the latest latency samples for all events.",
                "RESET [<event> ...]",
                "    Reset latency data of one or more <event> classes.",
                "    (default: reset all data for all event classes)",
                "HISTOGRAM [COMMAND ...]",
                "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
                "    If no commands are specified then all histograms are replied.",
                "HELP",
                "    Prints this help.",
            ],
        ),
        _ => return Err(unknown_subcommand("latency", argv).into()),
    }
    Ok(())
}

fn find<'a>(server: &'a Server, name: &[u8]) -> Option<(&'static str, &'a Series)> {
    let found = server.latency.events.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
    found.map(|(name, series)| (*name, series))
}

fn histogram(server: &Server, names: &[&[u8]], out: &mut Writer<'_>) {
    let ids: Vec<usize> = if names.is_empty() {
        (0..server.table.slots()).collect()
    } else {
        names.iter().flat_map(|name| server.table.slots_named(&String::from_utf8_lossy(name))).collect()
    };
    let shown: Vec<_> =
        ids.into_iter().filter_map(|id| Some((id, server.latency.histogram_of(id)?))).collect();
    out.map(shown.len());
    for (id, histogram) in shown {
        out.bulk(server.table.name_of(id).as_bytes());
        out.map(2);
        out.bulk(b"calls");
        out.integer(histogram.total as i64);
        out.bulk(b"histogram_usec");
        let bounds = histogram.doubling();
        out.map(bounds.len());
        for (bound, count) in bounds {
            out.integer(bound as i64);
            out.integer(count as i64);
        }
    }
}

/// Columns of bars, the newest to the right, and how long ago each was written below it downwards.
fn graph(name: &str, series: &Series, now: Now) -> String {
    let skip = series.samples.len().saturating_sub(GRAPH_COLUMNS);
    let shown: Vec<(u64, u64)> = series.samples.iter().skip(skip).copied().collect();
    let (low, high) = shown.iter().fold((u64::MAX, 0), |(low, high), (_, ms)| (low.min(*ms), high.max(*ms)));
    let mut text = format!("{name} - high {high} ms, low {low} ms (all time high {} ms)\n", series.max_ms);
    text.push_str(&"-".repeat(GRAPH_COLUMNS));
    text.push('\n');
    let height = |ms: u64| (ms - low) * (GRAPH_ROWS * 2) / (high - low).max(1);
    for row in (0..GRAPH_ROWS).rev() {
        for (_, ms) in &shown {
            let above = height(*ms).saturating_sub(row * 2);
            text.push(match above {
                0 => {
                    if row == 0 {
                        '_'
                    } else {
                        ' '
                    }
                }
                1 => 'o',
                _ => {
                    if above == 2 || row + 1 == GRAPH_ROWS {
                        '#'
                    } else {
                        '|'
                    }
                }
            });
        }
        text.push('\n');
    }
    text.push('\n');
    let labels: Vec<Vec<char>> = shown
        .iter()
        .map(|(second, _)| {
            let ago = (now.wall.as_millis() / 1000).saturating_sub(*second);
            let label = match ago {
                0..60 => format!("{ago}s"),
                60..3600 => format!("{}m", ago / 60),
                3600..86_400 => format!("{}h", ago / 3600),
                _ => format!("{}d", ago / 86_400),
            };
            label.chars().collect()
        })
        .collect();
    for row in 0..labels.iter().map(Vec::len).max().unwrap_or(0) {
        text.extend(labels.iter().map(|label| label.get(row).copied().unwrap_or(' ')));
        text.push('\n');
    }
    text
}

fn diagnosis(server: &Server) -> String {
    let mut text = "Some things took longer than latency-monitor-threshold:\n\n".to_owned();
    for (index, (name, series)) in server.latency.events.iter().enumerate() {
        let count = series.samples.len() as u64;
        let sum: u64 = series.samples.iter().map(|(_, ms)| ms).sum();
        let mean = sum / count.max(1);
        let deviation = series.samples.iter().map(|(_, ms)| ms.abs_diff(mean)).sum::<u64>() / count.max(1);
        let span = match (series.samples.front(), series.samples.back()) {
            (Some((first, _)), Some((last, _))) => last - first,
            _ => 0,
        };
        let _ = writeln!(
            text,
            "{}. {name}: {count} latency spikes (average {mean}ms, mean deviation {deviation}ms, period {:.2} sec). Worst all time event {}ms.",
            index + 1,
            span as f64 / count.max(1) as f64,
            series.max_ms
        );
    }
    text.push_str(
        "\nWhat helps: SLOWLOG GET names the commands; those that walk whole collections (KEYS, SMEMBERS, LRANGE 0 -1, SORT) are better asked in parts (SCAN and its kin); a script may be too long; large collections are better split.\n",
    );
    text
}
