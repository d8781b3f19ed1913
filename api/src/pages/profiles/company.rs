//! The page of one company: its profile, how many conversations it has, and its contacts.

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use shared::{
    profiles::{self, CompanyProfile, ContactProfile, ProfileDetail},
    store::reads::{AttributeDefinition, AttributeOwner, CompanyContacts},
};
use uuid::Uuid;

use super::{
    attributes, company_fields,
    contacts::table,
    fate,
    fields::{self, Origins},
    naming::company_name,
    paging::{self, ListedQuery},
    totals,
};
use crate::{
    Api,
    page::Pager,
    pages::{
        form,
        frame::Page,
        notice::Refusal,
        text::{counted, time},
        visitor::Visitor,
    },
};

/// Contacts on a page.
const CONTACTS: u32 = 50;
/// Links of a company that are read. A company of a whole tenant costs no more.
const COUNTED: i64 = 10_000;

/// A page of a company's contacts, the youngest id first.
struct People {
    shown: Vec<ContactProfile>,
    total: usize,
    is_cut: bool,
    links: Markup,
}

/// `GET /companies/{id}`, and further contacts with `?cursor=…`
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
    let own = tx.resolve_company(asked).await?;
    let own = own.ok_or(Refusal::NotFound)?;
    let list = format!("page of contacts?company={own}");
    let pager = Pager::new(&api.vault, tx.tenant(), &list, Some(CONTACTS))?;
    let last: Option<Uuid> = paging::begin(&pager, &query.cursor)?;
    let company = profiles::company(&mut tx, own, ProfileDetail::Origins).await?;
    let company = company.ok_or(Refusal::NotFound)?;
    let definitions = if last.is_none() {
        Some(tx.attribute_definitions(AttributeOwner::Company).await?)
    } else {
        None
    };
    let CompanyContacts { mut ids, is_cut } = tx.company_contacts(own, COUNTED).await?;
    let total = ids.len();
    ids.retain(|id| last.is_none_or(|last| *id < last));
    let next = ids
        .get(..pager.limit())
        .filter(|page| page.len() < ids.len());
    let next = next
        .and_then(<[Uuid]>::last)
        .map(|last| pager.cursor(last))
        .transpose()?;
    ids.truncate(pager.limit());
    let people = People {
        shown: profiles::contacts_by_id(&mut tx, &ids).await?,
        total,
        is_cut,
        links: paging::links(
            &format!("/companies/{own}#contacts"),
            &[],
            last.is_none(),
            next.as_deref(),
            ["First contacts", "More contacts"],
        ),
    };
    drop(tx);
    let title = company_name(&company.fields);
    let page = Page {
        status: StatusCode::OK,
        title: &title,
        code: "company",
        visitor: Some(&visitor),
        form_targets: &[],
        is_live: false,
        content: html! {
            p { a href="/contacts" { "All contacts" } }
            h1 { bdi { (title) } }
            @if let Some(definitions) = &definitions {
                (fate::banners("company", &format!("/companies/{own}"), asked != own, company.deleted_at))
                (profile(&company, definitions))
            } @else {
                p { a href=(format!("/companies/{own}")) { "Back to the profile" } }
            }
            (contacts(&people))
        },
    };
    Ok(page.into_response())
}

fn profile(company: &CompanyProfile, definitions: &[AttributeDefinition]) -> Markup {
    let origins = Origins::new(&company.fields.provenance, &company.sources);
    let rows = company_fields::rows(&company.fields, &origins);
    let (attributes, left_out) =
        attributes::rows(&company.fields.attributes, definitions, &origins);
    html! {
        p { (totals::sentence(&company.conversations)) " They are counted a few seconds after they change." }
        section {
            h2 { "Profile" }
            p class="dim" { "Last changed here at " (time(company.updated_at)) ". Id: " code { (company.id) } }
            (fields::render(&rows))
        }
        (attributes::section(&attributes, left_out))
        (fields::records(&company.sources, |_| None))
    }
}

fn contacts(people: &People) -> Markup {
    let total = counted(people.total as i64, "contact", "contacts");
    html! {
        section id="contacts" {
            h2 { "Contacts" }
            @if people.total == 0 { p class="dim" { "No contact of this company is here." } } @else {
                p {
                    (total)
                    @if people.is_cut { " are listed here. The company has more, and a search finds those." } @else { "." }
                }
                (table("The people of this company.", &people.shown))
            }
            (people.links)
        }
    }
}
