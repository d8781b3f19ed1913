//! A worker's memory while it walks a workspace of a million contacts, and what the end of such a walk costs.
//!
//! `MEMORY_CONTACTS=50000` takes a smaller one, for a quick look.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use intercom_simulator::{Latency, WorkspaceSpec};
use pathbound::{demo::browser::Browser, rest::Rest};
use serde_json::json;
use servers::Servers;
use shared::{
    domain::{ConnectionId, Secret, Stream, TenantId},
    store::{Role, SliceKey, Store},
};

use sqlx::{Connection, PgConnection};

use crate::{
    process,
    report::{Failure, Report, SEED},
    roles::{self, Scene},
    sync::{self, SERVICE_KEY, WORKSPACE},
};

const CONTACTS: u32 = 1_000_000;
/// Ids on a page, as Intercom gives them.
const PAGE: usize = 150;
/// A walk that takes longer than this has hung.
const PATIENCE: Duration = Duration::from_secs(40 * 60);

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let contacts = std::env::var("MEMORY_CONTACTS").map_or(Ok(CONTACTS), |text| text.parse())?;
    let at = if contacts == CONTACTS { "1m".to_owned() } else { contacts.to_string() };
    println!("one worker process on a workspace of {contacts} contacts, the rate limit lifted");
    let spec = WorkspaceSpec {
        id_code: Some(WORKSPACE.to_owned()),
        seed: SEED,
        contacts,
        companies: contacts / 1_000,
        conversations: 0,
        contacts_over_10_companies: 0.0,
        limit_per_window: 10_000_000,
        ..WorkspaceSpec::default()
    };
    let (_simulator, intercom) = roles::simulator(&Scene { spec, latency: Latency::None })?;
    let servers = tokio::task::spawn_blocking(|| Servers::start(servers::Options::default())).await??;
    shared::store::migrate(&Secret::new(servers.database_url())).await?;
    let public_url = format!("http://127.0.0.1:{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    let environment = sync::environment(&servers, &intercom, &public_url);
    let _api = roles::pathbound(&["api"], &environment)?;
    let _scheduler = roles::pathbound(&["scheduler"], &environment)?;
    let worker = roles::pathbound(&["worker"], &environment)?;

    let rest = Rest::new(&public_url, &Secret::new(SERVICE_KEY))?;
    let tenant = sync::until_up(&rest).await?;
    let started = rest.post(Some(tenant), "/v1/integrations/intercom/connect", &json!({})).await?.success()?;
    let begun = Instant::now();
    Browser::new()?.connect(started["start_url"].as_str().ok_or("no start_url")?, WORKSPACE).await?;
    let connections = rest.get(tenant, "/v1/connections").await?;
    let connection: ConnectionId = connections["items"][0]["id"].as_str().ok_or("no connection")?.parse()?;
    until_held(&rest, tenant, connection, contacts).await?;
    let seconds = begun.elapsed().as_secs_f64();
    report.add(
        &format!("memory.worker_peak_mib_at_{at}_contacts"),
        process::usage(worker.child.id()).peak_mib,
        "MiB",
        None,
    );
    report.add(&format!("memory.contacts_per_second_at_{at}_contacts"), f64::from(contacts) / seconds, "1/s", None);
    drop(worker);

    let store = Store::connect(&Secret::new(servers.database_url()), Role::Worker, 2).await?;
    let mut admin = PgConnection::connect(&servers.database_url()).await?;
    let held: Vec<String> = sqlx::query_scalar("SELECT source_id FROM contact_sources").fetch_all(&mut admin).await?;
    for (shown, name) in [(&held[..], "all_shown"), (&[], "none_shown")] {
        let taken = end_of_walk(&store, tenant, connection, shown).await?;
        report.add(&format!("memory.sweep_end_seconds_at_{at}_contacts.{name}"), taken.as_secs_f64(), "s", None);
    }
    Ok(())
}

async fn until_held(rest: &Rest, tenant: TenantId, connection: ConnectionId, contacts: u32) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let status = rest.get(tenant, &format!("/v1/connections/{connection}/sync")).await?;
        if status["complete"] == true {
            let held = status["streams"].as_array().ok_or("no streams")?.iter().find(|s| s["stream"] == "contacts");
            let held = held.ok_or("no contacts")?["held"].clone();
            return if held == contacts {
                Ok(())
            } else {
                Err(format!("{held} of {contacts} contacts are held").into())
            };
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("not complete after {PATIENCE:?}: {status}").into());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The last statement of a full walk, in a transaction that is not committed.
async fn end_of_walk(
    store: &Store,
    tenant: TenantId,
    connection: ConnectionId,
    shown: &[String],
) -> Result<Duration, Failure> {
    let key = SliceKey { tenant, connection, stream: Stream::Contacts, fence: 0 };
    let mut tx = store.begin(tenant).await?;
    for page in shown.chunks(PAGE) {
        tx.note_shown(key, page).await?;
    }
    let begun = Instant::now();
    tx.end_sweep(key).await?;
    Ok(begun.elapsed())
}
