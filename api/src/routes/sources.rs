//! What other sources send: a CRM, an analytics tool, a mailing tool.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use shared::{
    domain::{
        ConnectionId, TenantId,
        audit_event::{AuditAction, Effect, NewAuditEvent},
        profile::{
            Source, SourceRecord, SourceRecordError, read_source_company, read_source_contact,
            read_source_event,
        },
    },
    store::{ConnectedSource, SourcesTx, WriteSummary},
};
use utoipa::ToSchema;

use super::{ERASED, NoQuery, source_shapes::BatchShape};
use crate::{
    Api,
    caller::{CallerActor, CallerTenant},
    error::ApiError,
    extract::{JsonBody, Params},
    idempotency::Repeatable,
    openapi::words,
    pending,
    purge::Purge,
};

/// Records of one call. More take a transaction too long.
const MAX_RECORDS: usize = 1_000;

/// What the records of a call are.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RecordObject {
    Contact,
    Company,
    Event,
}

/// Records of one source, each as text, so that one with a fault spoils no other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordBatch {
    object: RecordObject,
    records: Vec<Box<RawValue>>,
}

/// What became of the records of a call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordsTaken {
    /// Records that are stored now, in this version or in a later one.
    #[schema(minimum = 0)]
    accepted: usize,
    /// Those of them that have changed something.
    #[schema(minimum = 0)]
    changed: usize,
    #[schema(max_items = 1000)]
    rejected: Vec<RejectedRecord>,
}

/// A record that was not taken. Those beside it were.
#[derive(Debug, Serialize, ToSchema)]
struct RejectedRecord {
    /// Its place in the call, from zero.
    #[schema(minimum = 0)]
    index: usize,
    #[schema(value_type = words::RecordFault)]
    code: &'static str,
    /// What is wrong with it, and what to send.
    detail: String,
}

/// A source that has sent records.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SendingSource)]
pub(crate) struct SourceView {
    #[schema(value_type = words::SentSource)]
    source: &'static str,
    /// By this the records of the source are named in `sources` and `provenance`.
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    /// When its first record came.
    connected_at: DateTime<Utc>,
    /// What it has sent is being deleted. It takes no records until that is done.
    being_removed: bool,
}

/// All sources of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceList {
    #[schema(max_items = 3)]
    items: Vec<SourceView>,
}

/// Send records
///
/// Contacts, companies or events of a CRM, an analytics tool or a mailing tool. Contacts and companies become one profile
/// with what Intercom and the other sources say of the same person or company, and events show on the person's timeline. A
/// record is known by its `source_id`. A newer version replaces an older one, in whatever order they come, so it is safe to
/// send a record twice. A record with a fault is rejected by itself.
#[utoipa::path(
    post,
    path = "/v1/sources/{source}/records",
    operation_id = "send_records",
    tag = "Sources",
    params(("source" = words::SentSource, Path, description = "The source that sends the records.")),
    request_body = BatchShape,
    responses((status = 200, description = "What became of the records.", body = RecordsTaken)),
    extensions(("x-problems" = json!(["source_being_removed"]))),
)]
pub(crate) async fn receive(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(source): Path<String>,
    _: Params<NoQuery>,
    repeatable: Repeatable,
    JsonBody(batch): JsonBody<RecordBatch>,
) -> Result<Response, ApiError> {
    let source = sent_source(&source)?;
    let count = batch.records.len();
    if count > MAX_RECORDS {
        let detail = format!("must have at most {MAX_RECORDS} entries");
        return Err(ApiError::invalid("records", detail));
    }
    // Read before the transaction, so that nothing waits for the reading.
    let (tx, rejected, changed) = match batch.object {
        RecordObject::Contact => {
            let mut read = NewestRecords::of(batch.records, read_source_contact);
            let (alive, ended) =
                parted(std::mem::take(&mut read.by_id), SourceRecord::into_contact);
            let (mut tx, connection) = open(&api, tenant, source).await?;
            let written = tx.write_contacts(connection, alive).await?;
            read.refuse_erased(&written.kept_out);
            let marked = tx.end_contacts(connection, &ended).await?;
            (tx, read.rejected, changed(&written) + marked)
        }
        RecordObject::Company => {
            let read = NewestRecords::of(batch.records, read_source_company);
            let (alive, ended) = parted(read.by_id, SourceRecord::into_company);
            let (mut tx, connection) = open(&api, tenant, source).await?;
            let written = tx.write_companies(connection, alive).await?;
            let marked = tx.end_companies(connection, &ended).await?;
            (tx, read.rejected, changed(&written) + marked)
        }
        RecordObject::Event => {
            let mut read = NewestRecords::of(batch.records, read_source_event);
            let (alive, ended) = parted(std::mem::take(&mut read.by_id), SourceRecord::into_event);
            let (mut tx, connection) = open(&api, tenant, source).await?;
            let alive = alive.into_iter().flatten().collect();
            let written = tx.write_events(connection, alive).await?;
            read.refuse_erased(&written.kept_out);
            let marked = tx.end_events(connection, &ended).await?;
            (tx, read.rejected, written.changed + marked)
        }
    };
    let taken = RecordsTaken {
        accepted: count - rejected.len(),
        changed,
        rejected,
    };
    repeatable.commit(tx, StatusCode::OK, &taken).await
}

/// List sources
///
/// The sources that have sent records, in the order in which their first ones came. Intercom workspaces are connections.
#[utoipa::path(
    get,
    path = "/v1/sources",
    operation_id = "list_sources",
    tag = "Sources",
    responses((status = 200, description = "The sources.", body = SourceList)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    _: Params<NoQuery>,
) -> Result<Json<SourceList>, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let sources = tx.sources().await?;
    let items = sources.into_iter().map(SourceView::from).collect();
    Ok(Json(SourceList { items }))
}

/// Remove a source
///
/// Deletes everything that it has sent. Profiles show what they would show if it had never sent anything. Ids of contacts
/// that were known by its records answer with what is left of them. A repeat changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/sources/{source}",
    operation_id = "remove_source",
    tag = "Sources",
    params(("source" = words::SentSource, Path, description = "The source.")),
    responses((status = 202, description = "The source is being removed.")),
)]
pub(crate) async fn remove(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    Path(source): Path<String>,
    _: Params<NoQuery>,
) -> Result<StatusCode, ApiError> {
    let source = sent_source(&source)?;
    let mut tx = api.store.begin(tenant).await?;
    let removed = tx.remove_source(source).await?;
    if let Some((connection, Effect::Changed)) = removed {
        let event = NewAuditEvent::new(actor, AuditAction::SourceRemoved, connection.0);
        let details = json!({"source": source.as_str()});
        tx.add_audit_event(event.with(details)).await?;
    }
    tx.commit().await?;
    // One that has sent nothing is removed already.
    if let Some((connection, _)) = removed {
        pending::start(&api.store, tenant, Purge(connection)).await;
        tracing::info!(%tenant, %connection, source = source.as_str(), "source removed");
    }
    Ok(StatusCode::ACCEPTED)
}

/// A transaction that writes records of the source.
async fn open(
    api: &Api,
    tenant: TenantId,
    source: Source,
) -> Result<(SourcesTx, ConnectionId), ApiError> {
    let mut tx = api.sources_store.begin(tenant).await?;
    let connection = tx.open_source(source).await?;
    let connection = connection.ok_or_else(ApiError::source_being_removed)?;
    Ok((tx, connection))
}

/// A source that sends its records by itself. Intercom's are fetched.
fn sent_source(name: &str) -> Result<Source, ApiError> {
    Source::named(name)
        .filter(|source| *source != Source::Intercom)
        .ok_or_else(ApiError::not_found)
}

const fn changed(written: &WriteSummary) -> usize {
    written.inserted + written.updated
}

/// Records by id, each with its text.
type RecordsById<F> = BTreeMap<String, (SourceRecord<F>, String)>;

/// The newest version of each record of a call, because a source may send several.
struct NewestRecords<F> {
    by_id: RecordsById<F>,
    /// Where the versions of each record are in the call.
    indexes: BTreeMap<String, Vec<usize>>,
    rejected: Vec<RejectedRecord>,
}

/// A record's id, and when its source deleted it.
type EndedRecord = (String, DateTime<Utc>);

impl<F> NewestRecords<F> {
    fn of(
        records: Vec<Box<RawValue>>,
        read: impl Fn(&str) -> Result<SourceRecord<F>, SourceRecordError>,
    ) -> Self {
        let mut newest = Self {
            by_id: BTreeMap::new(),
            indexes: BTreeMap::new(),
            rejected: Vec::new(),
        };
        for (index, raw) in records.into_iter().enumerate() {
            match read(raw.get()) {
                Ok(record) => {
                    let of_record = newest.indexes.entry(record.source_id.clone());
                    of_record.or_default().push(index);
                    newest.add(record, raw.get());
                }
                Err(error) => newest.rejected.push(RejectedRecord {
                    index,
                    code: error.code(),
                    detail: error.to_string(),
                }),
            }
        }
        newest
    }

    /// Rejects every version of records that an erasure keeps out.
    fn refuse_erased(&mut self, kept_out: &[String]) {
        for index in kept_out
            .iter()
            .filter_map(|id| self.indexes.get(id))
            .flatten()
        {
            self.rejected.push(RejectedRecord {
                index: *index,
                code: ERASED,
                detail: "the person was erased and is kept out: leave the record out".to_owned(),
            });
        }
        self.rejected
            .sort_unstable_by_key(|rejected| rejected.index);
    }

    fn add(&mut self, record: SourceRecord<F>, raw: &str) {
        let known = self.by_id.get(&record.source_id);
        // Of two versions of one time, the later one in the call counts, as it would in a call of its own.
        if known.is_none_or(|(known, _)| known.source_updated_at <= record.source_updated_at) {
            let id = record.source_id.clone();
            self.by_id.insert(id, (record, raw.to_owned()));
        }
    }
}

/// Records that their source has, and those that it has deleted.
fn parted<F, T>(
    records: RecordsById<F>,
    into: impl Fn(SourceRecord<F>, String) -> T,
) -> (Vec<T>, Vec<EndedRecord>) {
    let (mut alive, mut ended) = (Vec::new(), Vec::new());
    for (record, raw) in records.into_values() {
        if record.is_deleted {
            ended.push((record.source_id, record.source_updated_at));
        } else {
            alive.push(into(record, raw));
        }
    }
    (alive, ended)
}

impl From<ConnectedSource> for SourceView {
    fn from(source: ConnectedSource) -> Self {
        Self {
            source: source.source.as_str(),
            connection_id: source.connection,
            connected_at: source.connected_at,
            being_removed: source.is_being_removed,
        }
    }
}
