//! The progress of the demo on stderr: bars on a terminal, else a line every two seconds.

use std::{
    io::IsTerminal,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use intercom_simulator::Simulator;
use shared::{completeness::SyncStatus, domain::Stream};

use super::floor::Sizes;

const LINE_EVERY: Duration = Duration::from_secs(2);
const BAR_EVERY: Duration = Duration::from_millis(120);

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

async fn show_bars(progress: &DemoProgress, goal: Sizes, simulator: &Simulator) {
    let all = MultiProgress::new();
    let style =
        ProgressStyle::with_template("{prefix:>13} {bar:32.cyan/blue} {pos:>6}/{len:<6} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = |name: &'static str, length: u64| {
        let bar = all
            .add(ProgressBar::new(length))
            .with_style(style.clone())
            .with_prefix(name);
        Cleared(bar)
    };
    let tenants = bar("tenants", lock(&progress.tenants).len() as u64);
    let contacts = bar("contacts", goal.contacts);
    let companies = bar("companies", goal.companies);
    let conversations = bar("conversations", goal.conversations);
    let threads = bar("threads", goal.conversations);
    loop {
        let (held, done) = progress.total();
        tenants.0.set_position(done);
        tenants.0.set_message(format!(
            "{} calls, {:.1} s",
            simulator.ledger().total,
            progress.started.elapsed().as_secs_f64()
        ));
        contacts.0.set_position(held.contacts);
        companies.0.set_position(held.companies);
        conversations.0.set_position(held.conversations);
        threads.0.set_position(held.threads);
        tokio::time::sleep(BAR_EVERY).await;
    }
}

/// A bar that leaves the terminal when the work is done.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
