//! Compares everything that is stored for a connection with the simulator's truth, field by field.
//!
//! The expected value of each column is worked out here from the truth's JSON, with none of the code by
//! which the sync reads Intercom. A mistake in that code therefore cannot hide itself.
//!
//! These are the only exceptions:
//! - A part beyond the newest 500 may be stored (Intercom showed it once) or not. Its thread is then
//!   `truncated`.
//! - An object that was deleted before the sync saw it is not expected. If it is stored, it must be
//!   marked as deleted, and a merged contact must name its survivor.
//! - Parts of a deleted conversation, and links of a deleted contact or company, may stay or not.
//! - An object that cannot be read (no id, no time, the wrong type) belongs in quarantine.
//! - The caller removes from the truth what a plan or scope excludes: [`without_conversations`].
//! - A connection pinned to a version before 2.16 gets other shapes, so its raw bytes are not compared.

mod check;
mod companies;
mod contacts;
mod conversations;
mod fields;
mod parts;
mod report;
#[cfg(test)]
mod tests;
mod truth;
mod value;

use intercom_simulator::{Kind, TruthLine};
use shared::{
    domain::{ConnectionId, TenantId},
    store::{ApiStore, ApiTx, StoreError},
};
use uuid::Uuid;

pub use report::Report;

use check::Comparison;
use truth::Shape;

/// Rows read at once.
const PAGE: i64 = 2_000;

/// Compares everything stored for a connection with `truth`. `store` must have the API's role.
///
/// Rows are read page by page. Nothing may be written for the connection meanwhile, because the result
/// would then mix several moments.
///
/// # Errors
/// See [`StoreError`].
pub async fn compare(
    store: &ApiStore,
    tenant: TenantId,
    connection: ConnectionId,
    truth: &[TruthLine],
) -> Result<Report, StoreError> {
    let mut tx = store.begin(tenant).await?;
    let stored = tx.connection(connection).await?;
    let version = stored
        .map(|connection| connection.api_version)
        .unwrap_or_default();
    let mut comparison = Comparison::new(truth, Shape::of_version(&version));
    compare_people(&mut tx, connection, &mut comparison).await?;
    compare_conversations(&mut tx, connection, &mut comparison).await?;
    for reference in tx.export_reference(connection).await? {
        comparison.reference(&reference);
    }
    Ok(comparison.finish())
}

/// Contacts, companies, and the links between them.
async fn compare_people(
    tx: &mut ApiTx,
    connection: ConnectionId,
    comparison: &mut Comparison<'_>,
) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let page = tx.export_contacts(connection, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.source_id);
        page.iter().for_each(|stored| comparison.contact(stored));
    }
    let mut after = String::new();
    loop {
        let page = tx.export_companies(connection, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.source_id);
        page.iter().for_each(|stored| comparison.company(stored));
    }
    let mut after = (String::new(), String::new());
    loop {
        let page = tx
            .export_links(connection, (&after.0, &after.1), PAGE)
            .await?;
        let Some(last) = page.last() else { break };
        after = (
            last.contact_source_id.clone(),
            last.company_source_id.clone(),
        );
        page.iter().for_each(|stored| comparison.link(stored));
    }
    Ok(())
}

/// Conversations and their parts. Conversations come first, because a part is counted for its thread.
async fn compare_conversations(
    tx: &mut ApiTx,
    connection: ConnectionId,
    comparison: &mut Comparison<'_>,
) -> Result<(), StoreError> {
    let mut after = Uuid::nil();
    loop {
        let page = tx.export_conversations(connection, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        page.iter()
            .for_each(|stored| comparison.conversation(stored));
    }
    let mut after = (Uuid::nil(), String::new());
    loop {
        let page = tx
            .export_parts(connection, (after.0, &after.1), PAGE)
            .await?;
        let Some(last) = page.last() else { break };
        after = (last.conversation_id, last.source_id.clone());
        page.iter().for_each(|stored| comparison.part(stored));
    }
    Ok(())
}

/// The truth for a workspace whose plan, or whose app's scopes, exclude conversations. None are expected,
/// and a stored one counts as extra.
#[must_use]
pub fn without_conversations(truth: &[TruthLine]) -> Vec<TruthLine> {
    truth
        .iter()
        .filter(|line| !matches!(line.kind, Kind::Conversation | Kind::Part))
        .cloned()
        .collect()
}
