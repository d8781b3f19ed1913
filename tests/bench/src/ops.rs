//! What the pages of operators cost: browsers that keep the overview open while a fleet of many tenants has work waiting,
//! and the page of tenants.
//!
//! `OPS_TENANTS=1000` takes fewer tenants, for a quick look. The baseline of the open tabs is one tab. One snapshot serves
//! all, so that the servers should not notice the others. The baseline of a page is the same page with one tenant.
//!
//! No worker runs, so tickets only grow older. The overview thus differs each second, and no answer is a short one.

use std::time::{Duration, Instant};

use intercom_simulator::WorkspaceSpec;
use reqwest::{Client, StatusCode, header, redirect::Policy};
use tokio::{task::JoinSet, time::interval};

use crate::{
    clones::Original,
    fleet::{Fleet, FleetOptions},
    process,
    report::{Failure, Report, p99, size},
};

const TENANTS: u32 = 10_000;
const TABS: usize = 50;
pub(crate) const OPERATOR_KEY: &str = "an-operator-key-for-the-benchmark-only";
/// Each tab asks so often, which is more often than a real one does.
const ASKS: u32 = 30;
const ASK_INTERVAL: Duration = Duration::from_secs(1);
const PAGE_LOADS: usize = 200;
/// Until the scheduler has made all tickets.
const PATIENCE: Duration = Duration::from_secs(120);

/// What so many tabs cost for half a minute.
struct Cost {
    /// Of each answer, in milliseconds.
    times: Vec<f64>,
    /// Percent of one core.
    redis: f64,
    postgres: f64,
    api: f64,
}

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let tenants = size("OPS_TENANTS", TENANTS)?;
    println!(
        "{TABS} browsers at the operators' overview with {tenants} tenants that have work waiting, beside one browser"
    );
    let spec = WorkspaceSpec {
        contacts: 5,
        companies: 1,
        conversations: 3,
        parts: 3.0,
        ..WorkspaceSpec::default()
    };
    let mut original = Original::sync(spec, options()).await?;
    original.fleet.end_worker();
    let session = sign_in(&original.fleet).await?;
    let one_tenant = page_p99_ms(&original.fleet, &session).await?;
    original.multiply(tenants - 1).await?;
    sqlx::query("UPDATE streams SET due_at = now() WHERE stream IN ('contacts', 'threads')")
        .execute(&mut original.admin)
        .await?;
    until_waiting(&original.fleet, u64::from(tenants) * 2).await?;
    let idle = watched(&original.fleet, &session, 0).await?;
    let one = watched(&original.fleet, &session, 1).await?;
    let many = watched(&original.fleet, &session, TABS).await?;
    let page = page_p99_ms(&original.fleet, &session).await?;
    report.add(
        "ops.live_p99_ms",
        p99(many.times.iter().copied()),
        "ms",
        Some(p99(one.times.iter().copied())),
    );
    let mut add = |name, of: fn(&Cost) -> f64| {
        // Less than nothing is noise.
        let beyond_idle = |cost: &Cost| (of(cost) - of(&idle)).max(0.0);
        report.add(name, beyond_idle(&many), "%", Some(beyond_idle(&one)));
    };
    add("ops.redis_cpu_percent", |cost| cost.redis);
    add("ops.postgres_cpu_percent", |cost| cost.postgres);
    add("ops.api_cpu_percent", |cost| cost.api);
    report.add("ops.tenants_page_p99_ms", page, "ms", Some(one_tenant));
    Ok(())
}

fn options() -> FleetOptions {
    FleetOptions {
        environment: vec![
            ("OPERATOR_KEY", OPERATOR_KEY.to_owned()),
            ("SYNC_INTERVAL", "1d".to_owned()),
        ],
        ..FleetOptions::default()
    }
}

/// The cookie of a browser that has signed in.
pub(crate) async fn sign_in(fleet: &Fleet) -> Result<String, Failure> {
    let client = Client::builder().redirect(Policy::none()).build()?;
    let call = client
        .post(format!("{}/ops/sign-in", fleet.ops_url))
        .header(header::ORIGIN, &fleet.ops_url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(format!("key={OPERATOR_KEY}"));
    let answer = call.send().await?;
    let cookie = answer.headers().get(header::SET_COOKIE);
    let cookie = cookie.and_then(|cookie| cookie.to_str().ok()?.split(';').next());
    Ok(cookie.ok_or("the sign-in gave no session")?.to_owned())
}

async fn until_waiting(fleet: &Fleet, tickets: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    let client = Client::new();
    loop {
        let call = client
            .get(format!("{}/ops/overview", fleet.ops_url))
            .bearer_auth(OPERATOR_KEY);
        let overview: serde_json::Value = call.send().await?.json().await?;
        let classes = &overview["queue"]["data"]["classes"];
        let ready = ["fresh", "backfill"].map(|class| classes[class]["ready"].as_u64());
        if ready.iter().flatten().sum::<u64>() >= tickets {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("only {ready:?} of {tickets} tickets wait").into());
        }
        tokio::time::sleep(ASK_INTERVAL).await;
    }
}

/// Half a minute with so many browsers, each with an open stream of news and a tab that asks besides.
async fn watched(fleet: &Fleet, session: &str, tabs: usize) -> Result<Cost, Failure> {
    let mut streams = JoinSet::new();
    for _ in 0..tabs {
        streams.spawn(listen(fleet.ops_url.clone(), session.to_owned()));
    }
    let cpu = || {
        let redis = fleet.servers.redis().pid();
        (
            redis.map_or(0.0, process::tree_cpu_seconds),
            fleet.postgres_cpu_seconds(),
            fleet.api_cpu_seconds(),
        )
    };
    let (before, begun) = (cpu(), Instant::now());
    let mut asking = JoinSet::new();
    for tab in 0..tabs {
        // Not all at one instant.
        let after = ASK_INTERVAL.mul_f64(tab as f64 / tabs as f64);
        asking.spawn(ask(fleet.ops_url.clone(), session.to_owned(), after));
    }
    if tabs == 0 {
        tokio::time::sleep(ASK_INTERVAL * ASKS).await;
    }
    let mut times = Vec::new();
    while let Some(asked) = asking.join_next().await {
        times.extend(asked??);
    }
    let (after, seconds) = (cpu(), begun.elapsed().as_secs_f64());
    let percent = |before: f64, after: f64| (after - before) / seconds * 100.0;
    if let Some(ended) = streams.try_join_next() {
        ended??;
    }
    Ok(Cost {
        times,
        redis: percent(before.0, after.0),
        postgres: percent(before.1, after.1),
        api: percent(before.2, after.2),
    })
}

/// A tab without a stream: it asks for what has changed since its last answer.
async fn ask(ops_url: String, session: String, after: Duration) -> Result<Vec<f64>, Failure> {
    let client = Client::new();
    tokio::time::sleep(after).await;
    let (mut asks, mut tag, mut times) = (interval(ASK_INTERVAL), None, Vec::new());
    for _ in 0..ASKS {
        asks.tick().await;
        let mut call = client
            .get(format!("{ops_url}/ops/live"))
            .header(header::COOKIE, &session);
        if let Some(tag) = tag.take() {
            call = call.header(header::IF_NONE_MATCH, tag);
        }
        let begun = Instant::now();
        let answer = call.send().await?;
        if ![StatusCode::OK, StatusCode::NOT_MODIFIED].contains(&answer.status()) {
            return Err(format!("the overview answered {}", answer.status()).into());
        }
        tag = answer.headers().get(header::ETAG).cloned();
        answer.bytes().await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// A browser's stream of news, opened again whenever it ends.
async fn listen(ops_url: String, session: String) -> Result<(), Failure> {
    let client = Client::new();
    loop {
        let call = client
            .get(format!("{ops_url}/ops/live/stream"))
            .header(header::COOKIE, &session);
        let mut answer = call.send().await?.error_for_status()?;
        while answer.chunk().await?.is_some() {}
    }
}

/// The page of tenants, the furthest behind first.
async fn page_p99_ms(fleet: &Fleet, session: &str) -> Result<f64, Failure> {
    page_p99_ms_of(fleet, session, "/ops/tenants?sort=lag").await
}

/// How long a page of operators takes.
pub(crate) async fn page_p99_ms_of(
    fleet: &Fleet,
    session: &str,
    path: &str,
) -> Result<f64, Failure> {
    let client = Client::new();
    let mut times = Vec::with_capacity(PAGE_LOADS);
    for _ in 0..PAGE_LOADS {
        let call = client
            .get(format!("{}{path}", fleet.ops_url))
            .header(header::ACCEPT, "text/html")
            .header(header::COOKIE, session);
        let begun = Instant::now();
        let answer = call.send().await?.error_for_status()?;
        let page = answer.text().await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        // An answer of the last good content would be fast and old.
        if page.contains("A server does not answer in time") || !page.contains("<main") {
            return Err(format!("{path} was not read: {page}").into());
        }
    }
    Ok(p99(times))
}
