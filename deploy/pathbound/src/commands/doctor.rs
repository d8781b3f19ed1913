//! `pathbound doctor`: whether an installation can work. Each finding says what to do about it.

use std::{path::Path, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    config::{Config, ProcessRole, Profile},
    queue::{Queue, RedisFacts},
    store::{self, Database, NotReady, PostgresFacts, roles},
    vault::KeyRing,
};

use crate::{
    failure::Failure,
    output::{self, Format, Table},
};

/// The oldest Postgres, as `server_version_num` has it.
const POSTGRES: i32 = 150_000;
/// The oldest major versions.
const REDIS: u32 = 7;
const VALKEY: u32 = 8;
/// Clocks that differ by more make times in lists and logs contradict each other.
const CLOCK_LIMIT: TimeDelta = TimeDelta::seconds(5);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Ok,
    /// It works, and something should be done.
    Warning,
    /// It cannot work.
    Fault,
    /// A server does not answer.
    Unreachable,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
            Self::Unreachable => "unreachable",
        }
    }
}

/// One line of the answer.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct Finding {
    check: &'static str,
    level: Level,
    found: String,
    /// What to do. Absent if nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Ok,
            found: found.into(),
            fix: None,
        }
    }

    fn bad(
        check: &'static str,
        level: Level,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            check,
            level,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }
}

/// Checks the configuration, both servers, the schema, the roles, the clocks and the keys.
///
/// # Errors
/// 78 for bad configuration, 3 if a server cannot be reached, 1 for any other fault.
pub async fn run(file: Option<&Path>, format: Format, role: ProcessRole) -> Result<(), Failure> {
    let config = super::load(file, role)?;
    let mut findings = vec![Finding::ok("configuration", "it is complete and valid")];
    for warning in &config.warnings {
        let fix = "see the comment of the option in `pathbound config show`";
        findings.push(Finding::bad(
            "configuration",
            Level::Warning,
            warning.clone(),
            fix,
        ));
    }
    findings.push(keys(&config));
    findings.extend(postgres(&config, role).await);
    findings.extend(redis(&config).await);
    let table = table(&findings);
    output::show(format, &table, &findings)?;
    verdict(&findings)
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new(&["check", "level", "found", "fix"]);
    for finding in findings {
        table.row([
            finding.check.to_owned(),
            finding.level.as_str().to_owned(),
            finding.found.clone(),
            output::or_dash(finding.fix.clone()),
        ]);
    }
    table
}

fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let count = |level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let (unreachable, faults) = (count(Level::Unreachable), count(Level::Fault));
    if unreachable > 0 {
        return Err(Failure::Unreachable {
            server: "a server",
            cause: "see the findings".into(),
        });
    }
    if faults > 0 {
        return Err(Failure::because(format!("{faults} checks failed")));
    }
    Ok(())
}

fn keys(config: &Config) -> Finding {
    let text = config.encryption_keys.expose();
    if text.is_empty() {
        return Finding::ok("keys", "this role needs no encryption keys");
    }
    match KeyRing::parse(text) {
        Ok(_) => Finding::ok("keys", "the encryption keys can be used"),
        Err(error) => {
            let fix = "set PATHBOUND_ENCRYPTION_KEYS to kid:base64 of 32 bytes";
            Finding::bad("keys", Level::Fault, error.to_string(), fix)
        }
    }
}

async fn postgres(config: &Config, role: ProcessRole) -> Vec<Finding> {
    let facts = match store::postgres_facts(&config.database).await {
        Ok(facts) => facts,
        Err(error) => {
            let fix =
                "check PATHBOUND_DATABASE_URL, and that the server runs and lets this machine in";
            let found = Failure::from(error).line();
            return vec![Finding::bad("postgres", Level::Unreachable, found, fix)];
        }
    };
    let mut findings = postgres_findings(&facts, config.profile, Utc::now());
    findings.push(match Database::open(config, role).await {
        Ok(database) => {
            let finding = ready(&database).await;
            database.close_all().await;
            finding
        }
        Err(error) => {
            let fix = "check PATHBOUND_DATABASE_URL and PATHBOUND_DATABASE_CONNECTIONS";
            Finding::bad(
                "schema",
                Level::Unreachable,
                Failure::from(error).line(),
                fix,
            )
        }
    });
    findings
}

fn postgres_findings(facts: &PostgresFacts, profile: Profile, now: DateTime<Utc>) -> Vec<Finding> {
    let version = format!(
        "version {}.{}",
        facts.version / 10_000,
        facts.version % 10_000
    );
    let mut findings = vec![if facts.version >= POSTGRES {
        Finding::ok("postgres", version)
    } else {
        let fix = "move the database to Postgres 15 or later";
        Finding::bad("postgres", Level::Fault, version, fix)
    }];
    if facts.is_read_only {
        let fix = "point PATHBOUND_DATABASE_URL at the primary";
        findings.push(Finding::bad(
            "postgres",
            Level::Fault,
            "it takes no writes",
            fix,
        ));
    }
    findings.push(if facts.is_bound {
        Finding::ok("login", "row-level security binds it")
    } else {
        let level = if profile == Profile::Production {
            Level::Fault
        } else {
            Level::Warning
        };
        let fix = "give pathbound a login that is no superuser and has no BYPASSRLS";
        Finding::bad("login", level, "row-level security does not bind it", fix)
    });
    findings.push(clock("postgres clock", facts.now, now));
    findings
}

/// Whether every role can work with the schema. The first one that cannot is told.
async fn ready(database: &Database) -> Finding {
    let checked: Result<(), NotReady> = async {
        database.checks::<roles::Api>().readiness().await?;
        database.checks::<roles::Oauth>().readiness().await?;
        database.checks::<roles::Worker>().readiness().await?;
        database.checks::<roles::Scheduler>().readiness().await?;
        database.checks::<roles::Operator>().readiness().await?;
        database.checks::<roles::Sources>().readiness().await
    }
    .await;
    match checked {
        Ok(()) => Finding::ok("schema", "it fits this build, and every role can be taken"),
        Err(error) => {
            let level = match error {
                NotReady::Postgres(_) => Level::Unreachable,
                _ => Level::Fault,
            };
            let fix = "run `pathbound migrate` with the schema owner's PATHBOUND_MIGRATE_URL";
            Finding::bad("schema", level, error.to_string(), fix)
        }
    }
}

async fn redis(config: &Config) -> Vec<Finding> {
    let unreachable = |error: Failure| {
        let fix = "check PATHBOUND_REDIS_URL, and that the server runs and lets this login in";
        vec![Finding::bad("redis", Level::Unreachable, error.line(), fix)]
    };
    let queue = match Queue::connect(config) {
        Ok(queue) => queue,
        Err(error) => return unreachable(error.into()),
    };
    if let Err(error) = queue.check_writable().await {
        return unreachable(error.into());
    }
    match queue.server_facts().await {
        Ok(facts) => redis_findings(&facts, Utc::now()),
        Err(error) => {
            let fix = "allow the login the commands INFO and TIME, if these checks matter to you";
            let found = format!("it works, and does not tell about itself: {error}");
            vec![Finding::bad("redis", Level::Warning, found, fix)]
        }
    }
}

fn redis_findings(facts: &RedisFacts, now: DateTime<Utc>) -> Vec<Finding> {
    let version = facts.version.as_deref().unwrap_or("unknown");
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or(0);
    let oldest = if facts.product == "valkey" {
        VALKEY
    } else {
        REDIS
    };
    let found = format!("{} {version}", facts.product);
    let mut findings = vec![if major >= oldest {
        Finding::ok("redis", found)
    } else {
        let fix = "move to Redis 7 or Valkey 8, or later";
        Finding::bad("redis", Level::Fault, found, fix)
    }];
    match facts.eviction.as_deref() {
        Some("noeviction") | None => {}
        Some(policy) => {
            let found = format!("it may drop tickets when its memory is full ({policy})");
            let fix = "set maxmemory-policy to noeviction";
            findings.push(Finding::bad("redis eviction", Level::Warning, found, fix));
        }
    }
    findings.push(match facts.logs_writes {
        Some(true) => Finding::ok("redis persistence", "it logs its writes"),
        _ => {
            let found =
                "it may be empty after a restart, and is then filled from Postgres within seconds";
            Finding::ok("redis persistence", found)
        }
    });
    let since_1970 = TimeDelta::from_std(facts.now).unwrap_or_default();
    findings.push(clock("redis clock", DateTime::UNIX_EPOCH + since_1970, now));
    findings
}

fn clock(check: &'static str, theirs: DateTime<Utc>, ours: DateTime<Utc>) -> Finding {
    let apart = (theirs - ours).abs();
    let seconds = Duration::from_millis(apart.num_milliseconds().unsigned_abs()).as_secs_f64();
    let found = format!("{seconds:.1} s from the clock of this machine");
    if apart <= CLOCK_LIMIT {
        return Finding::ok(check, found);
    }
    let fix = "let both machines take their time from one NTP server";
    Finding::bad(check, Level::Warning, found, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_reads_well() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let postgres = PostgresFacts {
            version: 140_011,
            now: now + TimeDelta::seconds(90),
            is_read_only: true,
            is_bound: false,
        };
        let redis = RedisFacts {
            product: "redis".to_owned(),
            version: Some("6.2.1".to_owned()),
            eviction: Some("allkeys-lru".to_owned()),
            logs_writes: Some(false),
            now: Duration::from_secs(20_000 * 86_400),
        };
        let mut bad = postgres_findings(&postgres, Profile::Production, now);
        bad.extend(redis_findings(&redis, now));
        insta::assert_snapshot!(table(&bad).render());
        assert_eq!(verdict(&bad).unwrap_err().code(), 1);
        let away = Finding::bad("postgres", Level::Unreachable, "refused", "start it");
        assert_eq!(verdict(&[away]).unwrap_err().code(), 3);
        let warning = Finding::bad("login", Level::Warning, "a superuser", "change it");
        assert!(verdict(&[warning, Finding::ok("keys", "good")]).is_ok());
    }
}
