//! What an id, an address or a number names exactly.

use uuid::Uuid;

use crate::{
    domain::{ids, profile::IdentityValue},
    store::{
        StoreError, Tx,
        identities::{Linked, stored_value},
        roles::Api,
    },
};

/// Objects that one value may name. A value that more hold is an identity of none.
const HOLDERS: i64 = 20;

impl Tx<Api> {
    /// Contacts and companies whose records hold one of the identities that a text may be: an id of the customer's, an
    /// address, a phone number, a domain.
    #[tracing::instrument(name = "db.named_profiles", level = "debug", skip_all)]
    pub async fn named_profiles(&mut self, text: &str) -> Result<Vec<Uuid>, StoreError> {
        let of = |linked, value: IdentityValue| {
            value
                .blocked()
                .is_none()
                .then(|| stored_value::write(linked, &value))
        };
        let values: Vec<String> = [
            of(Linked::Contacts, IdentityValue::external_id(text)),
            of(Linked::Contacts, IdentityValue::email(text)),
            of(Linked::Contacts, IdentityValue::phone(text)),
            of(Linked::Companies, IdentityValue::external_id(text)),
            of(Linked::Companies, IdentityValue::domain(text)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT p.id AS "id!" FROM unnest($2::text[]) WITH ORDINALITY AS i(value, place)
               CROSS JOIN LATERAL (SELECT connection_id, source_id FROM identity_values
                                   WHERE tenant_id = $1 AND value = i.value
                                   ORDER BY value, connection_id, source_id LIMIT $3) h
               CROSS JOIN LATERAL (
                   (SELECT contact_id AS id FROM contact_sources
                    WHERE tenant_id = $1 AND connection_id = h.connection_id AND source_id = h.source_id
                      AND i.value NOT LIKE 'company_id:%' AND i.value NOT LIKE 'domain:%')
                   UNION ALL
                   (SELECT company_id FROM company_sources
                    WHERE tenant_id = $1 AND connection_id = h.connection_id AND source_id = h.source_id
                      AND (i.value LIKE 'company_id:%' OR i.value LIKE 'domain:%'))
                   OFFSET 0) p
               ORDER BY i.place"#,
            tenant,
            &values,
            HOLDERS,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// Objects of any workspace that have this id at their source.
    #[tracing::instrument(name = "db.objects_of_source_id", level = "debug", skip_all)]
    pub async fn objects_of_source_id(&mut self, source_id: &str) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        let connections = self.connection_sources().await?;
        let conversations: Vec<Uuid> = connections
            .keys()
            .map(|connection| ids::conversation_id(*connection, source_id))
            .collect();
        let connections: Vec<Uuid> = connections.keys().map(|connection| connection.0).collect();
        Ok(sqlx::query_scalar!(
            r#"SELECT o.id AS "id!" FROM unnest($2::uuid[], $3::uuid[]) AS i(connection_id, conversation_id)
               CROSS JOIN LATERAL (
                   (SELECT id FROM conversations WHERE tenant_id = $1 AND id = i.conversation_id)
                   UNION ALL
                   (SELECT contact_id FROM contact_sources
                    WHERE tenant_id = $1 AND connection_id = i.connection_id AND source_id = $4)
                   UNION ALL
                   (SELECT company_id FROM company_sources
                    WHERE tenant_id = $1 AND connection_id = i.connection_id AND source_id = $4)
                   OFFSET 0) o"#,
            tenant,
            &connections,
            &conversations,
            source_id,
        )
        .fetch_all(self.session())
        .await?)
    }
}
