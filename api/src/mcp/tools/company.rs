//! `get_company`: what a company is, and its people.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value, json};
use shared::{
    profiles::{self, CompanyProfile, ProfileDetail},
    store::reads::CompanyContacts,
};
use uuid::Uuid;

use super::{
    shapes::{
        AttributeLine, ContactLine, LeftOut, SourceLine, attributes, name_list, note_left_out,
        untrusted, untrusted_list,
    },
    which,
};
use crate::mcp::{
    answer::{Answer, Detail, NextCall},
    call::{Call, Tool},
    freshness::{Freshness, Workspaces},
    refusal::Refusal,
    untrusted::Untrusted,
};

/// Links of a company that are looked at. More would cost more than an answer may.
const COUNTED: i64 = 10_000;

/// The last item that a page shows. Attributes come before contacts.
#[derive(Serialize, Deserialize)]
enum Shown {
    Attribute(String),
    Contact(Uuid),
}

/// Shows one company.
pub(in crate::mcp) struct GetCompany;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// The company's id, as other tools give it.
    company_id: Option<String>,
    /// The company's own domain or website, such as acme.com.
    domain: Option<String>,
    /// The id that the customer's own systems have for the company.
    external_id: Option<String>,
    #[serde(default)]
    detail: Detail,
    /// From `next` of the answer before.
    cursor: Option<String>,
}

/// One company, as all sources together know it.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::mcp) struct Company {
    company_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_name: Option<Untrusted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_domain: Option<Untrusted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    untrusted_external_ids: Vec<Untrusted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_website: Option<Untrusted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_plan: Option<Untrusted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_industry: Option<Untrusted>,
    /// Employees, as a source says.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<i64>,
    /// Users, as a source counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_count: Option<i64>,
    /// In a currency that no source names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    monthly_spend: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_request_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    segments: Vec<String>,
    /// The records that the company is made from. Only in detailed answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<SourceLine>,
    attribute_total: usize,
    /// Only in detailed answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<AttributeLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<DateTime<Utc>>,
    /// How many contacts the company has here.
    contact_total: usize,
    /// True if the company may have more contacts than contact_total, because only its first 10,000 links were counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    contact_total_is_minimum: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contacts: Vec<ContactLine>,
    /// Conversations of its people or about it. `search_conversations` with this company lists them.
    conversations: ConversationCount,
    /// How many items of which list this answer leaves out.
    #[serde(skip_serializing_if = "LeftOut::is_empty")]
    left_out: LeftOut,
    /// The call that shows what is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextCall>,
    freshness: Freshness,
}

/// How many conversations a company has. They are counted a few seconds after they change.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct ConversationCount {
    total: i64,
    open: i64,
    /// When the last one changed in Intercom.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<DateTime<Utc>>,
}

impl Input {
    /// The whole of the company with this id.
    pub(in crate::mcp) fn detailed(id: &str) -> Self {
        Self {
            company_id: Some(id.to_owned()),
            detail: Detail::Detailed,
            ..Self::default()
        }
    }
}

impl Tool for GetCompany {
    const NAME: &'static str = "get_company";
    const TITLE: &'static str = "Show a company";
    const DESCRIPTION: &'static str = "Shows one company: name, domain, plan, size, spend, tags, \
        its people with their ids, and how many conversations they have. Name the company by exactly one of company_id, domain or \
        external_id. With detail \"detailed\" also custom attributes and the records behind the profile.";
    type Input = Input;
    type Output = Company;

    async fn run(call: &Call, input: Input) -> Result<Answer, Refusal> {
        let mut tx = call.begin().await?;
        let Input {
            company_id,
            domain,
            external_id,
            detail,
            cursor,
        } = input;
        let own = which::company(
            &mut tx,
            company_id.as_deref(),
            domain.as_deref(),
            external_id.as_deref(),
        )
        .await?;
        let pager = call.pager(&format!("attributes and contacts?company={own}"))?;
        let after: Option<Shown> = pager.position(cursor.as_deref())?;
        let unknown =
            || Refusal::unknown("company with this id", "It may have been removed just now.");
        let profile = profiles::company(&mut tx, own, ProfileDetail::Values)
            .await?
            .ok_or_else(unknown)?;
        let workspaces = Workspaces::read(&mut tx).await?;
        let CompanyContacts { ids: all, is_cut } = tx.company_contacts(own, COUNTED).await?;
        let (lines, attribute_total) = lines_after(&profile, after.as_ref(), detail);
        // The youngest id comes first.
        let left: Vec<Uuid> = match after {
            Some(Shown::Contact(last)) => all.iter().copied().filter(|id| *id < last).collect(),
            _ => all.clone(),
        };
        let page = &left[..left.len().min(detail.page())];
        let people = profiles::contacts_by_id(&mut tx, page).await?;
        drop(tx);
        Answer::fitting(detail, lines.len() + people.len(), |items| {
            let (lines, more_lines) = lines.split_at(items.min(lines.len()));
            let (people, _) = people.split_at(items - lines.len());
            let mut company = Company::of(&profile, detail, workspaces.freshness());
            company.attribute_total = attribute_total;
            company.attributes = lines.to_vec();
            company.contact_total = all.len();
            company.contact_total_is_minimum = is_cut;
            company.contacts = people
                .iter()
                .map(|person| ContactLine::of(person, detail))
                .collect();
            let more_people = match people.last() {
                Some(last) => left.iter().filter(|id| **id < last.id).count(),
                None => left.len(),
            };
            for (name, more) in [("attributes", more_lines.len()), ("contacts", more_people)] {
                if more > 0 {
                    company.left_out.insert(name, more);
                }
            }
            let last = match (people.last(), lines.last()) {
                (Some(person), _) => Some(Shown::Contact(person.id)),
                (None, Some(line)) => Some(Shown::Attribute(line.key.clone())),
                (None, None) => None,
            };
            company.next = match last {
                Some(last) if more_lines.len() + more_people > 0 => {
                    Some(next(own, detail, Some(pager.cursor(&last)?)))
                }
                _ if detail == Detail::Concise
                    && (attribute_total > 0 || !company.left_out.is_empty()) =>
                {
                    Some(next(own, Detail::Detailed, None))
                }
                _ => None,
            };
            Ok(company)
        })
    }
}

/// The attributes that come after what was shown. A concise answer has none.
fn lines_after(
    profile: &CompanyProfile,
    after: Option<&Shown>,
    detail: Detail,
) -> (Vec<AttributeLine>, usize) {
    let last = match after {
        Some(Shown::Attribute(name)) => Some(name.as_str()),
        Some(Shown::Contact(_)) | None => None,
    };
    let (lines, total) = attributes(&profile.fields.attributes, last, detail);
    match (detail, after) {
        (Detail::Concise, _) | (_, Some(Shown::Contact(_))) => (Vec::new(), total),
        _ => (lines, total),
    }
}

fn next(company: Uuid, detail: Detail, cursor: Option<String>) -> NextCall {
    NextCall::new(
        GetCompany::NAME,
        [
            ("company_id", json!(company)),
            ("detail", json!(detail)),
            ("cursor", cursor.map_or(Value::Null, Value::from)),
        ],
    )
}

impl Company {
    /// What the profile itself shows.
    fn of(profile: &CompanyProfile, detail: Detail, freshness: Freshness) -> Self {
        let fields = &profile.fields;
        let value = detail.value();
        let left_out = &mut LeftOut::new();
        let sources = match detail {
            Detail::Concise => &[],
            Detail::Detailed => profile.sources.as_slice(),
        };
        note_left_out("sources", sources.len(), detail, left_out);
        Self {
            company_id: profile.id,
            untrusted_name: untrusted(fields.name.as_deref(), value),
            untrusted_domain: untrusted(fields.domain.as_deref(), value),
            untrusted_external_ids: untrusted_list(
                "external_ids",
                &fields.external_ids,
                detail,
                left_out,
            ),
            untrusted_website: untrusted(fields.website.as_deref(), value),
            untrusted_plan: untrusted(fields.plan.as_deref(), value),
            untrusted_industry: untrusted(fields.industry.as_deref(), value),
            size: fields.size,
            user_count: fields.user_count,
            session_count: fields.session_count,
            monthly_spend: fields.monthly_spend.clone(),
            last_request_at: fields.last_request_at,
            tags: name_list("tags", &fields.tags, detail, left_out),
            segments: name_list("segments", &fields.segments, detail, left_out),
            sources: sources
                .iter()
                .take(detail.items())
                .map(|source| SourceLine::of(source, detail))
                .collect(),
            attribute_total: 0,
            attributes: Vec::new(),
            deleted_at: profile.deleted_at,
            contact_total: 0,
            contact_total_is_minimum: false,
            contacts: Vec::new(),
            conversations: ConversationCount {
                total: profile.conversations.total,
                open: profile.conversations.open,
                last_at: profile.conversations.last_at,
            },
            left_out: std::mem::take(left_out),
            next: None,
            freshness,
        }
    }
}
