//! A worker's memory while it walks a workspace of a million contacts, and what the end of such a walk costs.
//!
//! `MEMORY_CONTACTS=50000` takes a smaller one, for a quick look.

use std::time::{Duration, Instant};

use intercom_simulator::{Latency, WorkspaceSpec};
use shared::{
    config::DatabaseConfig,
    domain::{Secret, Stream},
    store::{SliceKey, WorkerStore},
};
use sqlx::{Connection, PgConnection};

use crate::{
    fleet::Fleet,
    report::{Failure, Report, SEED, size},
    roles::{self, NO_LIMIT, Scene},
    sync::WORKSPACE,
};

const CONTACTS: u32 = 1_000_000;
/// Ids on a page, as Intercom gives them.
const PAGE: usize = 150;

pub(super) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let contacts = size("MEMORY_CONTACTS", CONTACTS)?;
    let at = if contacts == CONTACTS {
        "1m".to_owned()
    } else {
        contacts.to_string()
    };
    println!("one worker process on a workspace of {contacts} contacts, the rate limit lifted");
    let spec = WorkspaceSpec {
        id_code: Some(WORKSPACE.to_owned()),
        seed: SEED,
        contacts,
        companies: contacts / 1_000,
        conversations: 0,
        contacts_over_10_companies: 0.0,
        limit_per_window: NO_LIMIT,
        ..WorkspaceSpec::default()
    };
    let (_simulator, intercom) = roles::simulator(&Scene {
        spec,
        latency: Latency::None,
    })?;
    let fleet = Fleet::start(&intercom).await?;
    let status = fleet.until_complete().await?;
    let seconds = fleet.connected_at.elapsed().as_secs_f64();
    let held = status["streams"]
        .as_array()
        .and_then(|streams| streams.iter().find(|of| of["stream"] == "contacts"));
    if held.is_none_or(|of| of["held"] != contacts) {
        return Err(format!("not all of {contacts} contacts are held: {status}").into());
    }
    report.add(
        &format!("memory.worker_peak_mib_at_{at}_contacts"),
        fleet.worker_peak_mib(),
        "MiB",
        None,
    );
    report.add(
        &format!("memory.contacts_per_second_at_{at}_contacts"),
        f64::from(contacts) / seconds,
        "1/s",
        None,
    );
    let Fleet {
        servers,
        tenant,
        connection,
        worker,
        ..
    } = fleet;
    drop(worker);

    let store = WorkerStore::connect(
        &DatabaseConfig::of_url(Secret::new(servers.database_url())),
        2,
    )
    .await?;
    let mut admin = PgConnection::connect(&servers.database_url()).await?;
    let held: Vec<String> = sqlx::query_scalar("SELECT source_id FROM contact_sources")
        .fetch_all(&mut admin)
        .await?;
    let key = SliceKey {
        tenant,
        connection,
        stream: Stream::Contacts,
        fence: 0,
    };
    for (shown, name) in [(&held[..], "all_shown"), (&[], "none_shown")] {
        let taken = end_of_walk(&store, key, shown).await?;
        report.add(
            &format!("memory.sweep_end_seconds_at_{at}_contacts.{name}"),
            taken.as_secs_f64(),
            "s",
            None,
        );
    }
    Ok(())
}

/// The last statement of a full walk, in a transaction that is not committed.
async fn end_of_walk(
    store: &WorkerStore,
    key: SliceKey,
    shown: &[String],
) -> Result<Duration, Failure> {
    let mut tx = store.begin(key.tenant).await?;
    for page in shown.chunks(PAGE) {
        tx.note_shown(key, page).await?;
    }
    let begun = Instant::now();
    tx.end_absence_scan(key).await?;
    Ok(begun.elapsed())
}
