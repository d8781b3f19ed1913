//! The links between contacts and companies, by their source ids.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::{StoreError, Tx, roles::Worker};
use crate::domain::{
    ConnectionId,
    records::{COMPANIES_SHOWN, SubList},
};

/// What a page of contacts reports of their companies.
#[derive(Default)]
pub(super) struct ReportedLinks {
    /// By contact.
    pub(super) companies: HashMap<String, SubList>,
    pub(super) versions: HashMap<String, DateTime<Utc>>,
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

impl Tx<Worker> {
    /// Writes the links of changed contacts, and of unchanged ones with a long list.
    pub(super) async fn write_links(
        &mut self,
        connection: ConnectionId,
        reported: &ReportedLinks,
        changed: &[String],
        updated: &HashSet<String>,
    ) -> Result<(), StoreError> {
        // The eleventh company of a contact may change without a trace in the contact's own bytes. The whole list was
        // fetched on purpose, so it is written even if the contact itself is unchanged.
        let changed_ids: HashSet<&str> = changed.iter().map(String::as_str).collect();
        let long_lists: Vec<&str> = reported
            .long_lists()
            .filter(|id| !changed_ids.contains(id))
            .collect();
        let unchanged = self
            .stored_in_version(connection, &long_lists, &reported.versions)
            .await?;
        let links: Vec<(&str, &str)> = changed
            .iter()
            .chain(&unchanged)
            .flat_map(|id| {
                let companies = reported.of(id).iter();
                companies.map(|company| (id.as_str(), company.as_str()))
            })
            .collect();
        let relinked: Vec<&str> = updated
            .iter()
            .filter(|id| reported.is_whole(id))
            .chain(&unchanged)
            .map(String::as_str)
            .collect();
        // A changed contact's own upsert has moved its time.
        self.relink(connection, &relinked, &links, &changed_ids)
            .await
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
        self.relink(connection, &whole, &links, &HashSet::new())
            .await
    }

    /// Adds links, removes the others of contacts whose list is `whole`, and moves the time of every contact that gained
    /// or lost one, unless it has `moved` already.
    async fn relink(
        &mut self,
        connection: ConnectionId,
        whole: &[&str],
        links: &[(&str, &str)],
        moved: &HashSet<&str>,
    ) -> Result<(), StoreError> {
        let mut relinked = self.drop_links(connection, whole, links).await?;
        relinked.extend(self.add_links(connection, links).await?);
        let touched: Vec<&str> = relinked
            .iter()
            .map(String::as_str)
            .filter(|id| !moved.contains(id))
            .collect();
        self.touch_contacts(connection, &touched).await
    }

    /// Those of the given contacts whose stored version is the given one.
    async fn stored_in_version(
        &mut self,
        connection: ConnectionId,
        ids: &[&str],
        versions: &HashMap<String, DateTime<Utc>>,
    ) -> Result<Vec<String>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            "SELECT source_id, source_updated_at FROM contact_sources
             WHERE tenant_id = $1 AND connection_id = $2 AND source_id = ANY ($3)",
            tenant,
            connection.0,
            ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        let is_stored = |id: &str, at| versions.get(id) == Some(&at);
        Ok(rows
            .into_iter()
            .filter(|row| is_stored(&row.source_id, row.source_updated_at))
            .map(|row| row.source_id)
            .collect())
    }

    /// Removes links of known contacts that the source no longer reports. A new contact has no links, and is not searched,
    /// because a first sync would pay for each. Returns the contacts that lost a link.
    async fn drop_links(
        &mut self,
        connection: ConnectionId,
        contacts: &[&str],
        links: &[(&str, &str)],
    ) -> Result<Vec<String>, StoreError> {
        if contacts.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant().0;
        let (left, right): (Vec<&str>, Vec<&str>) = links.iter().copied().unzip();
        Ok(sqlx::query_scalar!(
            "DELETE FROM contact_companies
             WHERE tenant_id = $1 AND connection_id = $2 AND contact_source_id = ANY ($3::text[])
               AND (contact_source_id, company_source_id) NOT IN (SELECT * FROM unnest($4::text[], $5::text[]))
             RETURNING contact_source_id",
            tenant,
            connection.0,
            contacts as &[&str],
            &left as &[&str],
            &right as &[&str],
        )
        .fetch_all(self.session())
        .await?)
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
