//! The read operations, one file per resource.

mod companies;
mod contact_lists;
mod contacts;
mod conversations;
mod reference;
mod scroll;
mod totals;

use crate::errors::ApiError;
use crate::reply::Reply;
use crate::routes::Operation;
use crate::versions::Version;
use crate::workspace::{Inner, Shelf};

pub(crate) use scroll::Scroll;
pub(crate) use totals::Totals;

/// One authenticated call.
#[derive(Debug)]
pub(crate) struct Call<'c> {
    /// The simulator's own URL, for links to next pages.
    pub(crate) base: String,
    pub(crate) workspace: &'c Inner,
    pub(crate) shelf: &'c mut Shelf,
    pub(crate) version: Version,
    /// The id in the path.
    pub(crate) id: &'c str,
    pub(crate) query: Query,
    pub(crate) body: &'c [u8],
    pub(crate) now: i64,
}

/// Answers a read.
pub(crate) fn handle(operation: Operation, mut call: Call<'_>) -> Result<Reply, ApiError> {
    match operation {
        Operation::Me => Ok(reference::me(&call)),
        Operation::ListContacts => contacts::list(call),
        Operation::SearchContacts => contacts::search(call),
        Operation::GetContact => contacts::get(&call),
        Operation::ContactByExternalId => contacts::by_external_id(&call),
        Operation::ContactCompanies => contact_lists::companies(&call),
        Operation::ContactTags => contact_lists::tags(&call),
        Operation::ContactNotes => contact_lists::notes(&call),
        Operation::ContactSegments => contact_lists::segments(&call),
        Operation::ContactMergeHistory => contact_lists::merge_history(&call),
        Operation::ListCompanies => companies::list(&call),
        Operation::ListCompaniesPost => companies::list_post(&call),
        Operation::ScrollCompanies => scroll::scroll(&mut call),
        Operation::GetCompany => companies::get(&call),
        Operation::CompanyContacts => companies::contacts(&call),
        Operation::ListConversations => conversations::list(call),
        Operation::SearchConversations => conversations::search(call),
        Operation::GetConversation => conversations::get(&call),
        Operation::DeletedConversations => conversations::deleted(&call),
        Operation::ListAdmins => Ok(reference::admins(&call)),
        Operation::GetAdmin => reference::admin(&call),
        Operation::ListTeams => Ok(reference::teams(&call)),
        Operation::ListTags => Ok(reference::tags(&call)),
        Operation::ListSegments => Ok(reference::segments(&call)),
        Operation::DataAttributes => reference::data_attributes(&call),
        Operation::ConversationAttributes => Ok(reference::conversation_attributes(&call)),
        Operation::Authorize
        | Operation::AuthorizeDecision
        | Operation::ExchangeToken
        | Operation::Outside => Err(ApiError::new(404, "not_found", "Resource Not Found")),
    }
}

/// A query string or form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: Option<&str>) -> Self {
        Self(
            url::form_urlencoded::parse(text.unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}
