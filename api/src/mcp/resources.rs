//! Resources: the detailed answer about one object, at an address that holds nothing but its id.

use rmcp::model::{Resource, ResourceContents, ResourceTemplate};

use super::{
    call::{Call, Tool},
    refusal::Refusal,
    tools::{GetCompany, GetContact, GetConversation, company, contact, conversation},
};

const CONTACTS: &str = "pathbound://contacts/";
const COMPANIES: &str = "pathbound://companies/";
const CONVERSATIONS: &str = "pathbound://conversations/";

/// The templates, in the order in which they are listed.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    let template = |address: &str, name: &str, description: &str| {
        ResourceTemplate::new(format!("{address}{{id}}"), name)
            .with_description(description)
            .with_mime_type("text/plain")
    };
    vec![
        template(
            CONTACTS,
            "contact",
            "One person, as get_contact shows them in detail.",
        ),
        template(
            COMPANIES,
            "company",
            "One company, as get_company shows it in detail.",
        ),
        template(
            CONVERSATIONS,
            "conversation",
            "One conversation with its messages, as get_conversation shows it in detail.",
        ),
    ]
}

/// No object is listed, because a tenant has too many. The tools find them.
pub(super) const fn listed() -> Vec<Resource> {
    Vec::new()
}

/// The contents at an address.
///
/// # Errors
/// If there is no such object, or the key may not read it.
pub(super) async fn read(call: &Call, uri: &str) -> Result<ResourceContents, Refusal> {
    let answer = if let Some(id) = uri.strip_prefix(CONTACTS) {
        GetContact::run(call, contact::Input::detailed(id)).await?
    } else if let Some(id) = uri.strip_prefix(COMPANIES) {
        GetCompany::run(call, company::Input::detailed(id)).await?
    } else if let Some(id) = uri.strip_prefix(CONVERSATIONS) {
        GetConversation::run(call, conversation::Input::detailed(id)).await?
    } else {
        let fix = format!("Use {CONTACTS}{{id}}, {COMPANIES}{{id}} or {CONVERSATIONS}{{id}}.");
        return Err(Refusal::unknown("resource at this address", &fix));
    };
    Ok(ResourceContents::text(answer.text, uri))
}
