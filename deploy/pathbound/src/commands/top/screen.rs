//! Draws the screen, with the 16 colours that every terminal has. Nothing has a background of its own, so that it reads
//! well on a light terminal and on a dark one.

use api::ops::fleet_views::{OverviewView, PartView, TenantRowView, TenantView};
use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row, StatefulWidget, Table, TableState, Widget, Wrap},
};

use super::{
    reading::Verb,
    state::{Mode, Sort, State},
    words::duration,
};
use crate::output::one_line;

const HEAD: u16 = 5;
const DETAIL: u16 = 6;
const FOOT: u16 = 1;
/// The header of the table.
const TABLE_HEAD: u16 = 1;

/// The colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    coloured: bool,
}

impl Palette {
    /// For a terminal. crossterm leaves colours out if `NO_COLOR` is set (<https://no-color.org>).
    pub(super) const fn of_terminal() -> Self {
        Self { coloured: true }
    }

    pub(super) const fn plain() -> Self {
        Self { coloured: false }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.coloured {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    fn strong() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The colour of a tenant's or the fleet's state. Yellow is unreadable on white.
    fn of_state(self, state: &str) -> Style {
        match state {
            "running" => self.coloured(Color::Green),
            "stopped" | "blocked" | "dead_letter" | "stalled" | "unknown" => {
                self.coloured(Color::Red)
            }
            "paused" | "retrying" => self.coloured(Color::Magenta),
            _ => Style::new(),
        }
    }
}

/// How high a frame with every tenant is.
pub(super) fn full_height(state: &State) -> u16 {
    let rows = u16::try_from(state.rows().len()).unwrap_or(u16::MAX);
    rows.saturating_add(HEAD + TABLE_HEAD + DETAIL + FOOT)
}

/// One frame.
#[derive(Debug)]
pub(super) struct Screen<'s> {
    state: &'s mut State,
    palette: Palette,
}

impl<'s> Screen<'s> {
    pub(super) const fn new(state: &'s mut State, palette: Palette) -> Self {
        Self { state, palette }
    }
}

impl Widget for Screen<'_> {
    fn render(mut self, area: Rect, buffer: &mut Buffer) {
        // A low terminal shows the list before the details.
        let detail = if area.height < HEAD + TABLE_HEAD + DETAIL + FOOT + 3 {
            0
        } else {
            DETAIL
        };
        let [head, list, below, foot] = Layout::vertical([
            Constraint::Length(HEAD),
            Constraint::Min(0),
            Constraint::Length(detail),
            Constraint::Length(FOOT),
        ])
        .areas(area);
        lines(head, buffer, self.head());
        self.list(list, buffer);
        // The last line has a sentence, which may be long.
        Paragraph::new(self.detail())
            .wrap(Wrap { trim: true })
            .render(below, buffer);
        self.foot().render(foot, buffer);
    }
}

impl Screen<'_> {
    fn head(&self) -> Vec<Line<'static>> {
        let state = &*self.state;
        let age = state.read_at.elapsed().as_secs();
        let mode = if state.operate {
            "operate"
        } else {
            "read-only"
        };
        let mut first = vec![
            Span::styled("pathbound top  ", Palette::strong()),
            Span::raw(format!("{}  {mode}  ", state.url)),
        ];
        match &state.fault {
            Some(fault) => first.push(Span::styled(
                format!("numbers are {age} s old: {}", one_line(fault)),
                self.palette.coloured(Color::Red),
            )),
            None => first.push(Span::raw(format!("read {age} s ago"))),
        }
        let mut head = vec![Line::from(first)];
        if let Some(reading) = &state.reading {
            let overview = &reading.overview;
            let style = self.palette.of_state(&overview.state);
            head.push(Line::from(vec![
                Span::styled(overview.state.clone(), style.add_modifier(Modifier::BOLD)),
                Span::raw(format!("  {}", overview.sentence)),
            ]));
            head.push(Line::from(queues(overview)));
            head.push(Line::from(fleet(overview)));
            head.push(self.server_faults(overview));
        }
        head
    }

    /// Which server does not answer, and how old its numbers are. Otherwise the pauses, or nothing.
    fn server_faults(&self, overview: &OverviewView) -> Line<'static> {
        let faults = [
            old("redis", &overview.queue),
            old("postgres", &overview.fleet),
        ];
        let faults: Vec<String> = faults.into_iter().flatten().collect();
        if !faults.is_empty() {
            return Line::styled(faults.join("  "), self.palette.coloured(Color::Red));
        }
        let paused = overview.fleet.data.iter().flat_map(|fleet| &fleet.paused);
        let scopes: Vec<String> = paused.map(|pause| pause.scope.clone()).collect();
        if scopes.is_empty() {
            return Line::default();
        }
        let text = format!("paused: {}", scopes.join(", "));
        Line::styled(text, self.palette.coloured(Color::Magenta))
    }

    fn list(&mut self, area: Rect, buffer: &mut Buffer) {
        let titles = [
            ("tenant", Some(Sort::Name)),
            ("state", Some(Sort::State)),
            ("lag", Some(Sort::Lag)),
            ("backlog", Some(Sort::Backlog)),
            ("due", None),
            ("dead", Some(Sort::DeadLetters)),
            ("slices", None),
            ("reason", None),
        ];
        let header = titles.map(|(title, sort)| {
            let is_order = sort == Some(self.state.sort);
            Cell::new(if is_order {
                format!("{title}▾")
            } else {
                title.to_owned()
            })
        });
        let widths = [
            Constraint::Length(18),
            Constraint::Length(13),
            Constraint::Length(5),
            Constraint::Length(8),
            Constraint::Length(4),
            Constraint::Length(5),
            Constraint::Length(6),
            Constraint::Min(12),
        ];
        let rows = self.state.rows().iter().map(|row| self.row(row));
        let table = Table::new(rows, widths)
            .header(Row::new(header).style(Palette::strong()))
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        let mut table_state = TableState::new()
            .with_offset(self.state.offset)
            .with_selected(Some(self.state.selected));
        StatefulWidget::render(table, area, buffer, &mut table_state);
        self.state.offset = table_state.offset();
    }

    fn row(&self, row: &TenantRowView) -> Row<'static> {
        let lag = row.lag_seconds.map_or_else(|| "never".to_owned(), duration);
        let slices = row.leases.map_or_else(|| "?".to_owned(), |n| n.to_string());
        Row::new([
            Cell::new(one_line(&row.name)),
            Cell::new(row.state.clone()).style(self.palette.of_state(&row.state)),
            Cell::new(lag),
            Cell::new(row.backlog.to_string()),
            Cell::new(row.due.to_string()),
            Cell::new(row.dead_letters.to_string()),
            Cell::new(slices),
            Cell::new(one_line(&row.reason)),
        ])
    }

    /// The tenant that is selected: why it is as it is, its budget, and what is left of its first sync.
    fn detail(&self) -> Vec<Line<'static>> {
        let Some(row) = self.state.row() else {
            return vec![Line::default(), Line::raw("no tenant")];
        };
        let mut detail = vec![
            Line::default(),
            Line::from(vec![
                Span::styled(one_line(&row.name), Palette::strong()),
                Span::raw(format!("  {}", row.id)),
            ]),
        ];
        let selected = self.state.reading.as_ref();
        let selected = selected.and_then(|reading| reading.selected.as_ref());
        if let Some(tenant) = selected.filter(|tenant| tenant.id == row.id) {
            let lines = [budget(tenant), progress(tenant), one_line(&tenant.sentence)];
            detail.extend(lines.map(Line::raw));
        }
        detail
    }

    fn foot(&self) -> Line<'static> {
        let state = &*self.state;
        match &state.mode {
            Mode::Search => Line::raw(format!(
                "search: {}_   Enter keeps it, Esc clears it",
                one_line(&state.search)
            )),
            Mode::Confirm(change) => {
                let mut rows = state.rows().iter();
                let row = rows.find(|row| row.id == change.tenant);
                let name = row.map_or_else(|| change.tenant.to_string(), |row| one_line(&row.name));
                let what = match change.verb {
                    Verb::Pause => format!("pause {name}"),
                    Verb::Resume => format!("resume {name}"),
                    Verb::Retry => format!("retry all dead letters of {name}"),
                };
                Line::styled(
                    format!("{what}? y does it, any other key does not"),
                    Palette::strong(),
                )
            }
            Mode::Select => match &state.notice {
                Some(notice) => Line::styled(one_line(notice), Palette::strong()),
                None => Line::raw(keys(state)),
            },
        }
    }
}

fn keys(state: &State) -> String {
    let acts = if state.operate {
        "  p pause  r resume  t retry"
    } else {
        ""
    };
    let search = if state.search.is_empty() {
        String::new()
    } else {
        format!(": {}", one_line(&state.search))
    };
    // What a person typed may be long, so it is last.
    format!(
        "↑↓ select  s sort ({}){acts}  q quit  / search{search}",
        state.sort.name()
    )
}

fn queues(overview: &OverviewView) -> String {
    let Some(queue) = &overview.queue.data else {
        return "queues: never read".to_owned();
    };
    let classes = [
        ("fresh", queue.classes.fresh),
        ("backfill", queue.classes.backfill),
    ];
    let class = classes.map(|(name, class)| {
        let oldest = class
            .oldest_ready_age_seconds
            .map_or_else(String::new, |age| format!(" (oldest {age:.1}s)"));
        format!(
            "{name}: {} ready{oldest}, {} leased, {} parked",
            class.ready, class.leased, class.parked
        )
    });
    class.join("   ")
}

fn fleet(overview: &OverviewView) -> String {
    let mut parts = Vec::new();
    if let Some(queue) = &overview.queue.data {
        let sum = |of: fn(&api::ops::fleet_views::WorkerView) -> usize| -> usize {
            queue.workers.iter().map(of).sum()
        };
        let (busy, slots) = (sum(|worker| worker.busy), sum(|worker| worker.slots));
        parts.push(format!(
            "workers: {} ({busy} of {slots} slots busy)",
            queue.workers.len()
        ));
    }
    if let Some(fleet) = &overview.fleet.data {
        parts.push(format!("tenants: {}", fleet.tenants));
        parts.push(format!("dead: {}", fleet.dead_letters));
        parts.push(format!("unticketed: {}", fleet.unticketed));
    }
    parts.join("   ")
}

fn old<T>(server: &str, part: &PartView<T>) -> Option<String> {
    let fault = part.fault.as_ref()?;
    let age = part
        .age_seconds
        .map_or_else(|| "never read".to_owned(), |age| format!("{age:.0} s old"));
    Some(format!("{server}: {}, numbers {age}", one_line(fault)))
}

/// The rate budget of each connection.
fn budget(tenant: &TenantView) -> String {
    let budgets = tenant.connections.iter().filter_map(|connection| {
        let rate = connection.rate.as_ref()?;
        Some(format!(
            "{} of {} calls in this window of {} s, {} left of our share of {:.0} %",
            rate.used,
            rate.limit,
            rate.window_seconds,
            rate.calls_left,
            rate.share * 100.0
        ))
    });
    let budgets: Vec<String> = budgets.collect();
    if budgets.is_empty() {
        return "rate: no call for a while".to_owned();
    }
    format!("rate: {}", budgets.join("; "))
}

/// Threads to be fetched, and how long that takes.
fn progress(tenant: &TenantView) -> String {
    let parts = tenant.connections.iter().map(|connection| {
        let eta = connection
            .eta_seconds
            .and_then(|seconds| i64::try_from(seconds).ok())
            .map_or_else(String::new, |seconds| {
                format!(", {} left", duration(seconds))
            });
        let threads = connection.threads;
        format!(
            "{}: {} threads stored, {} pending{eta}",
            connection.workspace_id,
            threads.complete + threads.truncated,
            threads.pending
        )
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn lines(area: Rect, buffer: &mut Buffer, lines: Vec<Line<'static>>) {
    for (line, row) in lines.into_iter().zip(area.rows()) {
        line.render(row, buffer);
    }
}
