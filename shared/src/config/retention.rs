//! How long what has ended is kept.

use std::time::Duration;

use super::values::Reader;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What has just ended is still asked for: a caller follows its run, and a late callback is told what became of its flow.
const SHORTEST: Duration = Duration::from_secs(60 * 60);
/// The answer to a repeated POST is promised for a day.
const SHORTEST_ANSWER: Duration = DAY;
/// More is a slip of the pen, and Postgres' clock does not begin soon enough for much more.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How long the janitor keeps each kind of row after it has ended.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Between two rounds of the janitor.
    pub interval: Duration,
    pub runs: Duration,
    pub dead_letters: Duration,
    pub quarantine: Duration,
    pub api_keys: Duration,
    pub oauth_flows: Duration,
    pub idempotency_keys: Duration,
    pub operator_events: Duration,
    pub audit_events: Duration,
    pub browser_sessions: Duration,
}

impl Retention {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        Self {
            interval: read.duration("retention_interval", Duration::from_secs(1)),
            runs: age(read, "run_retention", SHORTEST),
            dead_letters: age(read, "dead_letter_retention", SHORTEST),
            quarantine: age(read, "quarantine_retention", SHORTEST),
            api_keys: age(read, "api_key_retention", SHORTEST),
            oauth_flows: age(read, "oauth_flow_retention", SHORTEST),
            idempotency_keys: age(read, "idempotency_retention", SHORTEST_ANSWER),
            operator_events: age(read, "operator_event_retention", SHORTEST),
            audit_events: age(read, "audit_event_retention", SHORTEST),
            browser_sessions: age(read, "browser_session_retention", SHORTEST),
        }
    }
}

fn age(read: &mut Reader<'_>, key: &str, shortest: Duration) -> Duration {
    let age = read.duration(key, shortest);
    if age > LONGEST {
        read.fault(key, "is more than 100 years (36500d)");
    }
    age
}
