//! Companies as profiles.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{ProfileDetail, deleted_everywhere, names, rules_for};
use crate::{
    domain::{
        profile::{
            CompanyProfileFields, CompanyRecord, Source, fold_company, fold_company_values,
            read_source_company,
        },
        records::CompanyFields,
    },
    intercom::wire,
    store::{
        ApiTx, StoreError,
        reads::{
            CompanyRecords, ConversationTotals, Position, ProfileFilter, ProfileSource,
            SourceRecord,
        },
    },
};

/// One company.
#[derive(Clone, Debug)]
pub struct CompanyProfile {
    pub id: Uuid,
    pub fields: CompanyProfileFields,
    /// Those that show it, as far as they are counted.
    pub conversations: ConversationTotals,
    pub sources: Vec<ProfileSource>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// The company that this one was merged into.
    pub merged_into: Option<Uuid>,
}

/// One company by its own id (see `Tx::resolve_company`). `None` for an unknown or foreign id.
///
/// # Errors
/// See [`StoreError`].
pub async fn company(
    tx: &mut ApiTx,
    id: Uuid,
    detail: ProfileDetail,
) -> Result<Option<CompanyProfile>, StoreError> {
    let found = tx.companies_by_id(&[id]).await?;
    Ok(profiles(tx, found, detail).await?.pop())
}

/// Companies by their own ids, in the order of the ids. Unknown and foreign ones are left out.
///
/// # Errors
/// See [`StoreError`].
pub async fn companies_by_id(
    tx: &mut ApiTx,
    ids: &[Uuid],
) -> Result<Vec<CompanyProfile>, StoreError> {
    let found = tx.companies_by_id(ids).await?;
    profiles(tx, found, ProfileDetail::Values).await
}

/// A page of companies, last changed first.
///
/// # Errors
/// See [`StoreError`].
pub async fn companies(
    tx: &mut ApiTx,
    filter: ProfileFilter,
    before: Position,
    limit: i64,
    detail: ProfileDetail,
) -> Result<Vec<CompanyProfile>, StoreError> {
    let page = tx.companies(filter, before, limit).await?;
    profiles(tx, page, detail).await
}

async fn profiles(
    tx: &mut ApiTx,
    page: Vec<CompanyRecords>,
    detail: ProfileDetail,
) -> Result<Vec<CompanyProfile>, StoreError> {
    let mut read: Vec<(CompanyRecords, Vec<CompanyRecord>)> = page
        .into_iter()
        .map(|company| {
            let records = company.records.iter().map(read_record).collect();
            (company, records)
        })
        .collect();
    let records = || read.iter().flat_map(|(_, records)| records);
    let items: HashSet<_> = records().flat_map(names::of_company).collect();
    let known = tx.reference_names(&items).await?;
    for record in read.iter_mut().flat_map(|(_, records)| records) {
        names::name_company(record, &known);
    }
    let rules = rules_for(tx, read.iter().map(|(_, records)| records.len())).await?;
    let ids: Vec<Uuid> = read.iter().map(|(company, _)| company.id).collect();
    let totals = tx.company_totals(&ids).await?;
    Ok(read
        .into_iter()
        .map(|(company, records)| {
            let records: Vec<CompanyRecord> = records;
            let is_merged = company.merged_into.is_some();
            let sources: Vec<ProfileSource> = company
                .records
                .into_iter()
                .filter(|_| !is_merged)
                .map(|record| record.source)
                .collect();
            let fields = match detail {
                ProfileDetail::Values => fold_company_values(&records, &rules),
                ProfileDetail::Origins => fold_company(&records, &rules),
            };
            CompanyProfile {
                id: company.id,
                fields,
                conversations: totals.get(&company.id).copied().unwrap_or_default(),
                deleted_at: deleted_everywhere(&sources),
                sources,
                updated_at: company.updated_at,
                merged_into: company.merged_into,
            }
        })
        .collect())
}

/// Reads a stored record. What this build cannot read has no fields, and its profile still names its source.
fn read_record(stored: &SourceRecord) -> CompanyRecord {
    let text = stored.text();
    let source = stored.source.kind();
    let fields = match source {
        Source::Intercom => wire::read_company_fields(&text).ok(),
        Source::Crm | Source::Email | Source::Analytics => {
            read_source_company(&text).ok().map(|record| record.fields)
        }
    };
    let fields = fields.unwrap_or_else(|| {
        tracing::warn!(source_id = %stored.source.source_id, "a stored company cannot be read");
        CompanyFields::default()
    });
    CompanyRecord {
        key: stored.key(),
        source,
        source_updated_at: stored.source.source_updated_at,
        deleted_at: stored.source.deleted_at,
        external_id: stored.external_id.clone(),
        companies: Vec::new(),
        fields,
    }
}
