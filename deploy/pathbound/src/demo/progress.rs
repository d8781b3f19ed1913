//! The progress of the demo on stderr: bars on a terminal, else a line every two seconds.

use std::{
    io::IsTerminal,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use intercom_simulator::Simulator;
use shared::{completeness::SyncStatus, domain::Stream};

use super::floor::Sizes;

const LINE_EVERY: Duration = Duration::from_secs(2);
const BAR_EVERY: Duration = Duration::from_millis(120);
/// All bars are drawn together.
const DRAWINGS_A_SECOND: u8 = 5;

/// Objects stored for one tenant.
#[derive(Clone, Copy, Debug, Default)]
struct TenantCounts {
    contacts: u64,
    companies: u64,
    conversations: u64,
    threads: u64,
    done: bool,
}

/// The tenants' progress. Clones are the same.
#[derive(Clone, Debug)]
pub struct DemoProgress {
    started: Instant,
    tenants: Arc<Mutex<Vec<TenantCounts>>>,
    first_row: Arc<Mutex<Option<Duration>>>,
}

impl DemoProgress {
    /// Progress of this many tenants. Times count from `started`.
    #[must_use]
    pub fn new(started: Instant, tenants: usize) -> Self {
        Self {
            started,
            tenants: Arc::new(Mutex::new(vec![TenantCounts::default(); tenants])),
            first_row: Arc::default(),
        }
    }

    /// Records the sync status of a tenant.
    pub(super) fn note(&self, tenant: usize, status: &SyncStatus) {
        let held = |stream: Stream| {
            let found = status.streams.iter().find(|status| status.stream == stream);
            found.map_or(0, |status| u64::try_from(status.held).unwrap_or(0))
        };
        let threads = &status.threads;
        let mut tenants = lock(&self.tenants);
        // `done` is set by the end of the run alone.
        tenants[tenant] = TenantCounts {
            contacts: held(Stream::Contacts),
            companies: held(Stream::Companies),
            conversations: held(Stream::Conversations),
            threads: u64::try_from(
                threads.complete + threads.truncated + threads.gone + threads.blocked,
            )
            .unwrap_or(0),
            done: tenants[tenant].done,
        };
        let TenantCounts {
            contacts,
            companies,
            conversations,
            ..
        } = tenants[tenant];
        if contacts + companies + conversations > 0 {
            lock(&self.first_row).get_or_insert_with(|| self.started.elapsed());
        }
    }

    pub(super) fn done(&self, tenant: usize) {
        lock(&self.tenants)[tenant].done = true;
    }

    /// When the first contact, company or conversation was seen in Postgres.
    #[must_use]
    pub fn first_row(&self) -> Option<Duration> {
        *lock(&self.first_row)
    }

    fn total(&self) -> (TenantCounts, u64) {
        let (mut sum, mut done) = (TenantCounts::default(), 0);
        for held in lock(&self.tenants).iter() {
            sum.contacts += held.contacts;
            sum.companies += held.companies;
            sum.conversations += held.conversations;
            sum.threads += held.threads;
            done += u64::from(held.done);
        }
        (sum, done)
    }
}

/// Shows progress until the future is dropped. Run it beside the work.
pub(super) async fn show(progress: DemoProgress, goal: Sizes, simulator: Simulator, bars: bool) {
    if bars && std::io::stderr().is_terminal() {
        show_bars(&progress, goal, &simulator).await;
    } else {
        show_lines(&progress, goal, &simulator).await;
    }
}

async fn show_lines(progress: &DemoProgress, goal: Sizes, simulator: &Simulator) {
    loop {
        tokio::time::sleep(LINE_EVERY).await;
        let (held, done) = progress.total();
        let tenants = lock(&progress.tenants).len();
        eprintln!(
            "{:5.1} s: {done}/{tenants} tenants done; contacts {}/{}, companies {}/{}, conversations {}/{}, threads {}/{}; {} calls",
            progress.started.elapsed().as_secs_f64(),
            held.contacts,
            goal.contacts,
            held.companies,
            goal.companies,
            held.conversations,
            goal.conversations,
            held.threads,
            goal.conversations,
            simulator.ledger().total,
        );
    }
}

/// What runs, for a person who has just started it.
pub(super) fn introduce(tenants: usize) {
    if std::io::stderr().is_terminal() {
        eprintln!(
            "{}",
            style(format!("Pathbound with {tenants} simulated workspaces"))
                .for_stderr()
                .bold()
        );
        eprintln!("Everything runs on this machine, and Ctrl-C removes it.\n");
    }
}

/// A stage and its bar.
struct Stage {
    bar: ProgressBar,
    ended: Option<Duration>,
}

impl Stage {
    fn new(all: &MultiProgress, name: &'static str, length: u64) -> Self {
        // Of 80 columns.
        let style = ProgressStyle::with_template(
            "{prefix:>13} {bar:30.green/dim} {pos:>6} of {len:<6} {msg}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(length).with_style(style).with_prefix(name);
        Self {
            bar: all.add(bar),
            ended: None,
        }
    }

    /// A stage says when it was at its end.
    fn show(&mut self, position: u64, now: Duration) {
        self.bar.set_position(position);
        if position >= self.bar.length().unwrap_or_default() {
            let ended = *self.ended.get_or_insert(now);
            self.bar.set_message(seconds(ended));
        } else {
            self.ended = None;
            self.bar.set_message("");
        }
    }
}

/// All bars. They stay above the summary.
struct Bars {
    progress: DemoProgress,
    simulator: Simulator,
    first_row: ProgressBar,
    stages: [Stage; 5],
}

impl Bars {
    fn new(progress: &DemoProgress, goal: Sizes, simulator: &Simulator) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWINGS_A_SECOND);
        let all = MultiProgress::with_draw_target(target);
        let line = ProgressStyle::with_template("{prefix:>13} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let first_row = ProgressBar::new(0).with_style(line);
        let first_row = all.add(first_row.with_prefix("first row"));
        let tenants = lock(&progress.tenants).len() as u64;
        let stages = [
            ("contacts", goal.contacts),
            ("companies", goal.companies),
            ("conversations", goal.conversations),
            ("threads", goal.conversations),
            ("tenants exact", tenants),
        ];
        Self {
            progress: progress.clone(),
            simulator: simulator.clone(),
            first_row,
            stages: stages.map(|(name, length)| Stage::new(&all, name, length)),
        }
    }

    fn draw(&mut self) {
        let now = self.progress.started.elapsed();
        let calls = self.simulator.ledger().total;
        self.first_row.set_message(match self.progress.first_row() {
            Some(at) => format!("after {}, {calls} calls to Intercom by now", seconds(at)),
            None => format!("none after {}", seconds(now)),
        });
        let (held, done) = self.progress.total();
        let positions = [
            held.contacts,
            held.companies,
            held.conversations,
            held.threads,
            done,
        ];
        for (stage, position) in self.stages.iter_mut().zip(positions) {
            stage.show(position, now);
        }
    }
}

impl Drop for Bars {
    /// The work ends between two drawings.
    fn drop(&mut self) {
        self.draw();
        self.first_row.abandon();
        self.stages.iter().for_each(|stage| stage.bar.abandon());
    }
}

async fn show_bars(progress: &DemoProgress, goal: Sizes, simulator: &Simulator) {
    let mut bars = Bars::new(progress, goal, simulator);
    loop {
        bars.draw();
        tokio::time::sleep(BAR_EVERY).await;
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
