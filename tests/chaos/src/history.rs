//! The history in Postgres: asked during the run whether a fault hit something, and judged at the end.
//!
//! The judgement uses none of the product's own checks. A commit belongs to the process whose user wrote
//! it. A stream belongs to the process that last raised its fence. Every effect has to come from the owner.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use serde::Serialize;
use sqlx::{
    Executor, PgPool, Row,
    postgres::{PgPoolOptions, PgRow},
};
use uuid::Uuid;

use crate::{Failure, fleet, world::World};

/// Users made in advance, since Postgres may be away when a process is started.
const USERS: u32 = 3_000;

/// How long a question is asked again while Postgres restarts.
const PATIENCE: Duration = Duration::from_secs(40);

/// The history's own way to Postgres.
#[derive(Clone)]
pub(crate) struct History {
    pool: PgPool,
}

/// A stream that a process had taken over and not yet written to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Where in the history it was taken.
    seq: i64,
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

impl History {
    /// Makes the tables, the triggers and the users.
    pub(crate) async fn begin(url: &str) -> Result<Self, Failure> {
        let pool = PgPoolOptions::new()
            .max_connections(6)
            .acquire_timeout(Duration::from_secs(3))
            .connect(url)
            .await?;
        pool.execute(include_str!("history.sql")).await?;
        let users: Vec<String> = ["api", "scheduler", "worker"]
            .iter()
            .flat_map(|kind| {
                (0..USERS).map(move |number| {
                    format!("CREATE ROLE {} LOGIN SUPERUSER;", fleet::user(kind, number))
                })
            })
            .collect();
        pool.execute(sqlx::AssertSqlSafe(users.concat())).await?;
        Ok(Self { pool })
    }

    /// Streams that this process holds in the middle of a slice.
    pub(crate) async fn open(&self, who: &str) -> Result<Vec<Open>, Failure> {
        const OPEN: &str = "SELECT l.seq FROM public.streams s CROSS JOIN LATERAL (
                SELECT h.seq, h.who, h.old_fence < h.fence AS raised FROM chaos.history h
                WHERE h.connection_id = s.connection_id AND h.stream = s.stream AND h.effect AND h.relation = 'streams'
                ORDER BY h.seq DESC LIMIT 1) l
             WHERE l.raised AND l.who = $1";
        let rows = self
            .steady(|| sqlx::query(OPEN).bind(who).fetch_all(&self.pool))
            .await?;
        Ok(rows.iter().map(|row| Open { seq: row.get(0) }).collect())
    }

    /// How many of them have been taken over by another process since.
    pub(crate) async fn taken_over(&self, open: &[Open]) -> Result<usize, Failure> {
        const TAKEN: &str = "SELECT count(*) FROM chaos.history h WHERE h.seq = ANY ($1) AND EXISTS (
                SELECT FROM chaos.history n
                WHERE n.connection_id = h.connection_id AND n.stream = h.stream AND n.effect AND n.relation = 'streams'
                  AND n.seq > h.seq AND n.old_fence < n.fence AND n.who <> h.who)";
        let seqs: Vec<i64> = open.iter().map(|open| open.seq).collect();
        let taken: i64 = self
            .steady(|| {
                sqlx::query_scalar(TAKEN)
                    .bind(seqs.clone())
                    .fetch_one(&self.pool)
            })
            .await?;
        Ok(taken as usize)
    }

    /// Where the history is now.
    pub(crate) async fn here(&self) -> Result<i64, Failure> {
        const HERE: &str = "SELECT coalesce(max(seq), 0) FROM chaos.history";
        Ok(self
            .steady(|| sqlx::query_scalar(HERE).fetch_one(&self.pool))
            .await?)
    }

    /// Waits until a worker begins a slice after this place in the history: work flows (again).
    /// Returns how long that took, or `None` if it did not happen within `patience`.
    pub(crate) async fn until_work(
        &self,
        after: i64,
        patience: Duration,
    ) -> Result<Option<Duration>, Failure> {
        const FLOWS: &str = "SELECT EXISTS (SELECT FROM chaos.history WHERE seq > $1 AND relation = 'streams' AND old_fence < fence)";
        let begun = Instant::now();
        while begun.elapsed() < patience {
            let flows: bool = self
                .steady(|| sqlx::query_scalar(FLOWS).bind(after).fetch_one(&self.pool))
                .await?;
            if flows {
                return Ok(Some(begun.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(None)
    }

    /// Sessions of the fleet.
    pub(crate) async fn sessions(&self) -> Result<i64, Failure> {
        const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'chaos%'";
        Ok(self
            .steady(|| sqlx::query_scalar(SESSIONS).fetch_one(&self.pool))
            .await?)
    }

    /// Cuts every session of the fleet. Returns how many there were.
    pub(crate) async fn cut_sessions(&self) -> Result<i64, Failure> {
        const CUT: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename LIKE 'chaos%'";
        Ok(self
            .steady(|| sqlx::query_scalar(CUT).fetch_one(&self.pool))
            .await?)
    }

    /// Cancels what the fleet's sessions are doing now. Returns how many were doing something.
    pub(crate) async fn cancel_statements(&self) -> Result<i64, Failure> {
        const CANCEL: &str =
            "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity
             WHERE usename LIKE 'chaos%' AND state = 'active'";
        Ok(self
            .steady(|| sqlx::query_scalar(CANCEL).fetch_one(&self.pool))
            .await?)
    }

    /// Asks again while Postgres is away.
    async fn steady<T, F: Future<Output = Result<T, sqlx::Error>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, sqlx::Error> {
        let begun = Instant::now();
        loop {
            match ask().await {
                Err(_) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                answer => return answer,
            }
        }
    }
}

/// Which streams write a table's records.
fn writers(relation: &str) -> &'static [&'static str] {
    match relation {
        "contact_sources" => &["contacts", "companies"],
        "company_sources" => &["companies", "contacts"],
        // A contact that arrives moves the `updated_at` of its conversations.
        _ => &["conversations", "threads", "reference", "contacts"],
    }
}

/// Reads the whole history once, in order.
pub(crate) async fn judge(world: &World, storms: &[(f64, f64)]) -> Result<Verdict, Failure> {
    const ALL: &str = "SELECT seq, who, relation, connection_id, stream, old_fence, fence, effect,
                              extract(epoch FROM at)::float8 AS at FROM chaos.history ORDER BY seq";
    let rows = world
        .history
        .steady(|| sqlx::query(ALL).fetch_all(&world.history.pool))
        .await?;
    let mut judge = Judge::default();
    rows.iter().for_each(|row| judge.commit(row));
    let mut verdict = judge.finish(&world.deaths(), storms);
    for (sql, name) in COUNTS {
        let wrong: Vec<(Uuid, i64, i64)> = world
            .history
            .steady(|| sqlx::query_as(sql).fetch_all(&world.history.pool))
            .await?;
        verdict.miscounted += wrong.len() as u64;
        verdict
            .examples
            .extend(wrong.iter().map(|(connection, held, rows)| {
                format!("{name} of {connection}: {held} are counted as held, {rows} are there")
            }));
    }
    const DEAD: &str = "SELECT count(*) FROM public.dead_letters WHERE resolved_at IS NULL";
    let dead: i64 = world
        .history
        .steady(|| sqlx::query_scalar(DEAD).fetch_one(&world.history.pool))
        .await?;
    verdict.dead_letters = dead as u64;
    let left: Vec<i64> = world
        .history
        .steady(|| sqlx::query_scalar(LEFT).fetch_all(&world.history.pool))
        .await?;
    if let [blocked, set_aside, unreadable, threads] = left.as_slice() {
        verdict.blocked = *blocked as u64;
        verdict.set_aside = *set_aside as u64;
        verdict.unreadable = *unreadable as u64;
        verdict.threads_left = *threads as u64;
    }
    Ok(verdict)
}

/// What still waits for something, in the order of the verdict.
const LEFT: &str = "SELECT (SELECT count(*) FROM public.streams WHERE blocked_code IS NOT NULL)
           + (SELECT count(*) FROM public.connections WHERE state <> 'active')
     UNION ALL SELECT count(*) FROM public.quarantine WHERE resolved_at IS NULL AND retry IS NOT NULL
     UNION ALL SELECT count(*) FROM public.quarantine WHERE resolved_at IS NULL AND retry IS NULL
     UNION ALL SELECT count(*) FROM public.threads WHERE status IN ('pending', 'gone', 'blocked')";

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
    fn commit(&mut self, row: &PgRow) {
        self.verdict.commits += 1;
        let (who, relation, connection): (String, String, Uuid) = (
            row.get("who"),
            row.get("relation"),
            row.get("connection_id"),
        );
        if !who.starts_with("chaos_worker") {
            return;
        }
        if relation == "streams" {
            self.stream(row, who, connection);
        } else {
            self.records(row, &who, &relation, connection);
        }
    }

    fn stream(&mut self, row: &PgRow, who: String, connection: Uuid) {
        let (stream, old, fence): (String, i64, i64) =
            (row.get("stream"), row.get("old_fence"), row.get("fence"));
        let key = (connection, stream);
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
                    row.get("at"),
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
        if !row.get::<bool, _>("effect") {
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

    fn records(&mut self, row: &PgRow, who: &str, relation: &str, connection: Uuid) {
        let owns = |stream: &&str| {
            self.owners
                .get(&(connection, (**stream).to_owned()))
                .is_some_and(|owner| owner.who == who)
        };
        if !writers(relation).iter().any(owns) {
            self.verdict.after_higher_fence += 1;
            self.example(format!(
                "{who} wrote {relation} of {connection} and owns no stream that may ({})",
                row.get::<i64, _>("seq")
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
