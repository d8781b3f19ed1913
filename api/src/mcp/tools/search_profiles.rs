//! `search_profiles`: people and companies by their words.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    domain::search::SearchKind,
    search::{self, SearchFilters, SearchHit, SearchRequest},
};
use uuid::Uuid;

use super::search::{Found, Mark, Page, company, position, query, value};
use crate::mcp::{
    answer::{Answer, Detail, NextCall},
    call::{Call, Tool},
    freshness::{Freshness, Workspaces},
    refusal::Refusal,
    untrusted::Untrusted,
};

/// Finds contacts and companies.
pub(in crate::mcp) struct SearchProfiles;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// Words of a name, an address, a tag or an attribute. All have to be there. "In quotation marks" is a phrase.
    query: Option<String>,
    /// Only contacts, or only companies.
    r#type: Option<Kind>,
    /// Only those with a tag of this name.
    tag: Option<String>,
    /// Only contacts that this teammate owns, by name.
    owner: Option<String>,
    /// Only contacts of this role: user or lead.
    role: Option<String>,
    /// Only contacts of this company.
    company_id: Option<String>,
    #[serde(default)]
    detail: Detail,
    /// From `next` of the answer before.
    cursor: Option<String>,
}

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Contact,
    Company,
}

/// Contacts and companies that were found, best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::mcp) struct Profiles {
    found: Found,
    profiles: Vec<ProfileLine>,
    /// How many come after these.
    left: usize,
    /// The call that shows what is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextCall>,
    freshness: Freshness,
}

/// A contact or a company.
#[derive(Debug, Serialize, JsonSchema)]
struct ProfileLine {
    /// contact or company: which tool reads it whole.
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    company_id: Option<Uuid>,
    untrusted_name: Untrusted,
    /// What was found, and what is around it.
    untrusted_snippet: Untrusted,
    /// When a source last changed it.
    changed_at: DateTime<Utc>,
}

impl Tool for SearchProfiles {
    const NAME: &'static str = "search_profiles";
    const TITLE: &'static str = "Search people and companies";
    const DESCRIPTION: &'static str = "Finds contacts and companies by words of their names, addresses, tags and \
        attributes, best first, with the true total. Without a query it lists what the filters let through, the \
        last changed first. Read one whole with get_contact or get_company.";
    type Input = Input;
    type Output = Profiles;

    async fn run(call: &Call, input: Input) -> Result<Answer, Refusal> {
        let detail = input.detail;
        let text = query(input.query.as_deref())?;
        let (tag, owner) = (value("tag", input.tag)?, value("owner", input.owner)?);
        let role = value("role", input.role)?;
        let mut tx = call.begin().await?;
        let company = company(&mut tx, input.company_id.as_deref()).await?;
        let kinds = match input.r#type {
            Some(Kind::Contact) => vec![SearchKind::Contact],
            Some(Kind::Company) => vec![SearchKind::Company],
            None => vec![SearchKind::Contact, SearchKind::Company],
        };
        let arguments = [
            ("query", json!(input.query)),
            ("type", json!(input.r#type)),
            ("tag", json!(tag)),
            ("owner", json!(owner)),
            ("role", json!(role)),
            ("company_id", json!(company)),
            ("detail", json!(detail)),
        ];
        let pager = call.pager(&format!("search_profiles?{}", json!(&arguments[..6])))?;
        let from: Option<Mark> = pager.position(input.cursor.as_deref())?;
        let shown_before = from.map_or(0, |(.., shown)| shown);
        let request = SearchRequest {
            text,
            kinds,
            filters: SearchFilters {
                tag,
                owner,
                role,
                company,
                ..SearchFilters::default()
            },
        };
        let matches = search::find(&mut tx, &request).await?;
        let after = from.as_ref().map(position);
        let (hits, more) = matches.page(&mut tx, after, detail.page()).await?;
        let workspaces = Workspaces::read(&mut tx).await?;
        drop(tx);
        let page = Page {
            tool: Self::NAME,
            arguments: &arguments,
            pager: &pager,
            matches: &matches,
            hits: &hits,
            has_more: more.is_some(),
            shown_before,
        };
        Answer::fitting(detail, hits.len(), |items| {
            let shown = &hits[..items];
            let (left, next) = page.what_follows(items)?;
            Ok(Profiles {
                found: Found::of(&matches),
                profiles: shown
                    .iter()
                    .map(|hit| ProfileLine::of(hit, detail))
                    .collect(),
                left,
                next,
                freshness: workspaces.freshness(),
            })
        })
    }
}

impl ProfileLine {
    fn of(hit: &SearchHit, detail: Detail) -> Self {
        let document = &hit.document;
        let is_contact = document.kind == SearchKind::Contact;
        Self {
            r#type: document.kind.as_str(),
            contact_id: is_contact.then_some(document.id),
            company_id: (!is_contact).then_some(document.id),
            untrusted_name: Untrusted::of(&document.title, detail.value()),
            untrusted_snippet: Untrusted::of(&hit.snippet, detail.long_value()),
            changed_at: document.active_at,
        }
    }
}
