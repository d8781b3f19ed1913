//! Tenants as their readers know them: profiles of several sources, timelines, what is searched, and a key of each.

use std::time::{Duration, Instant};

use intercom_simulator::WorkspaceSpec;
use serde_json::{Value, json};
use shared::domain::TenantId;

use super::documents;
use crate::{
    clones::Original,
    fleet::{Fleet, FleetOptions},
    report::{Failure, size},
};

const TENANTS: u32 = 50;
/// Documents that the whale has beside those of any other tenant.
const WHALE: i64 = 20_000;
/// Events of each contact that has any.
const EVENTS: usize = 10;
const RECORDS_AT_ONCE: usize = 1_000;
/// An index that takes longer than this has hung.
const PATIENCE: Duration = Duration::from_secs(600);

/// The fleet, in which nothing runs but the API.
pub(super) struct Scene {
    pub(super) original: Original,
    /// The first one is the whale.
    pub(super) tenants: Vec<Tenant>,
    /// What the original has, and so have all others under the same ids.
    pub(super) objects: Objects,
}

/// A tenant that is read.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    pub(super) id: TenantId,
    pub(super) key: String,
}

/// All objects of a tenant, as the API lists them.
pub(super) struct Objects {
    pub(super) contacts: Vec<Value>,
    pub(super) companies: Vec<Value>,
    pub(super) conversations: Vec<Value>,
}

impl Scene {
    pub(super) async fn make() -> Result<Self, Failure> {
        let tenants = size("API_TENANTS", TENANTS)?;
        let whale = size("API_WHALE_DOCUMENTS", WHALE)?;
        let spec = WorkspaceSpec {
            contacts: 500,
            companies: 30,
            conversations: 1_140,
            parts: 8.0,
            ..WorkspaceSpec::default()
        };
        let begun = Instant::now();
        let mut original = Original::sync(spec, options()).await?;
        send_records(&original.fleet).await?;
        until_searched(&original.fleet).await?;
        original.fleet.end_all_but_api();
        let copies = original.multiply(tenants).await?;
        original.verify(&copies).await?;
        let Original { fleet, admin, .. } = &mut original;
        documents::copy(admin, fleet.tenant, &copies, (copies[0], whale)).await?;
        // Nothing is left to do behind what was written.
        for statement in ["VACUUM (FREEZE, ANALYZE)", "CHECKPOINT"] {
            sqlx::raw_sql(statement).execute(&mut *admin).await?;
        }
        let parts: i64 = sqlx::query_scalar("SELECT count(*) FROM parts")
            .fetch_one(&mut *admin)
            .await?;
        let all = async |list: &str| fleet.rest.all(fleet.tenant, list).await;
        let objects = Objects {
            contacts: all("/v1/contacts").await?,
            companies: all("/v1/companies").await?,
            conversations: all("/v1/conversations").await?,
        };
        let mut with_keys = Vec::with_capacity(copies.len());
        for id in copies {
            let key = key_of(fleet, id).await?;
            with_keys.push(Tenant { id, key });
        }
        println!(
            "{parts} parts of {} tenants after {:.0} s",
            tenants + 1,
            begun.elapsed().as_secs_f64()
        );
        Ok(Self {
            original,
            tenants: with_keys,
            objects,
        })
    }

    pub(super) fn fleet(&self) -> &Fleet {
        &self.original.fleet
    }

    /// Host and port of the API.
    pub(super) fn host(&self) -> &str {
        self.fleet().public_url.trim_start_matches("http://")
    }
}

fn options() -> FleetOptions {
    let settings = [
        "max_wal_size=8GB",
        // For what is recorded (see `recorded.rs`), in one file.
        "logging_collector=on",
        "log_destination=jsonlog",
        "log_rotation_size=0",
        "log_rotation_age=0",
    ];
    FleetOptions {
        servers: servers::Options {
            shared_buffers_mib: 2_048,
            postgres_settings: settings.map(str::to_owned).to_vec(),
            ..servers::Options::default()
        },
        environment: vec![
            ("KEY_REQUESTS_PER_MINUTE", 100_000_000.to_string()),
            ("SYNC_INTERVAL", "1d".to_owned()),
        ],
        ..FleetOptions::default()
    }
}

/// Has two more sources tell of every second contact, and one of them of what these contacts did.
async fn send_records(fleet: &Fleet) -> Result<(), Failure> {
    let contacts = fleet.rest.all(fleet.tenant, "/v1/contacts").await?;
    let mut people = Vec::new();
    let mut events = Vec::new();
    for (number, contact) in contacts.iter().step_by(2).enumerate() {
        if contact["email"].is_null() {
            continue;
        }
        let record = |id: String, fields: Value| json!({"source_id": id, "source_updated_at": "2026-11-01T12:00:00Z", "fields": fields});
        let person = format!("person-{number}");
        people.push(record(
            person.clone(),
            json!({"email": contact["email"], "name": contact["name"], "attributes": {"seats": number}}),
        ));
        for event in 0..EVENTS {
            let at = format!("2026-10-{:02}T12:00:00Z", event + 1);
            events.push(record(
                format!("event-{number}-{event}"),
                json!({"contact": person, "kind": "page_viewed", "title": "Pricing", "occurred_at": at}),
            ));
        }
    }
    for (source, object, records) in [
        ("crm", "contact", &people),
        ("analytics", "contact", &people),
        ("analytics", "event", &events),
    ] {
        let path = format!("/v1/sources/{source}/records");
        for records in records.chunks(RECORDS_AT_ONCE) {
            let body = json!({"object": object, "records": records});
            let taken = fleet.rest.post(Some(fleet.tenant), &path, &body).await?;
            let taken = taken.success()?;
            if taken["accepted"] != records.len() {
                return Err(format!("{source} was not believed: {taken}").into());
            }
        }
    }
    Ok(())
}

/// Waits until everything that is stored is searched.
async fn until_searched(fleet: &Fleet) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let body = json!({"q": "", "limit": 1});
        let found = fleet
            .rest
            .post(Some(fleet.tenant), "/v1/search", &body)
            .await?;
        let found = found.success()?;
        if found["caught_up"] == true {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("not searched after {PATIENCE:?}: {found}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A new key that reads everything of a tenant.
async fn key_of(fleet: &Fleet, tenant: TenantId) -> Result<String, Failure> {
    let body = json!({"name": "bench", "scopes": ["profiles:read", "conversations:read", "connections:read"]});
    let made = fleet.rest.post(Some(tenant), "/v1/api_keys", &body).await?;
    let made = made.success()?;
    Ok(made["key"].as_str().ok_or("no key")?.to_owned())
}
