//! The people of a company.

use uuid::Uuid;

use crate::store::{StoreError, Tx, roles::Api};

/// Contacts of a company.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompanyContacts {
    /// Own ids, the largest first.
    pub ids: Vec<Uuid>,
    /// Whether the company has more links to contacts than were looked at.
    pub is_cut: bool,
}

impl Tx<Api> {
    /// A company's contacts, among so many of its links. The company's own id is needed (see [`Tx::resolve_company`]). What is
    /// deleted is left out.
    #[tracing::instrument(name = "db.company_contacts", level = "debug", skip_all)]
    pub async fn company_contacts(
        &mut self,
        company: Uuid,
        limit: i64,
    ) -> Result<CompanyContacts, StoreError> {
        let tenant = self.tenant().0;
        // From the company to its contacts. The links are limited, and not only the answer, so that a company of a whole
        // tenant costs no more than the limit says.
        let rows = sqlx::query!(
            r#"WITH linked AS MATERIALIZED (
                 SELECT l.connection_id, l.contact_source_id
                 FROM (SELECT connection_id, source_id FROM company_sources
                       WHERE tenant_id = $1 AND company_id = $2) o
                 CROSS JOIN LATERAL (SELECT connection_id, contact_source_id FROM contact_companies
                                     WHERE tenant_id = $1 AND connection_id = o.connection_id
                                       AND company_source_id = o.source_id OFFSET 0) l
                 LIMIT $3::bigint + 1
             )
             SELECT DISTINCT s.contact_id, (SELECT count(*) FROM linked) > $3 AS "is_cut!" FROM linked
             CROSS JOIN LATERAL (SELECT contact_id FROM contact_sources
                                 WHERE tenant_id = $1 AND connection_id = linked.connection_id
                                   AND source_id = linked.contact_source_id AND merged_into IS NULL
                                   AND deleted_at IS NULL OFFSET 0) s
             ORDER BY 1 DESC"#,
            tenant,
            company,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        Ok(CompanyContacts {
            is_cut: rows.iter().any(|row| row.is_cut),
            ids: rows.into_iter().map(|row| row.contact_id).collect(),
        })
    }
}
