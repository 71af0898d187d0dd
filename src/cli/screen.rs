//! The live view on a terminal: groups, sentinels, processes and events on one screen.
//!
//! [`draw`] is a function of a [`View`], so a test can look at it without a terminal; [`Screen`] owns
//! the terminal and gives it back as it was, also after a panic.

use super::{events, render};
use crate::model::status::Status;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Row, Table};
use ratatui::{DefaultTerminal, Frame};
use std::io;
use std::time::Duration;

/// Everything that is to be seen.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) title: String,
    pub(super) status: Option<Status>,
    /// Why `status` is missing or old.
    pub(super) trouble: Option<String>,
    /// Processes of a local fleet; empty for a fleet that is only watched.
    pub(super) processes: Vec<ProcessLine>,
    /// What happened to the processes, oldest first, each with its time of the Unix epoch in ms.
    pub(super) notes: Vec<(u64, String)>,
    /// What keys do and what to try, at the foot.
    pub(super) hint: String,
}

#[derive(Clone, Debug)]
pub(super) struct ProcessLine {
    pub(super) name: String,
    pub(super) address: String,
    /// `None`: not running now.
    pub(super) pid: Option<u32>,
    pub(super) restarts: u32,
    pub(super) doing: String,
}

pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Screen { terminal: ratatui::try_init()? })
    }

    pub(super) fn draw(&mut self, view: &View) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame, view)).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Waits at most `wait` for a key; `q`, Escape and Ctrl-C ask to quit. Other input wakes early.
pub(super) fn asked_to_quit(wait: Duration) -> io::Result<bool> {
    if !event::poll(wait)? {
        return Ok(false);
    }
    Ok(match event::read()? {
        Event::Key(key) => {
            matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
                || (key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL))
        }
        _ => false,
    })
}

pub(super) fn draw(frame: &mut Frame, view: &View) {
    let groups = view.status.as_ref().map_or(&[][..], |status| &status.groups);
    let group_rows: usize = groups.iter().map(|group| 3 + 1 + group.replicas.len()).sum();
    let process_rows = if view.processes.is_empty() { 0 } else { view.processes.len() + 2 };
    let hint = if view.hint.is_empty() { "q quits" } else { &view.hint };
    let [title, body, processes, happened, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(u16::try_from(group_rows).unwrap_or(u16::MAX)),
        Constraint::Length(u16::try_from(process_rows).unwrap_or(u16::MAX)),
        Constraint::Fill(1),
        Constraint::Length(hint.lines().count() as u16),
    ])
    .areas(frame.area());

    draw_title(frame, title, view);
    draw_groups(frame, body, view);
    draw_processes(frame, processes, &view.processes);
    draw_happened(frame, happened, view);
    frame.render_widget(Paragraph::new(hint).style(dim()), foot);
}

fn draw_title(frame: &mut Frame, area: Rect, view: &View) {
    let mut spans = vec![
        Span::styled("vedette ", Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(view.title.clone()),
    ];
    if let Some(trouble) = &view.trouble {
        spans.push(Span::styled(format!("  {trouble}"), Style::new().fg(Color::Red)));
    } else if view.status.as_ref().is_some_and(|status| !status.fresh) {
        spans.push(Span::styled("  out of touch with the majority", Style::new().fg(Color::Red)));
    }
    let mut lines = vec![Line::from(spans)];
    if let Some(status) = &view.status {
        lines.push(Line::styled(format!("sentinels  {}", render::sentinels(status)), dim()));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_groups(frame: &mut Frame, area: Rect, view: &View) {
    let Some(status) = &view.status else { return };
    let rows_of = |group: &crate::model::status::GroupStatus| 3 + 1 + group.replicas.len() as u16;
    let areas =
        Layout::vertical(status.groups.iter().map(|group| Constraint::Length(rows_of(group)))).split(area);
    for (group, area) in status.groups.iter().zip(areas.iter()) {
        let colour = match (&group.failover, group.situation.as_str()) {
            (Some(_), _) => Color::Yellow,
            (None, "ok") => Color::Green,
            _ => Color::Red,
        };
        let header = Row::new(render::INSTANCE_COLUMNS).style(dim());
        let cells: Vec<[String; 7]> =
            render::instances(group).map(|instance| render::instance_row(group, instance)).collect();
        let widths = widths(&render::INSTANCE_COLUMNS, &cells);
        let rows = render::instances(group).zip(cells).map(|(instance, cells)| {
            let style =
                match (instance.sdown || !instance.reachable, instance.address == group.master.address) {
                    (true, _) => Style::new().fg(Color::Red),
                    (false, true) => Style::new().add_modifier(Modifier::BOLD),
                    (false, false) => Style::new(),
                };
            Row::new(cells).style(style)
        });
        let title = Line::styled(render::headline(group), Style::new().fg(colour));
        frame.render_widget(Table::new(rows, widths).header(header).block(Block::new().title(title)), *area);
    }
}

fn draw_processes(frame: &mut Frame, area: Rect, processes: &[ProcessLine]) {
    if processes.is_empty() {
        return;
    }
    let rows = processes.iter().map(|process| {
        let pid = process.pid.map_or("-".to_owned(), |pid| pid.to_string());
        let style = if process.pid.is_some() { Style::new() } else { Style::new().fg(Color::Red) };
        let restarts = if process.restarts == 0 { String::new() } else { process.restarts.to_string() };
        Row::new([process.name.clone(), process.address.clone(), pid, restarts, process.doing.clone()])
            .style(style)
    });
    let widths = [12, 22, 10, 9, 30].map(Constraint::Length);
    let header = Row::new(["process", "address", "pid", "restarts", "now"]).style(dim());
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

/// Agreed events and process notes; the newest that fit, at the foot.
fn draw_happened(frame: &mut Frame, area: Rect, view: &View) {
    let mut lines: Vec<(u64, Line)> = Vec::new();
    if let Some(status) = &view.status {
        lines.extend(status.events.iter().map(|event| {
            let style = if events::is_warning(event) { Style::new().fg(Color::Yellow) } else { Style::new() };
            (event.at_ms, Line::styled(events::line(event), style))
        }));
    }
    lines.extend(view.notes.iter().map(|(at_ms, note)| {
        (*at_ms, Line::styled(format!("{}  {note}", events::clock(*at_ms)), Style::new().fg(Color::Cyan)))
    }));
    // Stable: events of one millisecond keep their order.
    lines.sort_by_key(|(at_ms, _)| *at_ms);
    let skip = lines.len().saturating_sub(usize::from(area.height));
    let shown: Vec<Line> = lines.split_off(skip).into_iter().map(|(_, line)| line).collect();
    frame.render_widget(Paragraph::new(shown), area);
}

/// As wide as what stands in them: at 80 columns no address is cut for the sake of empty space.
fn widths<const N: usize>(header: &[&str; N], rows: &[[String; N]]) -> [Constraint; N] {
    std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        let widest = cells.chain([header[column].len()]).max().unwrap_or(0);
        Constraint::Length(u16::try_from(widest).unwrap_or(u16::MAX))
    })
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn seen(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        terminal.backend().to_string()
    }

    fn fleet() -> View {
        View {
            title: "fleet in /tmp/x".into(),
            status: Some(render::tests::healthy()),
            trouble: None,
            processes: vec![ProcessLine {
                name: "server-1".into(),
                address: "127.0.0.1:6379".into(),
                pid: None,
                restarts: 2,
                doing: "restarts in 1 s".into(),
            }],
            notes: vec![(1_700_000_000_042, "server-1 was killed (SIGKILL)".into())],
            hint: "q stops".into(),
        }
    }

    #[test]
    fn one_screen_shows_master_processes_and_what_happened() {
        let text = seen(&fleet(), 110, 24);
        for words in ["mymaster  ok", "127.0.0.1:6380", "server-1", "restarts in 1 s", "was killed (SIGKILL)"]
        {
            assert!(text.contains(words), "{words} is missing in:\n{text}");
        }
        let master = text.lines().find(|line| line.contains("master  127")).unwrap_or_default();
        assert!(master.contains(":6380"), "the master is not on its row:\n{text}");
    }

    #[test]
    fn eighty_columns_hold_every_address() {
        let mut view = fleet();
        view.status.as_mut().unwrap().groups[0].replicas[0].link_up = Some(false);
        let text = seen(&view, 80, 24);
        for words in ["127.0.0.1:6379", "127.0.0.1:6381", "up, not streaming, in sync", "480 ms", "q stops"] {
            assert!(text.contains(words), "{words} is missing in:\n{text}");
        }
    }

    #[test]
    fn the_smallest_terminal_does_not_panic() {
        for (width, height) in [(1, 1), (5, 3), (40, 6), (200, 60)] {
            seen(&fleet(), width, height);
            seen(&View::default(), width, height);
        }
    }
}
