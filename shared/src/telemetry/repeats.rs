//! Failures that come again and again, such as those of a loop while a server is away. The first one is logged at once.
//! Equal ones are counted, and one line in a minute says how many there were. The end is logged once.
//!
//! The code that fails asks here whether to log. A layer below all lines could leave out what is equal, but it cannot know
//! that a failure has ended, and it would take two slices that are refused alike for one failure.

use std::{
    collections::{HashMap, VecDeque},
    error::Error,
    hash::Hash,
    time::{Duration, Instant},
};

use chrono::{DateTime, SecondsFormat, Utc};
use parking_lot::Mutex;

/// Between two lines about equal failures. An outage then shows in any minute of the log, and the lines of an hour can be
/// read at a glance.
const INTERVAL: Duration = Duration::from_mins(1);
/// Different failures of one piece of work that are known apart. A server that is away has two or three.
const MAX_KINDS: usize = 16;
/// Things whose failures are known apart. The one that has failed least recently is forgotten first, and its next failure
/// is logged as a first one.
const MAX_THINGS: usize = 512;

/// The failures of one piece of work, such as a tick.
#[derive(Debug, Default)]
pub struct Repeats(Mutex<Trouble>);

impl Repeats {
    /// Nothing has failed.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Trouble::new()))
    }

    /// Counts a failure. Returns what its line says, if it is to be logged now.
    #[must_use]
    pub fn failed(&self, error: &dyn Error) -> Option<Line> {
        self.failed_as(chain(error))
    }

    /// The same for a failure that is known by this text. Another text is another failure.
    #[must_use]
    pub fn failed_as(&self, text: impl Into<String>) -> Option<Line> {
        self.0.lock().failed(text.into(), Moment::now())
    }

    /// The work succeeds. Returns what the line about the end of its failures says, if it is to be logged now.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.0.lock().ended(Moment::now())
    }
}

/// The failures of several things, such as tenants or streams, each for itself.
#[derive(Debug)]
pub struct RepeatsOf<K>(Mutex<HashMap<K, Trouble>>);

impl<K> Default for RepeatsOf<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash> RepeatsOf<K> {
    /// As [`Repeats::failed`].
    #[must_use]
    pub fn failed(&self, thing: K, error: &dyn Error) -> Option<Line> {
        self.failed_as(thing, chain(error))
    }

    /// As [`Repeats::failed_as`].
    #[must_use]
    pub fn failed_as(&self, thing: K, text: impl Into<String>) -> Option<Line> {
        self.failed_at(thing, text.into(), Moment::now())
    }

    /// As [`Repeats::ended`].
    #[must_use]
    pub fn ended(&self, thing: K) -> Option<Ended> {
        self.0.lock().get_mut(&thing)?.ended(Moment::now())
    }

    fn failed_at(&self, thing: K, text: String, now: Moment) -> Option<Line> {
        let mut troubles = self.0.lock();
        if troubles.len() >= MAX_THINGS && !troubles.contains_key(&thing) {
            let quietest = troubles.iter().min_by_key(|(_, trouble)| trouble.failed_at);
            let quietest = quietest.map(|(thing, _)| *thing);
            quietest.and_then(|thing| troubles.remove(&thing));
        }
        troubles.entry(thing).or_default().failed(text, now)
    }
}

/// What a line about a failure says beside its text. Both are `None` for a first one.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// How often it has come since the last line about it.
    pub repeated: Option<u64>,
    /// When that line was written.
    pub since: Option<String>,
}

/// What the line about the end of failures says.
#[derive(Debug, PartialEq)]
pub struct Ended {
    /// All failures, of whatever text.
    pub failures: u64,
    /// From the first failure to the first success after the last one.
    pub lasted_seconds: f64,
}

/// Writes the line about a failure, if there is one: its [`Line`], the level, the fields, and the message.
#[macro_export]
macro_rules! log_failure {
    ($line:expr, $level:ident, { $($fields:tt)+ }, $($message:tt)+) => {
        // In the module of the caller, so that a filter finds it there.
        if let Some(line) = $line {
            tracing::$level!($($fields)+, repeated = line.repeated, since = line.since, $($message)+);
        }
    };
}

/// Writes the line about the end of failures, if there is one: its [`Ended`], fields if it has any, and the message.
#[macro_export]
macro_rules! log_end {
    ($ended:expr, { $($fields:tt)+ }, $($message:tt)+) => {
        if let Some(ended) = $ended {
            tracing::info!(
                $($fields)+, failures = ended.failures, lasted_seconds = ended.lasted_seconds, $($message)+
            );
        }
    };
    ($ended:expr, $($message:tt)+) => {
        if let Some(ended) = $ended {
            tracing::info!(failures = ended.failures, lasted_seconds = ended.lasted_seconds, $($message)+);
        }
    };
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    clock: DateTime<Utc>,
}

impl Moment {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            clock: Utc::now(),
        }
    }

    fn is_soon_after(self, earlier: Instant) -> bool {
        self.at.saturating_duration_since(earlier) < INTERVAL
    }
}

#[derive(Debug, Default)]
struct Trouble {
    /// Failures whose end was not told.
    open: Option<Open>,
    /// The oldest first.
    kinds: VecDeque<Kind>,
    failed_at: Option<Instant>,
    end_logged_at: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    failures: u64,
    /// The first success after the last failure.
    over_at: Option<Instant>,
}

/// Failures of one text.
#[derive(Debug)]
struct Kind {
    text: String,
    logged: Moment,
    unlogged: u64,
}

impl Trouble {
    const fn new() -> Self {
        Self {
            open: None,
            kinds: VecDeque::new(),
            failed_at: None,
            end_logged_at: None,
        }
    }

    fn failed(&mut self, text: String, now: Moment) -> Option<Line> {
        self.failed_at = Some(now.at);
        let open = self.open.get_or_insert(Open {
            since: now.at,
            failures: 0,
            over_at: None,
        });
        open.failures += 1;
        open.over_at = None;
        let Some(kind) = self.kinds.iter_mut().find(|kind| kind.text == text) else {
            if self.kinds.len() >= MAX_KINDS {
                self.kinds.pop_front();
            }
            self.kinds.push_back(Kind {
                text,
                logged: now,
                unlogged: 0,
            });
            return Some(Line {
                repeated: None,
                since: None,
            });
        };
        kind.unlogged += 1;
        if now.is_soon_after(kind.logged.at) {
            return None;
        }
        let repeated = std::mem::take(&mut kind.unlogged);
        let last = std::mem::replace(&mut kind.logged, now);
        Some(Line {
            repeated: Some(repeated),
            since: Some(last.clock.to_rfc3339_opts(SecondsFormat::Secs, true)),
        })
    }

    /// Work that fails and succeeds in turn is one trouble. Otherwise it would log more than without this.
    fn ended(&mut self, now: Moment) -> Option<Ended> {
        let open = self.open.as_mut()?;
        let over_at = *open.over_at.get_or_insert(now.at);
        if self.end_logged_at.is_some_and(|at| now.is_soon_after(at)) {
            return None;
        }
        let ended = Ended {
            failures: open.failures,
            lasted_seconds: (over_at - open.since).as_secs_f64(),
        };
        self.open = None;
        // The next failure is a first one.
        self.kinds.clear();
        self.end_logged_at = Some(now.at);
        Some(ended)
    }
}

#[cfg(test)]
mod tests;
