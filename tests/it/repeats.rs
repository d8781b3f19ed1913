//! What processes log of failures that come again and again: each of them once, and its end once.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use intercom_simulator::{Fault, WorkspaceSpec};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use servers::Relay;
use shared::domain::Stream;

use crate::{
    operations::workspace,
    support::{Caller, Process, World, own_redis, servers, wait_for},
};

const JSON: [(&str, &str); 2] = [("PATHBOUND_LOG", "info"), ("PATHBOUND_LOG_FORMAT", "json")];

/// Several steps of each loop fail in this time.
const OUTAGE: Duration = Duration::from_secs(8);

/// A step that waits for a server may fail late.
const LONGEST_OUTAGE: Duration = Duration::from_secs(55);

/// A role and what it logs.
struct Role {
    name: &'static str,
    process: Process,
    address: String,
}

impl Role {
    async fn start(world: &World, name: &'static str) -> Self {
        let (process, address) = world.listening_with(name, &JSON);
        Process::until_ready(&address).await;
        Self {
            name,
            process,
            address,
        }
    }

    /// Its lines from this place of its log on.
    fn lines(&self, from: usize) -> Vec<Value> {
        let written = self.process.written();
        let lines = written[from..].lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// How often each failure was logged, by all that its line says but for its time and counts.
    fn failures(&self, from: usize) -> BTreeMap<String, u64> {
        let mut failures = BTreeMap::new();
        for line in self.lines(from) {
            if line["level"] != "WARN" && line["level"] != "ERROR" {
                continue;
            }
            let mut fields = line["fields"].as_object().unwrap().clone();
            for count in ["repeated", "since", "attempts", "wait_seconds"] {
                fields.remove(count);
            }
            let failure = format!("{} {}", line["target"], Value::Object(fields));
            *failures.entry(failure).or_default() += 1;
        }
        failures
    }

    /// Whether it has logged each of these failures.
    fn has_said(&self, from: usize, told: &[(&str, &str)]) -> bool {
        let failures = self.failures(from);
        let is_said = |failure: &str| failures.keys().any(|said| said.contains(failure));
        told.iter().all(|(failure, _)| is_said(failure))
    }

    /// The lines that say the end of failures with these words.
    fn ends(&self, from: usize, message: &str) -> Vec<Value> {
        let mut ends = self.lines(from);
        ends.retain(|line| line["fields"]["message"] == message);
        ends
    }

    async fn until_ended(&self, from: usize, message: &str) {
        wait_for("the end is logged", async || {
            let has_ended = !self.ends(from, message).is_empty();
            has_ended
                .then_some(())
                .ok_or_else(|| format!("{}: {message}: {:?}", self.name, self.failures(from)))
        })
        .await;
    }

    /// Every failure was logged once, among them these, and the end of these was logged once, with this count at least.
    fn assert_said_once(&self, from: usize, outage: Duration, told: &[(&str, &str)], least: u64) {
        let failures = self.failures(from);
        // A line in each minute, if the machine is that slow.
        let most = 1 + outage.as_secs() / 60;
        for (failure, lines) in &failures {
            assert!(
                (1..=most).contains(lines),
                "{}: {lines} of {failure}",
                self.name
            );
        }
        assert!(self.has_said(from, told), "{}: {failures:?}", self.name);
        for (_, end) in told {
            let ends = self.ends(from, end);
            assert_eq!(ends.len(), 1, "{}: {ends:?}", self.name);
            let counted = ends[0]["fields"]["failures"].as_u64();
            assert!(counted.is_some_and(|counted| counted >= least), "{ends:?}");
            assert!(ends[0]["fields"]["lasted_seconds"].is_number(), "{ends:?}");
        }
    }
}

/// A server refuses connections for some seconds. Each role has told it once then.
async fn assert_outage_is_said_once(
    relay: &Relay,
    roles: &[Role],
    told: &[&[(&str, &str)]],
    least: u64,
) {
    let from: Vec<_> = roles
        .iter()
        .map(|role| role.process.written().len())
        .collect();
    let begun = Instant::now();
    relay.refuse();
    let is_said = || {
        let mut of_roles = roles.iter().zip(&from).zip(told);
        of_roles.all(|((role, from), told)| role.has_said(*from, told))
    };
    while begun.elapsed() < OUTAGE || !is_said() {
        assert!(begun.elapsed() < LONGEST_OUTAGE, "a role says nothing");
        for role in roles {
            // As probes do.
            let answer = reqwest::get(format!("http://{}/readyz", role.address)).await;
            assert!(answer.is_ok(), "{} answers its probes", role.name);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    relay.forward();
    for role in roles {
        Process::until_ready(&role.address).await;
    }
    for ((role, from), told) in roles.iter().zip(&from).zip(told) {
        for (_, end) in *told {
            role.until_ended(*from, end).await;
        }
        role.assert_said_once(*from, begun.elapsed(), told, least);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_says_once_that_a_server_is_away_and_once_that_it_is_back() {
    let redis = own_redis(&[]);
    let to_redis = Relay::start(&format!("127.0.0.1:{}", redis.port())).unwrap();
    let to_postgres = Relay::start(&format!("127.0.0.1:{}", servers().postgres().port())).unwrap();
    let world = World::with(&[("REDIS_URL", &to_redis.of_url(&redis.url()))]).await;
    let world = world.through(&to_postgres);
    let mut roles = Vec::new();
    for name in ["api", "scheduler", "worker"] {
        roles.push(Role::start(&world, name).await);
    }

    let ready = ("not ready", "ready again");
    let tick = ("could not complete a tick", "completes ticks again");
    let poll = ("could not poll the queue", "polls the queue again");
    let told: [&[(&str, &str)]; 3] = [&[ready], &[ready, tick], &[ready, poll]];
    assert_outage_is_said_once(&to_redis, &roles, &told, 2).await;

    let told: [&[(&str, &str)]; 3] = [&[ready], &[ready, tick], &[ready]];
    // The end of what fails again within a minute of its end is logged after that minute, so the roles begin anew.
    roles.clear();
    for name in ["api", "scheduler", "worker"] {
        roles.push(Role::start(&world, name).await);
    }
    // Postgres is waited for, so the second failure of a step may come after the outage.
    assert_outage_is_said_once(&to_postgres, &roles, &told, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_alike_are_one_line() {
    let relay = Relay::start(&format!("127.0.0.1:{}", servers().postgres().port())).unwrap();
    let world = World::with(&[]).await;
    let tenant = world.new_tenant().await;
    let through = world.through(&relay);
    let api = Role::start(&through, "api").await;
    let base = format!("http://{}", api.process.api_address());
    let caller = Caller::service(&world, &base, Some(tenant));
    let from = api.process.written().len();
    let begun = Instant::now();
    relay.refuse();
    let requests = (0..6).map(|_| caller.call(Method::GET, "/v1/contacts", None));
    for (status, body) in futures::future::join_all(requests).await {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    }
    let failures = api.failures(from);
    let failed = |said: &&String| said.contains("the store failed");
    assert!(failures.keys().filter(failed).count() > 0, "{failures:?}");
    api.assert_said_once(from, begun.elapsed(), &[], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_of_a_stream_that_fail_alike_are_one_line_and_their_end_is_another() {
    let world = World::with(&[]).await;
    let _scheduler = Role::start(&world, "scheduler").await;
    let worker = Role::start(&world, "worker").await;
    let spec = WorkspaceSpec {
        conversations: 5,
        ..workspace(1)
    };
    let case = world.case(spec).await;
    // Each call is tried twice, so three slices fail.
    case.inject(Fault::status(500).operation("list_contacts").times(6));
    let begun = Instant::now();
    let case = case.connect().await;
    case.until_walked().await;
    let told = ("the slice failed", "the slices of the stream succeed again");
    worker.until_ended(0, told.1).await;
    worker.assert_said_once(0, begun.elapsed(), &[told], 3);
    let end = &worker.ends(0, told.1)[0];
    assert_eq!(end["span"]["stream"], Stream::Contacts.as_str(), "{end}");
    assert_eq!(end["fields"]["failures"], 3, "{end}");
}
