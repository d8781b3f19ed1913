//! Companies as profiles.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::deleted_everywhere;
use crate::{
    domain::{JsonText, records::CompanyFields},
    intercom::wire,
    store::{
        ApiTx, StoreError,
        reads::{CompanyRecords, Position, ProfileFilter, ProfileSource, SourceRecord},
    },
};

/// One company.
#[derive(Clone, Debug)]
pub struct CompanyProfile {
    pub id: Uuid,
    pub fields: CompanyFields,
    pub sources: Vec<ProfileSource>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// One company. `None` for an unknown or foreign id.
///
/// # Errors
/// See [`StoreError`].
pub async fn company(tx: &mut ApiTx, id: Uuid) -> Result<Option<CompanyProfile>, StoreError> {
    Ok(tx.company(id).await?.map(CompanyProfile::of))
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
) -> Result<Vec<CompanyProfile>, StoreError> {
    let page = tx.companies(filter, before, limit).await?;
    Ok(page.into_iter().map(CompanyProfile::of).collect())
}

impl CompanyProfile {
    fn of(company: CompanyRecords) -> Self {
        let mut fields = CompanyFields::default();
        for record in &company.records {
            fill(&mut fields, read(record));
        }
        let sources: Vec<ProfileSource> = company
            .records
            .into_iter()
            .map(|record| record.source)
            .collect();
        Self {
            id: company.id,
            fields,
            deleted_at: deleted_everywhere(&sources),
            sources,
            updated_at: company.updated_at,
        }
    }
}

/// Reads a stored record. What this build cannot read has no fields, and its profile still names its source.
fn read(stored: &SourceRecord) -> CompanyFields {
    let text = String::from_utf8_lossy(&stored.raw);
    wire::read_company(&text).map_or_else(
        |_| {
            tracing::warn!(source_id = %stored.source.source_id, "a stored company cannot be read");
            CompanyFields::default()
        },
        |company| company.fields,
    )
}

/// Fills the fields that are empty.
fn fill(fields: &mut CompanyFields, record: CompanyFields) {
    let first = |to: &mut Option<String>, from| *to = to.take().or(from);
    first(&mut fields.name, record.name);
    first(&mut fields.domain, record.domain);
    first(&mut fields.plan, record.plan);
    first(&mut fields.industry, record.industry);
    fields.size = fields.size.or(record.size);
    fields.user_count = fields.user_count.or(record.user_count);
    fields.session_count = fields.session_count.or(record.session_count);
    if fields.attributes == JsonText::default() {
        fields.attributes = record.attributes;
    }
}
