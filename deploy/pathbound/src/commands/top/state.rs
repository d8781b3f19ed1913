//! What the screen shows, and what keys do.

use std::{
    cmp::{Ordering, Reverse},
    time::Instant,
};

use api::ops::fleet_views::TenantRowView;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use shared::domain::TenantId;

use super::reading::{Change, News, Question, TopReading, Verb};

/// The order of tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Lag,
    Name,
    State,
    Backlog,
    DeadLetters,
}

impl Sort {
    pub(super) const ALL: [Self; 5] = [
        Self::Lag,
        Self::Name,
        Self::State,
        Self::Backlog,
        Self::DeadLetters,
    ];

    /// As the header of its column names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lag => "lag",
            Self::Name => "name",
            Self::State => "state",
            Self::Backlog => "backlog",
            Self::DeadLetters => "dead",
        }
    }

    fn next(self) -> Self {
        let place = Self::ALL.iter().position(|sort| *sort == self);
        Self::ALL[place.map_or(0, |place| (place + 1) % Self::ALL.len())]
    }

    fn compare(self, a: &TenantRowView, b: &TenantRowView) -> Ordering {
        let by_name = || a.name.cmp(&b.name).then(a.id.cmp(&b.id));
        let first = match self {
            // One that was never read to the end is the furthest behind.
            Self::Lag => {
                let lag = |row: &TenantRowView| Reverse(row.lag_seconds.unwrap_or(i64::MAX));
                lag(a).cmp(&lag(b))
            }
            Self::Name => Ordering::Equal,
            Self::State => a.state.cmp(&b.state),
            Self::Backlog => b.backlog.cmp(&a.backlog),
            Self::DeadLetters => b.dead_letters.cmp(&a.dead_letters),
        };
        first.then_with(by_name)
    }
}

/// What keys mean now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Select,
    Search,
    /// Asks whether to do it.
    Confirm(Change),
}

/// What a key has to do beside changing what is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Quit,
    Change(Change),
}

/// Everything that is shown.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) url: String,
    pub(super) operate: bool,
    pub(super) reading: Option<TopReading>,
    /// When the numbers were read.
    pub(super) read_at: Instant,
    /// Why the last attempt failed.
    pub(super) fault: Option<String>,
    pub(super) sort: Sort,
    pub(super) search: String,
    pub(super) mode: Mode,
    /// The row.
    pub(super) selected: usize,
    /// The first row that is on the screen.
    pub(super) offset: usize,
    /// What became of a change.
    pub(super) notice: Option<String>,
}

impl State {
    pub(super) fn new(url: &str, operate: bool) -> Self {
        Self {
            url: url.to_owned(),
            operate,
            reading: None,
            read_at: Instant::now(),
            fault: None,
            sort: Sort::Lag,
            search: String::new(),
            mode: Mode::Select,
            selected: 0,
            offset: 0,
            notice: None,
        }
    }

    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Reading(Ok(reading)) => self.take_reading(*reading),
            // The last numbers stay.
            News::Reading(Err(failure)) => self.fault = Some(failure.line()),
            News::Changed(changed) => {
                self.notice = Some(changed.unwrap_or_else(|failure| failure.line()));
            }
        }
    }

    fn take_reading(&mut self, reading: TopReading) {
        let before = self.row().map(|row| row.id);
        self.reading = Some(reading);
        self.read_at = Instant::now();
        self.fault = None;
        self.order();
        self.select(before);
    }

    /// The same tenant stays selected, wherever it is now.
    fn select(&mut self, tenant: Option<TenantId>) {
        let rows = self.rows();
        let place = rows.iter().position(|row| Some(row.id) == tenant);
        let last = rows.len().saturating_sub(1);
        self.selected = place.unwrap_or(self.selected).min(last);
    }

    pub(super) fn rows(&self) -> &[TenantRowView] {
        self.reading
            .as_ref()
            .map_or(&[], |reading| &reading.tenants)
    }

    /// The tenant that is selected.
    pub(super) fn row(&self) -> Option<&TenantRowView> {
        self.rows().get(self.selected)
    }

    pub(super) fn question(&self) -> Question {
        Question {
            search: self.search.clone(),
            selected: self.row().map(|row| row.id),
        }
    }

    fn order(&mut self) {
        let sort = self.sort;
        if let Some(reading) = &mut self.reading {
            reading.tenants.sort_by(|a, b| sort.compare(a, b));
        }
    }

    /// What a key does. A new size of the terminal only draws anew.
    pub(super) fn press(&mut self, event: &Event) -> Effect {
        let Event::Key(key) = event else {
            return Effect::None;
        };
        if key.kind == KeyEventKind::Release {
            return Effect::None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Effect::Quit;
        }
        self.notice = None;
        match self.mode {
            Mode::Select => self.press_selecting(*key),
            Mode::Search => self.press_searching(*key),
            Mode::Confirm(change) => {
                self.mode = Mode::Select;
                match key.code {
                    KeyCode::Char('y') => Effect::Change(change),
                    _ => Effect::None,
                }
            }
        }
    }

    fn press_selecting(&mut self, key: KeyEvent) -> Effect {
        let last = self.rows().len().saturating_sub(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Effect::Quit,
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected = (self.selected + 10).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(10),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            KeyCode::Char('s') => {
                let selected = self.row().map(|row| row.id);
                self.sort = self.sort.next();
                self.order();
                self.select(selected);
            }
            KeyCode::Char('/') => self.mode = Mode::Search,
            KeyCode::Char('p') => self.confirm(Verb::Pause),
            KeyCode::Char('r') => self.confirm(Verb::Resume),
            KeyCode::Char('t') => self.confirm(Verb::Retry),
            _ => {}
        }
        Effect::None
    }

    fn press_searching(&mut self, key: KeyEvent) -> Effect {
        match key.code {
            KeyCode::Enter => self.mode = Mode::Select,
            KeyCode::Esc => {
                self.search.clear();
                self.mode = Mode::Select;
            }
            KeyCode::Backspace => {
                self.search.pop();
            }
            KeyCode::Char(letter) => self.search.push(letter),
            _ => {}
        }
        Effect::None
    }

    /// Asks before it changes something.
    fn confirm(&mut self, verb: Verb) {
        if !self.operate {
            self.notice = Some("read-only, so start it with --operate to act".to_owned());
        } else if let Some(row) = self.row() {
            self.mode = Mode::Confirm(Change {
                verb,
                tenant: row.id,
            });
        }
    }
}
