//! The people of a company.

use uuid::Uuid;

use crate::store::{StoreError, Tx, roles::Api};

impl Tx<Api> {
    /// Own ids of a company's contacts, the youngest id first, at most so many. The company's own id is needed (see
    /// [`Tx::resolve_company`]). What is deleted is left out.
    #[tracing::instrument(name = "db.company_contacts", level = "debug", skip_all)]
    pub async fn company_contacts(
        &mut self,
        company: Uuid,
        limit: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        // From the company to its contacts. The links are limited, and not only the answer, so that a company of a whole
        // tenant costs no more than the limit says.
        Ok(sqlx::query_scalar!(
            "WITH linked AS MATERIALIZED (
                 SELECT l.connection_id, l.contact_source_id
                 FROM (SELECT connection_id, source_id FROM company_sources
                       WHERE tenant_id = $1 AND company_id = $2) o
                 CROSS JOIN LATERAL (SELECT connection_id, contact_source_id FROM contact_companies
                                     WHERE tenant_id = $1 AND connection_id = o.connection_id
                                       AND company_source_id = o.source_id OFFSET 0) l
                 LIMIT $3
             )
             SELECT DISTINCT s.contact_id FROM linked
             CROSS JOIN LATERAL (SELECT contact_id FROM contact_sources
                                 WHERE tenant_id = $1 AND connection_id = linked.connection_id
                                   AND source_id = linked.contact_source_id AND merged_into IS NULL
                                   AND deleted_at IS NULL OFFSET 0) s
             ORDER BY 1 DESC",
            tenant,
            company,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }
}
