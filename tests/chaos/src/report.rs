//! Which faults were planned, injected and hit, what they did, and whether all is well.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{
    ending::{self, BOUND, Ending, Rest, SCROLL},
    faults::{Broken, Count},
    judge::Verdict,
    world::World,
};

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    ok: bool,
    seed: u64,
    seconds: u64,
    tenants: usize,
    faults: Vec<Count>,
    worker_kills: u64,
    redis_deaths: u64,
    postgres_restarts: u64,
    /// Records missing or different, and records extra, miscounted, or written by a process that no longer might.
    lost: u64,
    doubled: u64,
    /// Processes that ended, and were not told to.
    died: usize,
    figures: BTreeMap<&'static str, f64>,
    changes: BTreeMap<String, u64>,
    ending: Ending,
    rest: Rest,
    history: Verdict,
    /// Everything that is off, in words. Empty: all is well.
    wrong: Vec<String>,
}

impl Report {
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument for each step of the run"
    )]
    pub(crate) fn new(
        seed: u64,
        time: Duration,
        broken: &Broken,
        changes: BTreeMap<String, u64>,
        ending: Ending,
        rest: Rest,
        history: Verdict,
        world: &World,
    ) -> Self {
        let hits = |part: &str| {
            broken
                .counts
                .iter()
                .filter(|count| count.kind.to_string().starts_with(part))
                .map(|count| count.hit)
                .sum()
        };
        let mut report = Self {
            ok: false,
            seed,
            seconds: time.as_secs(),
            tenants: world.tenants.len(),
            worker_kills: hits("worker: kill"),
            redis_deaths: hits("redis: kill"),
            postgres_restarts: hits("postgres: fast")
                + hits("postgres: immediate")
                + hits("postgres: kill"),
            lost: ending.missing + ending.different,
            doubled: ending.extra + history.miscounted + history.after_higher_fence,
            died: world.fleet.notes().died.len(),
            figures: figures(broken, &history, &ending, world),
            faults: broken.counts.clone(),
            changes,
            ending,
            rest,
            history,
            wrong: broken.wrong.clone(),
        };
        report.judge(broken, world);
        report.ok = report.wrong.is_empty();
        report
    }

    fn judge(&mut self, broken: &Broken, world: &World) {
        let mut wrong = Vec::new();
        let mut check = |bad: bool, what: String| {
            if bad {
                wrong.push(what);
            }
        };
        for count in &self.faults {
            check(
                count.hit < count.wanted,
                format!("{}: wanted {}, hit {}", count.kind, count.wanted, count.hit),
            );
        }
        check(
            self.lost > 0,
            format!("{} records are missing or different", self.lost),
        );
        check(
            self.doubled > 0,
            format!("{} records or effects are too many", self.doubled),
        );
        let bounds = [
            ("idle (but for companies)", self.ending.seconds, BOUND),
            ("exact", self.ending.exact_seconds, BOUND + SCROLL),
        ];
        for (what, took, bound) in bounds {
            let took = took.unwrap_or(f64::INFINITY);
            check(
                took > bound.as_secs_f64(),
                format!("{what} after {took:.1} s, {bound:?} allowed"),
            );
        }
        check(self.ending.records == 0, "nothing was compared".to_owned());
        check(self.history.leases == 0, "the history is empty".to_owned());
        check(
            self.history.fences_back > 0,
            format!("{} fences went back", self.history.fences_back),
        );
        check(
            self.history.dead_letters > 0,
            format!("{} dead letters are open", self.history.dead_letters),
        );
        check(
            broken.false_orphans > 0,
            format!(
                "{} slices were taken from a living worker",
                broken.false_orphans
            ),
        );
        check(
            self.rest.live > 0,
            format!("{} tickets were left at rest", self.rest.live),
        );
        check(
            self.rest.redis_keys > self.rest.redis_keys_allowed,
            format!(
                "{} redis keys at rest, {} allowed",
                self.rest.redis_keys, self.rest.redis_keys_allowed
            ),
        );
        check(
            self.rest.outside_read_list > 0,
            "intercom was not only read".to_owned(),
        );
        self.wrong.append(&mut wrong);
        self.wrong.extend(self.left());
        self.wrong.extend(self.rest.late.iter().cloned());
        self.wrong.extend(world.fleet.notes().died);
    }

    /// What still waits for something.
    fn left(&self) -> impl Iterator<Item = String> + use<> {
        let left = [
            ("streams or connections are blocked", self.history.blocked),
            ("records are still set aside", self.history.set_aside),
            ("records are still unreadable", self.history.unreadable),
            ("threads are not stored", self.history.threads_left),
        ];
        left.into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| format!("{count} {what}"))
    }

    pub(crate) fn is_good(&self) -> bool {
        self.ok
    }

    pub(crate) fn print_json(&self) {
        match serde_json::to_string(self) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("chaos: {error}"),
        }
    }

    pub(crate) fn print_table(&self) {
        println!(
            "\n{:<44} {:>7} {:>7} {:>7} {:>17}",
            "fault", "wanted", "done", "hit", "longest recovery"
        );
        for count in self.faults.iter().filter(|count| count.wanted > 0) {
            println!(
                "{:<44} {:>7} {:>7} {:>7} {:>17}",
                count.kind.to_string(),
                count.wanted,
                count.done,
                count.hit,
                count
                    .recovered
                    .map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.1} s"))
            );
        }
        println!();
        for (name, value) in &self.figures {
            println!("{name:<44} {value:>7.2}");
        }
        let Ending {
            records,
            missing,
            extra,
            different,
            ..
        } = &self.ending;
        println!(
            "\n{records} records of {} tenants: {missing} missing, {different} different, {extra} extra",
            self.tenants
        );
        println!(
            "{} commits, {} slices: {} effects after a higher fence, {} fences went back, {} miscounted streams",
            self.history.commits,
            self.history.leases,
            self.history.after_higher_fence,
            self.history.fences_back,
            self.history.miscounted
        );
        println!(
            "redis at rest: {} keys ({} allowed)",
            self.rest.redis_keys, self.rest.redis_keys_allowed
        );
        println!("the slowest take-over: {}", self.history.slowest);
        println!("the slowest copy {}", self.ending.waited_for);
        for text in self
            .wrong
            .iter()
            .chain(&self.ending.examples)
            .chain(&self.history.examples)
        {
            println!("  WRONG: {text}");
        }
        println!(
            "{} (seed {}): {} worker kills, {} redis deaths, {} postgres restarts, {} lost, {} doubled, {} blocked, {} set \
             aside, {} ended by themselves",
            if self.ok { "good" } else { "NOT GOOD" },
            self.seed,
            self.worker_kills,
            self.redis_deaths,
            self.postgres_restarts,
            self.lost,
            self.doubled,
            self.history.blocked,
            self.history.set_aside + self.history.unreadable + self.history.threads_left,
            self.died
        );
    }
}

fn figures(
    broken: &Broken,
    history: &Verdict,
    ending: &Ending,
    world: &World,
) -> BTreeMap<&'static str, f64> {
    let most = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
    let [half, p99, all] = history.recovered_in_calm_seconds;
    [
        (
            "idle_after_last_fault_seconds",
            ending.seconds.unwrap_or(f64::INFINITY),
        ),
        (
            "exact_after_last_fault_seconds",
            ending.exact_seconds.unwrap_or(f64::INFINITY),
        ),
        (
            "resumed_after_outage_seconds_max",
            most(&broken.resumed_seconds),
        ),
        (
            "drained_after_sigterm_seconds_max",
            most(&broken.drained_seconds),
        ),
        ("slices_cut_off", history.cut_off as f64),
        ("slices_cut_off_in_calm", history.in_calm as f64),
        ("orphan_recovery_in_calm_seconds_p50", half),
        ("orphan_recovery_in_calm_seconds_p99", p99),
        ("orphan_recovery_in_calm_seconds_max", all),
        ("orphan_recovery_seconds_max", history.recovered_seconds[2]),
        (
            "orphans_recovered_total",
            ending::counter(world, "pathbound_orphans_recovered_total", ""),
        ),
        (
            "fenced_writes_total",
            ending::counter(world, "pathbound_fenced_writes_total", ""),
        ),
        (
            "stale_slices_total",
            ending::counter(
                world,
                "pathbound_slices_finished_total",
                "outcome=\"stale\"",
            ),
        ),
        ("zombie_refusals", broken.zombies_refused as f64),
        ("false_orphans", broken.false_orphans as f64),
        ("process_starts", f64::from(world.fleet.starts())),
        (
            "starts_turned_away",
            f64::from(world.fleet.notes().turned_away),
        ),
    ]
    .into_iter()
    .collect()
}
