//! What is seen while a drill runs: a line per turn of events on stderr, and on a terminal a clock under
//! them that keeps moving.

use crate::daemon::drill::Progress;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const TICK: Duration = Duration::from_millis(100);

/// Tells until the sender is gone.
pub(super) async fn tell(title: String, mut lines: mpsc::UnboundedReceiver<Progress>) {
    let live = std::io::stderr().is_terminal();
    let began = Instant::now();
    let mut tick = tokio::time::interval(TICK);
    let mut doing = String::from("starting");
    loop {
        tokio::select! {
            line = lines.recv() => {
                wipe(live);
                let Some(Progress { at, text }) = line else { return };
                say(&format!("{title}  {:>8.3} s  {text}\n", at.as_secs_f64()));
                doing = text;
            }
            _ = tick.tick(), if live => {
                wipe(live);
                let doing: String = doing.chars().take(48).collect();
                say(&format!("{title}  {:>6.1} s  \u{2026} {doing}", began.elapsed().as_secs_f64()));
            }
        }
    }
}

/// A line of its own, outside of a drill.
pub(super) fn note(text: &str) {
    say(&format!("{text}\n"));
}

fn wipe(live: bool) {
    if live {
        say("\r\x1b[K");
    }
}

/// Progress is a courtesy: a stderr that is gone is no failure.
fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}
