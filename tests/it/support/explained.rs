//! A Postgres that writes down the plan of every statement that the product runs.

use std::{collections::BTreeMap, collections::BTreeSet, fmt};

use serde_json::Value;
use servers::{Options, Servers};
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{Case, World, migrated};

/// What is loaded and logged. Nothing is analysed unless a test does it.
const SETTINGS: &[&str] = &[
    "shared_preload_libraries=auto_explain",
    "auto_explain.log_min_duration=0",
    "auto_explain.log_analyze=on",
    "auto_explain.log_buffers=on",
    "auto_explain.log_timing=off",
    "auto_explain.log_format=json",
    "auto_explain.log_nested_statements=on",
    "logging_collector=on",
    "log_destination=jsonlog",
    "log_directory=log",
    "log_filename=plans",
    "log_rotation_age=0",
    "log_rotation_size=0",
    "autovacuum=off",
];
const LOG: &str = "log/plans.json";
/// Tables that are split. A statement about a tenant reads one partition.
const PARTITIONED: &[&str] = &[
    "changes",
    "identity_values",
    "contact_sources",
    "contact_companies",
    "conversations",
    "conversation_contacts",
    "threads",
    "parts",
    "events",
    "search_documents",
    "company_conversations",
    "company_totals",
];

/// The server, and a migrated database of its own.
pub(crate) struct ExplainedServer {
    // Ends with the test.
    _servers: Servers,
    url: String,
    admin: tokio::sync::Mutex<PgConnection>,
    /// How much of the log was read before the statements that count.
    read: std::sync::atomic::AtomicI64,
}

/// A statement that ran.
#[derive(Debug)]
pub(crate) struct RanPlan {
    pub(crate) statement: String,
    /// Rows that it returned or wrote.
    pub(crate) rows: f64,
    pub(crate) buffers: f64,
    /// Rows that it read and that a condition removed.
    pub(crate) removed: f64,
    /// Tables that were read from one end to the other.
    pub(crate) scanned: BTreeSet<String>,
    /// The most partitions of one table that it read.
    pub(crate) most_partitions: usize,
    plan: Value,
}

impl ExplainedServer {
    /// `None`, and a word about it, if this Postgres has no `auto_explain`.
    pub(crate) async fn start() -> Option<Self> {
        let options = Options {
            postgres_settings: SETTINGS.iter().map(ToString::to_string).collect(),
            ..Options::default()
        };
        let started = tokio::task::spawn_blocking(|| Servers::start(options)).await;
        let servers = match started.expect("no panic") {
            Ok(servers) => servers,
            Err(error) => {
                eprintln!("SKIPPED: this postgres cannot explain its statements: {error}");
                return None;
            }
        };
        let url = migrated(&servers, "pathbound").await;
        let admin = PgConnection::connect(&url).await.expect("postgres answers");
        Some(Self {
            _servers: servers,
            url,
            admin: tokio::sync::Mutex::new(admin),
            read: std::sync::atomic::AtomicI64::new(0),
        })
    }

    pub(crate) async fn world(&self) -> World {
        self.world_with(&[]).await
    }

    /// A world whose configuration differs in some variables.
    pub(crate) async fn world_with(&self, variables: &[(&str, &str)]) -> World {
        let own = [("DATABASE_URL", self.url.as_str())];
        World::with(&[&own, variables].concat()).await
    }

    pub(crate) async fn analyze(&self) {
        let mut admin = self.admin.lock().await;
        admin.execute("ANALYZE").await.expect("it is analysed");
    }

    /// Adds so many tenants whose rows in the split tables are those of this one.
    pub(crate) async fn crowd(&self, like: &Case, count: i64) {
        let mut admin = self.admin.lock().await;
        // Words name their tenant, so those of a copy would be its original's.
        let copied = PARTITIONED
            .iter()
            .filter(|table| **table != "search_documents");
        for table in copied {
            let columns: Vec<String> = sqlx::query_scalar(
                "SELECT quote_ident(column_name) FROM information_schema.columns
                 WHERE table_schema = 'public' AND table_name = $1 AND column_name <> 'tenant_id' AND is_generated = 'NEVER'",
            )
            .bind(table)
            .fetch_all(&mut *admin)
            .await
            .expect("the table has columns");
            let columns = columns.join(", ");
            sqlx::query(sqlx::AssertSqlSafe(format!(
                "INSERT INTO {table} (tenant_id, {columns})
                 SELECT md5('crowd' || n)::uuid, {columns} FROM generate_series(1, $2) n
                 CROSS JOIN (SELECT * FROM {table} WHERE tenant_id = $1) t"
            )))
            .bind(like.tenant.0)
            .bind(count)
            .execute(&mut *admin)
            .await
            .expect("the rows fit");
        }
    }

    /// Adds so many tenants with the connections, streams and dead letters of this one, a second further behind each.
    pub(crate) async fn crowd_of_fleet(&self, like: &Case, count: i64) {
        let mut admin = self.admin.lock().await;
        for (table, own, copies) in [
            ("tenants", "id, name", "md5('crowd' || n)::uuid, 'Crowd ' || n"),
            ("connections", "tenant_id, id", "md5('crowd' || n)::uuid, md5('crowd' || n)::uuid"),
            (
                "streams",
                "tenant_id, connection_id, due_at, last_ok_at",
                "md5('crowd' || n)::uuid, md5('crowd' || n)::uuid, t.due_at + make_interval(secs => n),
                 t.last_ok_at - make_interval(secs => n)",
            ),
            (
                "dead_letters",
                "tenant_id, connection_id, id, died_at",
                "md5('crowd' || n)::uuid, md5('crowd' || n)::uuid, md5('letter' || n)::uuid, t.died_at - make_interval(secs => n)",
            ),
        ] {
            let tenant = if table == "tenants" { "id" } else { "tenant_id" };
            let columns: Vec<String> = sqlx::query_scalar(
                "SELECT quote_ident(column_name) FROM information_schema.columns
                 WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER'
                   AND NOT column_name = ANY (string_to_array($2, ', '))",
            )
            .bind(table)
            .bind(own)
            .fetch_all(&mut *admin)
            .await
            .expect("the table has columns");
            let same: String = columns.iter().map(|column| format!(", {column}")).collect();
            let from = same.replace(", ", ", t.");
            sqlx::query(sqlx::AssertSqlSafe(format!(
                "INSERT INTO {table} ({own}{same}) SELECT {copies}{from} FROM generate_series(1, $2) n
                 CROSS JOIN (SELECT * FROM {table} WHERE {tenant} = $1) t"
            )))
            .bind(like.tenant.0)
            .bind(count)
            .execute(&mut *admin)
            .await
            .expect("the rows fit");
        }
    }

    /// Statements until now do not count.
    pub(crate) async fn forget(&self) {
        let log = self.log_until_now().await;
        self.read
            .fetch_add(log.len() as i64, std::sync::atomic::Ordering::Relaxed);
    }

    /// What the log says from where it is read to now, in whole lines. A process of its own writes it, so it may be
    /// behind: a last statement of ours shows that it is not.
    async fn log_until_now(&self) -> String {
        let from = self.read.load(std::sync::atomic::Ordering::Relaxed);
        let mut admin = self.admin.lock().await;
        let mark = uuid::Uuid::now_v7();
        admin
            .execute(sqlx::AssertSqlSafe(format!("SELECT '{mark}'")))
            .await
            .expect("postgres answers");
        loop {
            let mut log: String = sqlx::query_scalar("SELECT pg_read_file($1, $2, 1000000000)")
                .bind(LOG)
                .bind(from)
                .fetch_one(&mut *admin)
                .await
                .expect("a log");
            log.truncate(log.rfind('\n').map_or(0, |end| end + 1));
            if log.contains(&mark.to_string()) {
                return log;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Every statement of the product since then.
    pub(crate) async fn plans(&self) -> Vec<RanPlan> {
        let log = self.log_until_now().await;
        log.lines().filter_map(RanPlan::of_line).collect()
    }
}

impl RanPlan {
    /// A line of the log, if it is the plan of a statement of the product.
    fn of_line(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        if line["application_name"] != "pathbound" {
            return None;
        }
        let (_, plan) = line["message"].as_str()?.split_once("plan:\n")?;
        let explained: Value = serde_json::from_str(plan).ok()?;
        let plan = explained["Plan"].clone();
        // What a function does is in the log by itself. Its first call in a session also reads the catalog.
        if plan["Node Type"] == "Function Scan" {
            return None;
        }
        let mut found = Found {
            // A count reads what it counts.
            is_read: plan["Node Type"] != "Aggregate",
            ..Found::default()
        };
        found.look_at(&plan);
        let buffers = ["Shared Hit Blocks", "Shared Read Blocks"];
        Some(Self {
            statement: explained["Query Text"].as_str()?.to_owned(),
            rows: if found.is_read {
                rows_of(&plan)
            } else {
                found.rows.max(rows_of(&plan))
            },
            buffers: buffers.iter().map(|name| number(&plan, name)).sum(),
            removed: found.removed,
            scanned: found.scanned,
            most_partitions: found
                .partitions
                .values()
                .map(BTreeSet::len)
                .max()
                .unwrap_or(0),
            plan,
        })
    }
}

impl fmt::Display for RanPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} buffers, {} rows, {} rows in vain, {} partitions, read whole {:?}\n{}\n{}",
            self.buffers,
            self.rows,
            self.removed,
            self.most_partitions,
            self.scanned,
            self.statement,
            serde_json::to_string_pretty(&self.plan).unwrap_or_default()
        )
    }
}

/// What a plan's nodes say.
#[derive(Default)]
struct Found {
    /// Nothing is changed or locked, so the rows of the statement are those that it returns.
    is_read: bool,
    /// The most rows of a node, because a change returns none of those that it writes.
    rows: f64,
    removed: f64,
    scanned: BTreeSet<String>,
    partitions: BTreeMap<String, BTreeSet<String>>,
}

impl Found {
    fn look_at(&mut self, node: &Value) {
        let loops = number(node, "Actual Loops");
        if loops > 0.0 {
            self.look_at_one(node, loops);
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            self.look_at(child);
        }
    }

    fn look_at_one(&mut self, node: &Value, loops: f64) {
        let kind = node["Node Type"].as_str().unwrap_or_default();
        self.removed += loops * number(node, "Rows Removed by Filter");
        self.removed += loops * number(node, "Rows Removed by Join Filter");
        self.is_read &= !matches!(kind, "ModifyTable" | "LockRows");
        // What a list walks over and does not return counts as read in vain, so only what is returned is a row of it.
        if kind != "ModifyTable" {
            self.rows = self
                .rows
                .max(number(node, "Actual Rows") * loops.min(1_000.0));
        }
        let Some(relation) = node["Relation Name"].as_str() else {
            return;
        };
        // The pauses of the fleet are a few rows, and all of them are wanted.
        if kind == "Seq Scan" && relation != "pauses" {
            self.scanned.insert(relation.to_owned());
        }
        if let Some((table, _)) = relation.rsplit_once('_')
            && PARTITIONED.contains(&table)
            && kind != "ModifyTable"
        {
            let of_table = self.partitions.entry(table.to_owned()).or_default();
            of_table.insert(relation.to_owned());
        }
    }
}

fn rows_of(node: &Value) -> f64 {
    number(node, "Actual Rows") * number(node, "Actual Loops")
}

fn number(node: &Value, name: &str) -> f64 {
    node[name].as_f64().unwrap_or_default()
}

impl Case {
    /// Gives the connection so many contacts, conversations, threads and twice as many parts more, which no call has
    /// brought. Another count gives other ones, if it is at least twice or at most half as large.
    pub(crate) async fn grow(&self, count: i64) {
        for statement in [
            "INSERT INTO changes (tenant_id, id, at, kind, fate, op)
             SELECT $1, md5('grown' || n)::uuid, now() - make_interval(secs => n), 1, 0, 1 FROM generate_series($3 + 1, 2 * $3) n
             WHERE $2::uuid IS NOT NULL",
            "INSERT INTO contact_sources (tenant_id, connection_id, source_id, record_id, contact_id, source_created_at,
                                          source_updated_at, raw_hash, raw)
             SELECT $1, $2, 'grown' || n, md5('grown' || n)::uuid, md5('grown' || n)::uuid, now() - make_interval(days => 60),
                    now() - make_interval(days => 60), 0,
                    '\\x00' || convert_to(format('{\"id\":\"grown%s\",\"updated_at\":1,\"pad\":\"%s\"}', n, repeat('x', 760)), 'UTF8')
             FROM generate_series($3 + 1, 2 * $3) n",
            "INSERT INTO changes (tenant_id, id, at, kind, fate, op)
             SELECT $1, md5('talk' || n)::uuid, now() - make_interval(secs => n), 3, 0, 1 FROM generate_series($3 + 1, 2 * $3) n
             WHERE $2::uuid IS NOT NULL",
            "INSERT INTO identity_values (tenant_id, connection_id, source_id, value)
             SELECT $1, $2, 'grown' || n, 'email:grown' || n || '@example.com' FROM generate_series($3 + 1, 2 * $3) n",
            "INSERT INTO contact_companies (tenant_id, connection_id, contact_source_id, company_source_id)
             SELECT $1, $2, 'grown' || n, s.source_id FROM generate_series($3 + 1, 2 * $3) n
             CROSS JOIN (SELECT source_id FROM company_sources WHERE connection_id = $2 ORDER BY 1 LIMIT 1) s",
            "INSERT INTO conversations (tenant_id, connection_id, id, source_id, source_created_at, source_updated_at, open, state,
                                        raw_hash, raw)
             SELECT $1, $2, md5('talk' || n)::uuid, 'talk' || n, now() - make_interval(days => 90),
                    now() - make_interval(secs => 100000 + n), true, 'open', 0,
                    '\\x00'::bytea || repeat(' ', 197)::bytea || '{}'::bytea
             FROM generate_series($3 + 1, 2 * $3) n",
            "INSERT INTO conversation_contacts (tenant_id, connection_id, conversation_id, contact_source_id)
             SELECT $1, $2, md5('talk' || n)::uuid, 'grown' || n FROM generate_series($3 + 1, 2 * $3) n",
            "INSERT INTO threads (tenant_id, connection_id, conversation_id, source_id, status, stub_version, fetched_version, held,
                                  expected)
             SELECT $1, $2, md5('talk' || n)::uuid, 'talk' || n, 'complete', now() - make_interval(days => 60), now(), 2, 2
             FROM generate_series($3 + 1, 2 * $3) n",
            "INSERT INTO parts (tenant_id, conversation_id, source_id, kind, source_created_at, source_updated_at, raw_hash, body, raw)
             SELECT $1, md5('talk' || n)::uuid, p::text, 'comment', now(), now(), 0, 'words', '\\x00'::bytea || repeat(' ', 297)::bytea || '{}'::bytea
             FROM generate_series($3 + 1, 2 * $3) n, generate_series(1, 2) p WHERE $2::uuid IS NOT NULL",
            "UPDATE streams SET held = held + $3, expected = expected + $3, complete = complete + CASE WHEN stream = 'threads' THEN $3 ELSE 0 END
             WHERE tenant_id = $1 AND connection_id = $2 AND stream IN ('contacts', 'conversations', 'threads')",
        ] {
            sqlx::query(statement)
                .bind(self.tenant.0)
                .bind(self.connection().0)
                .bind(count)
                .execute(&self.world.admin)
                .await
                .expect("the rows fit");
        }
    }

    /// Gives the connection so many threads that are due.
    pub(crate) async fn lengthen_backlog(&self, count: i64) {
        sqlx::query(
            "INSERT INTO threads (tenant_id, connection_id, conversation_id, source_id, status, stub_version, due_at)
             SELECT $1, $2, md5('pending' || n)::uuid, 'pending' || n, 'pending', to_timestamp(1700000000 + n), now()
             FROM generate_series(1, $3) n",
        )
        .bind(self.tenant.0)
        .bind(self.connection().0)
        .bind(count)
        .execute(&self.world.admin)
        .await
        .expect("the rows fit");
    }
}
