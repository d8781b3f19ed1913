//! The list of contacts, last changed first, with the box for a search.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use maud::{Markup, html};
use shared::{
    domain::TenantId,
    profiles::{self, ContactProfile, ProfileDetail},
    search::QUERY_CHARACTERS,
    store::reads::ProfileFilter,
};

use super::{
    found,
    naming::{contact_name, first_visible, source_name},
    nothing::{Emptiness, why_no_contacts},
    paging::{self, ListedQuery, Paged},
};
use crate::{
    Api,
    page::Pager,
    pages::{
        form,
        frame::Page,
        notice::Refusal,
        text::{ago, shown},
        visitor::Visitor,
    },
};

/// Contacts on a page.
const CONTACTS: u32 = 50;

/// `GET /contacts`, and `GET /contacts?q=…` for a search
pub(in crate::pages) async fn show(
    State(api): State<Api>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let visitor = Visitor::of(&api, &headers).await?;
    let visitor = visitor.ok_or(Refusal::SignedOut)?;
    let query: ListedQuery = form::fields(query.unwrap_or_default().as_bytes());
    let is_too_long = query.q.chars().count() > QUERY_CHARACTERS;
    let tenant = visitor.session.tenant;
    let (status, code, below) = if is_too_long {
        (
            StatusCode::BAD_REQUEST,
            "search_too_long",
            found::too_long(),
        )
    } else if query.q.trim().is_empty() {
        let list = list(&api, tenant, &query.cursor).await?;
        (StatusCode::OK, "contacts", list)
    } else {
        let found = found::show(&api, tenant, &query).await?;
        (StatusCode::OK, "search", found)
    };
    let page = Page {
        status,
        title: "Contacts",
        code,
        visitor: Some(&visitor),
        form_targets: &[],
        is_live: false,
        content: html! {
            h1 { "Contacts" }
            (search_box(&query.q))
            (below)
        },
    };
    Ok(page.into_response())
}

fn search_box(text: &str) -> Markup {
    html! {
        form class="search" method="get" action="/contacts" role="search" {
            label for="q" { "Search contacts, companies and conversations" }
            div class="actions" {
                input id="q" type="search" name="q" maxlength=(QUERY_CHARACTERS) value=(shown(text, QUERY_CHARACTERS));
                button type="submit" { "Search" }
            }
        }
    }
}

async fn list(api: &Api, tenant: TenantId, cursor: &str) -> Result<Markup, Refusal> {
    let pager = Pager::new(&api.vault, tenant, "page of contacts", Some(CONTACTS))?;
    let mark = paging::begin(&pager, cursor)?;
    let mut tx = api.store.begin(tenant).await?;
    let fetched = profiles::contacts(
        &mut tx,
        ProfileFilter::default(),
        paging::before(mark),
        pager.fetch(),
        ProfileDetail::Values,
    )
    .await?;
    let empty: Option<Emptiness> = if fetched.is_empty() && mark.is_none() {
        Some(why_no_contacts(&mut tx).await?)
    } else {
        None
    };
    drop(tx);
    let page = Paged::of(&pager, fetched, |contact| (contact.updated_at, contact.id))?;
    let words = ["Newest contacts", "Older contacts"];
    Ok(html! {
        @if let Some(empty) = empty { (empty.card()) } @else { (table("The last changed ones come first.", &page.rows)) }
        (paging::links("/contacts", &[], mark.is_none(), page.cursor.as_deref(), words))
    })
}

/// Contacts with links to their pages.
pub(super) fn table(caption: &str, contacts: &[ContactProfile]) -> Markup {
    let now = Utc::now();
    html! {
        table {
            caption { (caption) }
            thead { tr { th scope="col" { "Name" } th scope="col" { "Address" } th scope="col" { "Known from" } th scope="col" { "Changed" } } }
            tbody {
                @for contact in contacts {
                    tr {
                        th scope="row" {
                            a href=(format!("/contacts/{}", contact.id)) { bdi { (contact_name(&contact.fields)) } }
                            @if let Some(role) = &contact.fields.role { " " span class="dim about" { (shown(role, 40)) } }
                        }
                        td { @if let Some(email) = first_visible([contact.fields.email.as_deref()]) { bdi { (email) } } }
                        td { (known_from(contact)) }
                        td { (ago(contact.updated_at, now)) }
                    }
                }
            }
        }
    }
}

/// The kinds of sources, each once.
fn known_from(contact: &ContactProfile) -> String {
    let mut names: Vec<String> = Vec::new();
    for source in &contact.sources {
        let name = source_name(&source.source);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}
