//! Profiles by what they are known by.

use uuid::Uuid;

use crate::{
    domain::profile::IdentityValue,
    store::{
        StoreError, Tx,
        identities::{Linked, stored_value},
        roles::Api,
    },
};

/// Holders of one value that are read. A value of more links nobody, so it has many profiles.
const HOLDERS: i64 = 100;

/// One statement for both tables: the profiles of the records that hold a value.
macro_rules! profiles_of_holders {
    ($tx:ident, $tenant:ident, $value:ident, $table:literal, $profile:literal) => {
        sqlx::query_scalar!(
            "SELECT DISTINCT s."
                + $profile
                + " FROM (SELECT connection_id, source_id FROM identity_values
                          WHERE tenant_id = $1 AND value = $2
                          ORDER BY value, connection_id, source_id LIMIT $3) h
                    CROSS JOIN LATERAL (SELECT "
                + $profile
                + " FROM "
                + $table
                + " WHERE tenant_id = $1 AND connection_id = h.connection_id
                      AND source_id = h.source_id OFFSET 0) s
                    ORDER BY 1",
            $tenant,
            $value,
            HOLDERS,
        )
        .fetch_all($tx.session())
        .await?
    };
}

impl Tx<Api> {
    /// Own ids of the contacts of which a record holds the value. Deleted ones are among them. A value that is no identity
    /// has none.
    #[tracing::instrument(name = "db.contacts_known_by", level = "debug", skip_all)]
    pub async fn contacts_known_by(
        &mut self,
        value: &IdentityValue,
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        let value = stored_value::write(Linked::Contacts, value);
        Ok(profiles_of_holders!(
            self,
            tenant,
            value,
            "contact_sources",
            "contact_id"
        ))
    }

    /// The same of companies.
    #[tracing::instrument(name = "db.companies_known_by", level = "debug", skip_all)]
    pub async fn companies_known_by(
        &mut self,
        value: &IdentityValue,
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        let value = stored_value::write(Linked::Companies, value);
        Ok(profiles_of_holders!(
            self,
            tenant,
            value,
            "company_sources",
            "company_id"
        ))
    }
}
