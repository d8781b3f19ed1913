//! The page of one conversation: what is known of it, and its thread with the oldest message first.

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use shared::{
    profiles::{self, CompanyProfile, ContactProfile},
    store::{
        ApiTx,
        reads::{AttributeDefinition, AttributeOwner, ConversationRecord, PartPosition},
    },
};

use super::{
    attributes, conversation_fields,
    fields::{self, Origins, outward},
    intercom_links::IntercomLinks,
    naming::contact_name,
    paging::{self, ListedQuery},
    parts::{self, ThreadPage},
    thread,
    timeline::{conversation_state, conversation_title},
};
use crate::{
    Api,
    page::Pager,
    pages::{form, frame::Page, notice::Refusal, visitor::Visitor},
};

/// Parts that a page has at most.
const PARTS: u32 = 100;
/// People and companies that are named.
const NAMED: usize = 20;

/// The place of a page's last part.
type ThreadMark = (DateTime<Utc>, String);

/// What only the first page has above the thread.
struct ConversationFacts {
    companies: Vec<CompanyProfile>,
    definitions: Vec<AttributeDefinition>,
    links: IntercomLinks,
}

/// `GET /conversations/{id}`, and later messages with `?cursor=…`
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
    let list = format!("page of parts?conversation={asked}");
    let pager = Pager::new(&api.vault, visitor.session.tenant, &list, Some(PARTS))?;
    let mark: Option<ThreadMark> = paging::begin(&pager, &query.cursor)?;
    let is_first = mark.is_none();
    let after = mark.map(|(at, source_id)| PartPosition { at, source_id });
    let mut tx = api.store.begin(visitor.session.tenant).await?;
    let conversation = tx.conversation(asked).await?;
    let conversation = conversation.ok_or(Refusal::NotFound)?;
    let people = conversation.contact_ids.iter().take(NAMED).copied();
    let people: Vec<_> = people.collect();
    let people = profiles::contacts_by_id(&mut tx, &people).await?;
    let facts = if is_first {
        Some(read(&mut tx, &conversation).await?)
    } else {
        None
    };
    let fetched = tx.parts(asked, after.as_ref(), pager.fetch()).await?;
    drop(tx);
    let thread = ThreadPage::of(fetched, pager.limit());
    let next = thread
        .last
        .as_ref()
        .map(|last| pager.cursor(&(last.at, last.source_id.as_str())))
        .transpose()?;
    let title = conversation_title(&conversation);
    let links = paging::links(
        &format!("/conversations/{asked}"),
        &[],
        is_first,
        next.as_deref(),
        ["First messages", "Later messages"],
    );
    let page = Page {
        status: StatusCode::OK,
        title: &title,
        code: "conversation",
        visitor: Some(&visitor),
        form_targets: &[],
        is_live: false,
        content: html! {
            (back(&people))
            h1 { bdi { (title) } }
            p { (conversation_state(&conversation)) }
            @if let Some(facts) = &facts { (about(&conversation, &people, facts)) }
            section id="thread" {
                h2 { "Messages" }
                p class=[(!thread::is_whole(&conversation.thread)).then_some("missing")] {
                    (thread::sentence(&conversation.thread))
                }
                (parts::list(&thread.parts))
                (links)
            }
        },
    };
    Ok(page.into_response())
}

async fn read(
    tx: &mut ApiTx,
    conversation: &ConversationRecord,
) -> Result<ConversationFacts, Refusal> {
    let companies = conversation.company_ids.iter().take(NAMED).copied();
    let companies: Vec<_> = companies.collect();
    Ok(ConversationFacts {
        companies: profiles::companies_by_id(tx, &companies).await?,
        definitions: tx
            .attribute_definitions(AttributeOwner::Conversation)
            .await?,
        links: IntercomLinks::read(tx).await?,
    })
}

/// The way back to the people whose conversation it is.
fn back(people: &[ContactProfile]) -> Markup {
    html! {
        nav aria-label="People of this conversation" {
            p {
                a href="/contacts" { "All contacts" }
                @for person in people {
                    " / " a href=(format!("/contacts/{}", person.id)) { bdi { (contact_name(&person.fields)) } }
                }
            }
        }
    }
}

fn about(
    conversation: &ConversationRecord,
    people: &[ContactProfile],
    facts: &ConversationFacts,
) -> Markup {
    let extras = profiles::conversation_extras(conversation);
    let rows = conversation_fields::rows(conversation, &extras, people, &facts.companies);
    // A conversation has one record, so its values have no other origin.
    let provenance = Default::default();
    let origins = Origins::new(&provenance, &[]);
    let (attributes, left_out) = attributes::rows(&extras.attributes, &facts.definitions, &origins);
    let (connection, number) = (conversation.connection_id, &conversation.source_id);
    html! {
        section {
            h2 { "About it" }
            (fields::render(&rows))
            @if let Some(href) = facts.links.conversation(connection, number) { p { (outward(&href, "Open it in Intercom")) } }
        }
        @if !attributes.is_empty() { (attributes::section(&attributes, left_out)) }
    }
}
