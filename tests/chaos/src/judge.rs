//! Judges the history that Postgres has kept.
//!
//! The judgement uses none of the product's own checks. A commit belongs to the process whose user wrote
//! it. A stream belongs to the process that last raised its fence. Every effect has to come from the owner.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::{Failure, world::World};

/// A commit of the fleet: a row of the history.
#[derive(FromRow)]
struct Commit {
    seq: i64,
    /// The user of the process that wrote it.
    who: String,
    /// `streams`, or the table of records that was written.
    relation: String,
    connection_id: Uuid,
    /// These three are of `streams` alone.
    stream: Option<String>,
    old_fence: Option<i64>,
    fence: Option<i64>,
    /// Whether it takes the stream over, or changes what a slice changes.
    effect: bool,
    /// Unix seconds.
    at: f64,
}

/// What the history shows.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// Commits that were looked at.
    pub(crate) commits: u64,
    /// Times that a stream was taken over.
    pub(crate) leases: u64,
    /// Effects by a process that no longer owned the stream.
    pub(crate) after_higher_fence: u64,
    /// Fences that went back.
    pub(crate) fences_back: u64,
    /// Streams that count other rows than are there: an effect that was applied twice, or half.
    pub(crate) miscounted: u64,
    /// Dead letters that are open.
    pub(crate) dead_letters: u64,
    /// Streams and connections that are blocked.
    pub(crate) blocked: u64,
    /// Records that wait in quarantine: those that Intercom did not give, and those that could not be read.
    pub(crate) set_aside: u64,
    pub(crate) unreadable: u64,
    /// Threads that are neither stored nor deleted.
    pub(crate) threads_left: u64,
    /// Slices that were cut off by a kill, and the seconds until another process took each over: half, 99 %, all.
    pub(crate) cut_off: usize,
    pub(crate) recovered_seconds: [f64; 3],
    /// The same of those that waited while no server was broken.
    pub(crate) in_calm: usize,
    pub(crate) recovered_in_calm_seconds: [f64; 3],
    /// What was taken over last.
    pub(crate) slowest: String,
    pub(crate) examples: Vec<String>,
}

/// Which streams write a table's records.
fn writers(relation: &str) -> &'static [&'static str] {
    match relation {
        "contact_sources" => &["contacts", "companies"],
        "company_sources" => &["companies", "contacts"],
        _ => &["conversations", "threads", "reference"],
    }
}

/// Reads the whole history once, in order.
pub(crate) async fn judge(world: &World, storms: &[(f64, f64)]) -> Result<Verdict, Failure> {
    const ALL: &str = "SELECT seq, who, relation, connection_id, stream, old_fence, fence, effect,
                              extract(epoch FROM at)::float8 AS at FROM chaos.history ORDER BY seq";
    let commits: Vec<Commit> = world.history.rows(ALL).await?;
    let mut judge = Judge::default();
    commits.into_iter().for_each(|commit| judge.commit(commit));
    let mut verdict = judge.finish(&world.deaths(), storms);
    for (question, name) in COUNTS {
        let wrong: Vec<(Uuid, i64, i64)> = world.history.rows(question).await?;
        verdict.miscounted += wrong.len() as u64;
        verdict
            .examples
            .extend(wrong.iter().map(|(connection, held, rows)| {
                format!("{name} of {connection}: {held} are counted as held, {rows} are there")
            }));
    }
    let left: Vec<(i64, i64, i64, i64, i64)> = world.history.rows(LEFT).await?;
    for (dead, blocked, set_aside, unreadable, threads) in left {
        verdict.dead_letters = dead as u64;
        verdict.blocked = blocked as u64;
        verdict.set_aside = set_aside as u64;
        verdict.unreadable = unreadable as u64;
        verdict.threads_left = threads as u64;
    }
    Ok(verdict)
}

/// What still waits for something, in the order of the verdict.
const LEFT: &str = "SELECT
     (SELECT count(*) FROM public.dead_letters WHERE resolved_at IS NULL),
     (SELECT count(*) FROM public.streams WHERE blocked_code IS NOT NULL)
         + (SELECT count(*) FROM public.connections WHERE state <> 'active'),
     (SELECT count(*) FROM public.quarantine WHERE resolved_at IS NULL AND retry IS NOT NULL),
     (SELECT count(*) FROM public.quarantine WHERE resolved_at IS NULL AND retry IS NULL),
     (SELECT count(*) FROM public.threads WHERE status IN ('pending', 'gone', 'blocked'))";

/// Where a stream's own count is not the number of its rows. Nothing is deleted in these workspaces.
const COUNTS: [(&str, &str); 3] = [
    (
        "SELECT s.connection_id, s.held, count(r.*) FROM public.streams s
         LEFT JOIN public.contact_sources r USING (tenant_id, connection_id)
         WHERE s.stream = 'contacts' GROUP BY 1, 2 HAVING s.held <> count(r.*)",
        "contacts",
    ),
    (
        "SELECT s.connection_id, s.held, count(r.*) FROM public.streams s
         LEFT JOIN public.company_sources r USING (tenant_id, connection_id)
         WHERE s.stream = 'companies' GROUP BY 1, 2 HAVING s.held <> count(r.*)",
        "companies",
    ),
    (
        "SELECT s.connection_id, s.held, count(r.*) FROM public.streams s
         LEFT JOIN public.conversations r USING (tenant_id, connection_id)
         WHERE s.stream = 'conversations' GROUP BY 1, 2 HAVING s.held <> count(r.*)",
        "conversations",
    ),
];

/// The stream's fence and the process that raised it.
struct Owner {
    fence: i64,
    who: String,
    /// Taken over and not yet written to.
    open: bool,
}

#[derive(Default)]
struct Judge {
    owners: HashMap<(Uuid, String), Owner>,
    /// Slices cut off: of which process, and when another one took over.
    taken: Vec<(String, f64, String)>,
    verdict: Verdict,
}

impl Judge {
    fn commit(&mut self, commit: Commit) {
        self.verdict.commits += 1;
        if !commit.who.starts_with("chaos_worker") {
            return;
        }
        match (&commit.stream, commit.old_fence, commit.fence) {
            (Some(stream), Some(old), Some(fence)) => {
                let key = (commit.connection_id, stream.clone());
                self.stream(commit, key, old, fence);
            }
            _ => self.records(&commit),
        }
    }

    fn stream(&mut self, commit: Commit, key: (Uuid, String), old: i64, fence: i64) {
        let who = commit.who;
        if fence < old
            || self
                .owners
                .get(&key)
                .is_some_and(|owner| fence < owner.fence)
        {
            self.verdict.fences_back += 1;
            self.example(format!(
                "the fence of {key:?} went from {old} to {fence} by {who}"
            ));
        }
        if fence > old {
            self.verdict.leases += 1;
            if let Some(before) = self
                .owners
                .get(&key)
                .filter(|before| before.open && before.who != who)
            {
                self.taken.push((
                    before.who.clone(),
                    commit.at,
                    format!("{} of {}", key.1, key.0),
                ));
            }
            self.owners.insert(
                key,
                Owner {
                    fence,
                    who,
                    open: true,
                },
            );
            return;
        }
        if !commit.effect {
            return;
        }
        match self.owners.get_mut(&key) {
            Some(owner) if owner.who == who => owner.open = false,
            owner => {
                let owner = owner.map_or_else(|| "nobody".to_owned(), |owner| owner.who.clone());
                self.verdict.after_higher_fence += 1;
                self.example(format!("{who} wrote to {key:?}, which {owner} owns"));
            }
        }
    }

    fn records(&mut self, commit: &Commit) {
        let Commit {
            seq,
            who,
            relation,
            connection_id,
            ..
        } = commit;
        let owns = |stream: &&str| {
            self.owners
                .get(&(*connection_id, (**stream).to_owned()))
                .is_some_and(|owner| owner.who == *who)
        };
        if !writers(relation).iter().any(owns) {
            self.verdict.after_higher_fence += 1;
            self.example(format!(
                "{who} wrote {relation} of {connection_id} and owns no stream that may ({seq})"
            ));
        }
    }

    /// `deaths`: when each killed process died. `storms`: when servers were broken.
    fn finish(mut self, deaths: &BTreeMap<String, f64>, storms: &[(f64, f64)]) -> Verdict {
        let waited = |at: &f64, who: &String| {
            deaths
                .get(who)
                .map(|died| at - died)
                .filter(|waited| *waited >= 0.0)
        };
        let slowest = self
            .taken
            .iter()
            .filter_map(|(who, at, what)| Some((waited(at, who)?, who, what)));
        if let Some((seconds, who, what)) = slowest.max_by(|a, b| a.0.total_cmp(&b.0)) {
            self.verdict.slowest = format!("{what}, {seconds:.1} s after {who} was killed");
        }
        let cut_off = self
            .taken
            .iter()
            .filter_map(|(who, at, _)| Some((*deaths.get(who)?, *at)));
        let cut_off: Vec<(f64, f64)> = cut_off.filter(|(died, at)| at >= died).collect();
        let calm = |&(died, at): &(f64, f64)| {
            !storms
                .iter()
                .any(|(begun, ended)| *begun < at && died < *ended)
        };
        let all = cut_off.iter().map(|(died, at)| at - died).collect();
        let in_calm: Vec<f64> = cut_off
            .iter()
            .copied()
            .filter(calm)
            .map(|(died, at)| at - died)
            .collect();
        self.verdict.cut_off = cut_off.len();
        self.verdict.in_calm = in_calm.len();
        self.verdict.recovered_seconds = quantiles(all);
        self.verdict.recovered_in_calm_seconds = quantiles(in_calm);
        self.verdict
    }

    fn example(&mut self, text: String) {
        if self.verdict.examples.len() < 20 {
            self.verdict.examples.push(text);
        }
    }
}

/// Half, 99 %, all.
fn quantiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| ((values.len() as f64 * share).ceil() as usize).max(1) - 1;
    [0.5, 0.99, 1.0].map(|share| values.get(at(share)).copied().unwrap_or(0.0))
}
