//! Documents behind the commits: a slice reads what the feed tells next of a tenant, and writes documents of it. It counts
//! the conversations of companies as well.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::documents::{ConversationWriter, of_company, of_contact};
use crate::{
    domain::{TenantId, search::WordScope},
    profiles,
    store::{ApiStore, ApiTx, SearchDocument, StoreError, reads::PartRecord},
};

/// Changes of one slice. It takes milliseconds, or some hundred of them if the conversations are long.
const CHANGES: i64 = 100;
/// Parts that are read at once.
const PARTS: i64 = 200;
/// Documents that are kept in memory before they are written, in bytes of their texts.
const UNWRITTEN_BYTES: usize = 2 << 20;

/// What a slice did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedSlice {
    /// Changes that are indexed now.
    pub changes: usize,
    /// When the last of them was made.
    pub until: DateTime<Utc>,
    /// Whether more changes are waiting.
    pub has_more: bool,
}

/// Indexes the next changes of a tenant. `None` if another process does so.
///
/// An object is read after its change, so a document may be ahead of the feed and is never behind it. A slice that is
/// lost is worked again.
///
/// # Errors
/// See [`StoreError`].
#[tracing::instrument(name = "search.index", skip_all, fields(%tenant))]
pub async fn index_slice(
    store: &ApiStore,
    tenant: TenantId,
) -> Result<Option<IndexedSlice>, StoreError> {
    let mut tx = store.begin(tenant).await?;
    let Some(from) = tx.claim_indexing().await? else {
        return Ok(None);
    };
    let changes = tx.feed(from, true, CHANGES).await?;
    let has_more = changes.len() as i64 == CHANGES;
    let until = changes.last().map_or(from, |change| change.at);
    let ids = |object: &str| -> Vec<Uuid> {
        let of_kind = changes.iter().filter(|change| change.object == object);
        of_kind.map(|change| change.id).collect()
    };
    let mut slice = Slice {
        tenant,
        documents: Vec::new(),
        bytes: 0,
        indexed: HashSet::new(),
        scopes: BTreeSet::new(),
    };
    for contact in profiles::contacts_by_id(&mut tx, &ids("contact")).await? {
        if contact.merged_into.is_none() && contact.deleted_at.is_none() {
            slice.add(&mut tx, of_contact(tenant, &contact)).await?;
        }
    }
    for company in profiles::companies_by_id(&mut tx, &ids("company")).await? {
        if company.merged_into.is_none() && company.deleted_at.is_none() {
            slice.add(&mut tx, of_company(tenant, &company)).await?;
        }
    }
    slice
        .add_conversations(&mut tx, &ids("conversation"))
        .await?;
    slice.write(&mut tx).await?;
    let gone: Vec<Uuid> = changes
        .iter()
        .map(|change| change.id)
        .filter(|id| !slice.indexed.contains(id))
        .collect();
    tx.remove_search_documents(&gone).await?;
    let scopes: Vec<i16> = slice.scopes.into_iter().collect();
    tx.save_search_progress(until, &scopes, !has_more).await?;
    tx.commit().await?;
    Ok(Some(IndexedSlice {
        changes: changes.len(),
        until,
        has_more,
    }))
}

/// The documents of a slice.
struct Slice {
    tenant: TenantId,
    /// Those that are not written yet.
    documents: Vec<SearchDocument>,
    bytes: usize,
    indexed: HashSet<Uuid>,
    /// The numbers of the scopes that it has documents of.
    scopes: BTreeSet<i16>,
}

impl Slice {
    async fn add_conversations(&mut self, tx: &mut ApiTx, ids: &[Uuid]) -> Result<(), StoreError> {
        let mut listed = tx.conversations_by_id(ids).await?;
        listed.retain(|conversation| conversation.deleted_at.is_none());
        tx.count_for_companies(ids, &listed).await?;
        for conversation in listed {
            let mut writer = ConversationWriter::new(&conversation);
            let mut after = None;
            loop {
                let parts = tx.parts(conversation.id, after.as_ref(), PARTS).await?;
                for part in &parts {
                    writer.add(part);
                }
                let is_last = (parts.len() as i64) < PARTS;
                after = parts.last().map(PartRecord::position);
                if is_last || writer.is_full() {
                    break;
                }
            }
            let document = writer.finish(self.tenant, &conversation);
            self.add(tx, document).await?;
        }
        Ok(())
    }

    async fn add(&mut self, tx: &mut ApiTx, document: SearchDocument) -> Result<(), StoreError> {
        self.indexed.insert(document.id);
        let scope = WordScope::of(self.tenant, document.kind, document.active_at);
        self.scopes.insert(scope.number());
        self.bytes += document.body.len() + document.words.len();
        self.documents.push(document);
        if self.bytes >= UNWRITTEN_BYTES {
            self.write(tx).await?;
        }
        Ok(())
    }

    async fn write(&mut self, tx: &mut ApiTx) -> Result<(), StoreError> {
        self.bytes = 0;
        tx.write_search_documents(std::mem::take(&mut self.documents))
            .await
    }
}
