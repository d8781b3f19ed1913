//! The page of one contact: its profile, why its records are one person, and its timeline.

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use shared::{
    profiles::{
        self, CompanyProfile, ContactIdentities, ContactProfile, ProfileDetail, TimelineEntry,
    },
    store::{
        ApiTx,
        reads::{AttributeDefinition, AttributeOwner, ConversationTotals},
    },
};
use uuid::Uuid;

use super::{
    attributes, contact_fields, fate,
    fields::{self, Origins},
    identities,
    intercom_links::IntercomLinks,
    naming::contact_name,
    paging::{self, ListedQuery, Mark, Paged},
    timeline, totals,
};
use crate::{
    Api,
    page::Pager,
    pages::{form, frame::Page, notice::Refusal, text::time, visitor::Visitor},
};

/// Entries of the timeline on a page.
const ENTRIES: u32 = 25;
/// Companies of a contact that are shown.
const COMPANIES: usize = 50;

/// What only the first page of the timeline has above it.
struct ContactFacts {
    /// The path named another id, which stands for this contact.
    is_renamed: bool,
    identities: ContactIdentities,
    companies: Vec<CompanyProfile>,
    definitions: Vec<AttributeDefinition>,
    totals: ConversationTotals,
    links: IntercomLinks,
}

/// `GET /contacts/{id}`, and older entries of its timeline with `?cursor=…`
pub(in crate::pages) async fn show(
    State(api): State<Api>,
    asked: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let visitor = Visitor::of(&api, &headers).await?;
    let visitor = visitor.ok_or(Refusal::SignedOut)?;
    let asked = paging::asked_id(asked)?;
    let query: ListedQuery = form::fields(query.unwrap_or_default().as_bytes());
    let mut tx = api.store.begin(visitor.session.tenant).await?;
    let own = tx.resolve_contact(asked).await?;
    let own = own.ok_or(Refusal::NotFound)?;
    let list = format!("page of a timeline?contact={own}");
    let pager = Pager::new(&api.vault, tx.tenant(), &list, Some(ENTRIES))?;
    let mark: Option<Mark> = paging::begin(&pager, &query.cursor)?;
    let contact = profiles::contact(&mut tx, own, ProfileDetail::Origins).await?;
    let contact = contact.ok_or(Refusal::NotFound)?;
    let facts = if mark.is_none() {
        Some(read(&mut tx, &contact, asked).await?)
    } else {
        None
    };
    let entries = profiles::timeline(&mut tx, own, paging::before(mark), pager.fetch()).await?;
    drop(tx);
    let entries = Paged::of(&pager, entries, |entry| (entry.at, entry.id))?;
    let title = contact_name(&contact.fields);
    let page = Page {
        status: StatusCode::OK,
        title: &title,
        code: "contact",
        visitor: Some(&visitor),
        form_targets: &[],
        is_live: false,
        content: content(&title, &contact, facts.as_ref(), &entries),
    };
    Ok(page.into_response())
}

async fn read(
    tx: &mut ApiTx,
    contact: &ContactProfile,
    asked: Uuid,
) -> Result<ContactFacts, Refusal> {
    let shown = contact.company_ids.iter().take(COMPANIES).copied();
    let shown: Vec<Uuid> = shown.collect();
    Ok(ContactFacts {
        is_renamed: asked != contact.id,
        identities: profiles::identities(tx, contact.id)
            .await?
            .ok_or(Refusal::NotFound)?,
        companies: profiles::companies_by_id(tx, &shown).await?,
        definitions: tx.attribute_definitions(AttributeOwner::Contact).await?,
        totals: tx.conversation_totals(contact.id).await?,
        links: IntercomLinks::read(tx).await?,
    })
}

fn content(
    title: &str,
    contact: &ContactProfile,
    facts: Option<&ContactFacts>,
    entries: &Paged<TimelineEntry>,
) -> Markup {
    let path = format!("/contacts/{}", contact.id);
    html! {
        p { a href="/contacts" { "All contacts" } }
        h1 { bdi { (title) } }
        @if let Some(facts) = facts {
            (fate::banners("contact", &path, facts.is_renamed, contact.deleted_at))
            (profile(contact, facts))
            (identities::section(contact.id, contact.sources.len(), &facts.identities))
            p id="conversations" { (totals::sentence(&facts.totals)) }
        } @else {
            p { a href=(path) { "Back to the profile" } }
        }
        (timeline::section(contact.id, entries, facts.is_some()))
    }
}

fn profile(contact: &ContactProfile, facts: &ContactFacts) -> Markup {
    let origins = Origins::new(&contact.fields.provenance, &contact.sources);
    let rows = contact_fields::rows(contact, &facts.companies, &origins);
    let (attributes, left_out) =
        attributes::rows(&contact.fields.attributes, &facts.definitions, &origins);
    html! {
        section {
            h2 { "Profile" }
            p class="dim" { "Last changed here at " (time(contact.updated_at)) ". Id: " code { (contact.id) } }
            (fields::render(&rows))
        }
        (attributes::section(&attributes, left_out))
        (fields::records(&contact.sources, |source| match source.source.as_str() {
            "intercom" => facts.links.contact(source.connection_id, &source.source_id),
            _ => None,
        }))
    }
}
