//! How long reads of a large workspace take while its first sync runs, which is when its owner looks, beside the same
//! reads at rest and after `ANALYZE`.
//!
//! `SCALE_CONTACTS=3000 SCALE_CONVERSATIONS=3000` takes a smaller one.

use std::time::{Duration, Instant};

use intercom_simulator::{Latency, WorkspaceSpec};
use sqlx::{Connection, PgConnection};

use super::{first_id, p99_ms, read};
use crate::{
    fleet::Fleet,
    report::{Failure, Report, SEED, size},
    roles::{self, Scene},
    sync::WORKSPACE,
};

const CONTACTS: u32 = 60_000;
const CONVERSATIONS: u32 = 60_000;
/// How long the reads go on beside the sync.
const LOOK: Duration = Duration::from_secs(40);
const READS_AT_REST: usize = 300;

type Times = Vec<(&'static str, Vec<Duration>)>;

pub(super) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let contacts = size("SCALE_CONTACTS", CONTACTS)?;
    let conversations = size("SCALE_CONVERSATIONS", CONVERSATIONS)?;
    println!(
        "reads of {contacts} contacts and {conversations} conversations during their first sync"
    );
    let (_simulator, intercom) = roles::simulator(&Scene {
        spec: WorkspaceSpec {
            id_code: Some(WORKSPACE.to_owned()),
            seed: SEED,
            contacts,
            companies: contacts / 100,
            conversations,
            parts: 2.0,
            limit_per_window: 1_667,
            ..WorkspaceSpec::default()
        },
        latency: Latency::Fixed(50),
    })?;
    let mut fleet = Fleet::start(&intercom).await?;
    let paths = paths(&fleet).await?;
    let begun = Instant::now();
    let mut during = Times::new();
    while begun.elapsed() < LOOK {
        look(&fleet, &paths, &mut during).await?;
    }
    fleet.end_worker();
    let mut admin = PgConnection::connect(&fleet.servers.database_url()).await?;
    sqlx::raw_sql("ANALYZE").execute(&mut admin).await?;
    let (held_contacts, held_conversations): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM contact_sources), (SELECT count(*) FROM conversations)",
    )
    .fetch_one(&mut admin)
    .await?;
    println!(
        "{held_contacts} contacts and {held_conversations} conversations were there at the end"
    );
    let mut at_rest = Times::new();
    for _ in 0..READS_AT_REST {
        look(&fleet, &paths, &mut at_rest).await?;
    }
    for ((name, during), (_, at_rest)) in during.into_iter().zip(at_rest) {
        report.add(
            &format!("scale.first_look_p99_ms.{name}"),
            p99_ms(&during),
            "ms",
            Some(p99_ms(&at_rest)),
        );
    }
    Ok(())
}

/// The reads, as soon as there is something to read.
async fn paths(fleet: &Fleet) -> Result<Vec<(&'static str, String)>, Failure> {
    let begun = Instant::now();
    let (contact, conversation) = loop {
        let contact = first_id(fleet, fleet.tenant, "/v1/contacts?limit=1").await;
        let conversation = first_id(fleet, fleet.tenant, "/v1/conversations?limit=1").await;
        match (contact, conversation) {
            (Ok(contact), Ok(conversation)) => break (contact, conversation),
            (Err(error), _) | (_, Err(error)) if begun.elapsed() > LOOK => return Err(error),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    Ok(vec![
        ("contact", format!("/v1/contacts/{contact}")),
        ("contacts", "/v1/contacts?limit=50".to_owned()),
        ("conversations", "/v1/conversations?limit=50".to_owned()),
        (
            "parts",
            format!("/v1/conversations/{conversation}/parts?limit=50"),
        ),
        (
            "status",
            format!("/v1/connections/{}/sync", fleet.connection),
        ),
    ])
}

async fn look(
    fleet: &Fleet,
    paths: &[(&'static str, String)],
    times: &mut Times,
) -> Result<(), Failure> {
    for (place, (name, path)) in paths.iter().enumerate() {
        let took = read(fleet, fleet.tenant, path).await?;
        if times.len() == place {
            times.push((name, Vec::new()));
        }
        times[place].1.push(took);
    }
    Ok(())
}
