//! The links between contacts and companies, by their source ids.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{StoreError, Tx, roles::WritesRecords, versions::StoredVersions};
use crate::domain::{
    ConnectionId,
    records::{COMPANIES_SHOWN, SubList},
};

/// What a page reports of the companies of its contacts, if it is not older than what is stored.
#[derive(Default)]
pub(super) struct ReportedLinks {
    /// By contact.
    pub(super) companies: HashMap<String, SubList>,
}

impl ReportedLinks {
    /// Contacts with more companies than Intercom shows in a contact.
    fn long_lists(&self) -> impl Iterator<Item = &str> {
        let is_long = |list: &SubList| list.is_whole() && list.entries().len() > COMPANIES_SHOWN;
        self.companies
            .iter()
            .filter(move |(_, list)| is_long(list))
            .map(|(id, _)| id.as_str())
    }

    fn of(&self, contact: &str) -> &[String] {
        self.companies.get(contact).map_or(&[], SubList::entries)
    }

    /// Whether a link that is not reported is gone.
    fn is_whole(&self, contact: &str) -> bool {
        self.companies.get(contact).is_some_and(SubList::is_whole)
    }
}

impl<R: WritesRecords> Tx<R> {
    /// Writes the links of changed contacts, and of unchanged ones with a long list. `before` is what was stored of them.
    pub(super) async fn write_links(
        &mut self,
        connection: ConnectionId,
        reported: &ReportedLinks,
        changed: &[String],
        before: &StoredVersions<String>,
    ) -> Result<(), StoreError> {
        let changed_ids: HashSet<&str> = changed.iter().map(String::as_str).collect();
        // The eleventh company of a contact may change without a trace in the contact's own bytes. The whole list was
        // fetched on purpose, so it is written even if the contact itself is unchanged.
        let unchanged: Vec<&str> = reported
            .long_lists()
            .filter(|id| !changed_ids.contains(id))
            .collect();
        let links: Vec<(&str, &str)> = changed_ids
            .iter()
            .chain(&unchanged)
            .flat_map(|id| {
                reported
                    .of(id)
                    .iter()
                    .map(|company| (*id, company.as_str()))
            })
            .collect();
        // Only a contact that was stored before can have links to remove.
        let relinked: Vec<&str> = changed
            .iter()
            .filter(|id| !before.is_new(id) && reported.is_whole(id))
            .map(String::as_str)
            .chain(unchanged.iter().copied())
            .collect();
        let relinked = self.relink(connection, &relinked, &links).await?;
        // A new contact is noted already, and so are its conversations.
        let relinked: Vec<&str> = relinked
            .iter()
            .filter(|id| !before.is_new(id))
            .map(String::as_str)
            .collect();
        self.note_relinked_contacts(connection, &relinked);
        Ok(())
    }

    /// Writes lists of companies that were read on their own.
    #[tracing::instrument(name = "db.write_company_lists", level = "debug", skip_all)]
    pub async fn write_company_lists(
        &mut self,
        connection: ConnectionId,
        lists: &[(String, SubList)],
    ) -> Result<(), StoreError> {
        let links: Vec<(&str, &str)> = lists
            .iter()
            .flat_map(|(id, list)| {
                let companies = list.entries().iter();
                companies.map(|company| (id.as_str(), company.as_str()))
            })
            .collect();
        let whole: Vec<&str> = lists
            .iter()
            .filter(|(_, list)| list.is_whole())
            .map(|(id, _)| id.as_str())
            .collect();
        let relinked = self.relink(connection, &whole, &links).await?;
        let relinked: Vec<&str> = relinked.iter().map(String::as_str).collect();
        self.note_relinked_contacts(connection, &relinked);
        Ok(())
    }

    /// Adds links, and removes the others of contacts whose list is `whole`. Returns every contact that gained or lost one.
    async fn relink(
        &mut self,
        connection: ConnectionId,
        whole: &[&str],
        links: &[(&str, &str)],
    ) -> Result<BTreeSet<String>, StoreError> {
        let dropped = self.drop_links(connection, whole, links).await?;
        let added = self.add_links(connection, links).await?;
        Ok(dropped.into_iter().chain(added).collect())
    }

    /// Removes links of known contacts that the source no longer reports. Returns the contacts that lost a link.
    async fn drop_links(
        &mut self,
        connection: ConnectionId,
        contacts: &[&str],
        links: &[(&str, &str)],
    ) -> Result<Vec<String>, StoreError> {
        if contacts.is_empty() {
            return Ok(Vec::new());
        }
        let reported: HashSet<(&str, &str)> = links.iter().copied().collect();
        let mut dropped: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (contact, company) in self.stored_links(connection, contacts).await? {
            if !reported.contains(&(contact.as_str(), company.as_str())) {
                dropped.entry(contact).or_default().push(company);
            }
        }
        let tenant = self.tenant().0;
        // One contact at a time, because a page hardly ever has two that lost a company.
        for (contact, companies) in &dropped {
            sqlx::query!(
                "DELETE FROM contact_companies
                 WHERE tenant_id = $1 AND connection_id = $2 AND contact_source_id = $3 AND company_source_id = ANY ($4)",
                tenant,
                connection.0,
                contact,
                companies,
            )
            .execute(self.session())
            .await?;
        }
        Ok(dropped.into_keys().collect())
    }

    async fn stored_links(
        &mut self,
        connection: ConnectionId,
        contacts: &[&str],
    ) -> Result<Vec<(String, String)>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT i.source_id AS "contact!", l.company_source_id AS company FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT company_source_id FROM contact_companies
                                   WHERE tenant_id = $1 AND connection_id = $2 AND contact_source_id = i.source_id OFFSET 0) l"#,
            tenant,
            connection.0,
            contacts as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.contact, row.company))
            .collect())
    }

    /// Returns the contacts that got a link.
    async fn add_links(
        &mut self,
        connection: ConnectionId,
        links: &[(&str, &str)],
    ) -> Result<Vec<String>, StoreError> {
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant().0;
        let (left, right): (Vec<&str>, Vec<&str>) = links.iter().copied().unzip();
        Ok(sqlx::query_scalar!(
            "INSERT INTO contact_companies (tenant_id, connection_id, contact_source_id, company_source_id)
             SELECT DISTINCT $1::uuid, $2::uuid, contact, company FROM unnest($3::text[], $4::text[]) AS i(contact, company)
             ON CONFLICT DO NOTHING RETURNING contact_source_id",
            tenant,
            connection.0,
            &left as &[&str],
            &right as &[&str],
        )
        .fetch_all(self.session())
        .await?)
    }
}
