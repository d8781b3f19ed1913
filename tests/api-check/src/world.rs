//! The demo's world with two tenants: one is read, and the connection of the other is ended again and again.

use std::time::Instant;

use intercom_simulator::WorkspaceSpec;
use pathbound::demo::{
    self,
    progress::DemoProgress,
    scenarios::{DemoTenant, Scenario},
    world::World,
};
use serde_json::{Value, json};
use shared::domain::TenantId;

use crate::Failure;

/// A world in which two tenants are synced.
pub(crate) struct Synced {
    pub(crate) world: World,
    pub(crate) read: Ids,
    pub(crate) ended: Ids,
}

/// A tenant, and one of its objects of each kind.
pub(crate) struct Ids {
    pub(crate) tenant: TenantId,
    pub(crate) connection: String,
    pub(crate) run: String,
    pub(crate) contact: String,
    pub(crate) company: String,
    pub(crate) conversation: String,
    pub(crate) erasure: String,
    /// Contacts that several sources know, each with the name of one record.
    pub(crate) people: Vec<Value>,
}

impl Synced {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let started = Instant::now();
        let tenants = [tenant("read", 1), tenant("ended", 2)];
        let world = World::start(&tenants).await?;
        let progress = DemoProgress::new(started, tenants.len());
        let outcomes = demo::sync_tenants(&world, &tenants, &progress, started).await?;
        let mut ids = Vec::new();
        for outcome in &outcomes {
            if let Some(failure) = &outcome.failure {
                return Err(failure.clone().into());
            }
            let tenant = outcome.tenant.ok_or("a tenant is missing")?;
            ids.push(Ids::of(&world, tenant).await?);
        }
        let (Some(ended), Some(read)) = (ids.pop(), ids.pop()) else {
            return Err("a tenant is missing".into());
        };
        Ok(Self { world, read, ended })
    }
}

impl Ids {
    async fn of(world: &World, tenant: TenantId) -> Result<Self, Failure> {
        let first = async |path: &str| {
            let page = world.rest.get(tenant, path).await?;
            let id = page["items"][0]["id"].as_str().map(str::to_owned);
            id.ok_or_else(|| Failure::from(format!("{path} is empty")))
        };
        let erasure = erase_last(world, tenant).await?;
        let connection = first("/v1/connections").await?;
        Ok(Self {
            tenant,
            run: first(&format!("/v1/connections/{connection}/syncs")).await?,
            connection,
            contact: first("/v1/contacts").await?,
            company: first("/v1/companies").await?,
            conversation: talking(world, tenant).await?,
            erasure,
            people: people(world, tenant).await?,
        })
    }
}

/// Erases the contact that changed first, which no other look needs. Returns the erasure.
async fn erase_last(world: &World, tenant: TenantId) -> Result<String, Failure> {
    let contacts = world.rest.all(tenant, "/v1/contacts").await?;
    let last = contacts.last().and_then(|contact| contact["id"].as_str());
    let last = last.ok_or("there is no contact")?;
    let path = format!("/v1/contacts/{last}/erasure");
    let answer = world.rest.post(Some(tenant), &path, &json!({})).await?;
    let erasure = answer.success()?;
    let id = erasure["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| "an erasure has no id".into())
}

/// Contacts that can be parted, each with the name of the record to part from it.
async fn people(world: &World, tenant: TenantId) -> Result<Vec<Value>, Failure> {
    let contacts = world.rest.all(tenant, "/v1/contacts").await?;
    let parted = contacts.iter().filter_map(|contact| {
        let [first, _, ..] = contact["sources"].as_array()?.as_slice() else {
            return None;
        };
        let record =
            json!({"connection_id": first["connection_id"], "source_id": first["source_id"]});
        Some(json!({"contact": contact["id"], "record": record}))
    });
    Ok(parted.collect())
}

/// A conversation with a participant, so that neither its parts nor its contact's list is empty.
async fn talking(world: &World, tenant: TenantId) -> Result<String, Failure> {
    let page = world.rest.get(tenant, "/v1/conversations").await?;
    let items = page["items"].as_array().map_or(&[][..], |items| items);
    let has_contact = |item: &&Value| item["contact_ids"][0].is_string();
    let found = items
        .iter()
        .find(has_contact)
        .and_then(|item| item["id"].as_str());
    found
        .map(str::to_owned)
        .ok_or_else(|| "no conversation has a contact".into())
}

fn tenant(name: &str, seed: u64) -> DemoTenant {
    DemoTenant {
        name: name.to_owned(),
        scenario: Scenario::Ordinary,
        spec: WorkspaceSpec {
            name: name.to_owned(),
            seed,
            contacts: 60,
            companies: 20,
            conversations: 40,
            limit_per_window: 100_000,
            merged_contacts: 2,
            deleted_contacts: 2,
            deleted_conversations: 1,
            ..WorkspaceSpec::default()
        },
    }
}
