//! `get_contact`: who a person is.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    domain::profile::Consent,
    profiles::{self, ContactProfile, ProfileDetail},
    store::{
        ApiTx,
        reads::{ConversationFilter, Position},
    },
};
use uuid::Uuid;

use super::{
    shapes::{
        AttributeLine, CompanyLine, ConversationLine, LeftOut, SourceLine, attributes, name_list,
        note_left_out, text_of, untrusted, untrusted_list,
    },
    which,
};
use crate::mcp::{
    answer::{Answer, Detail, NextCall},
    call::{Call, Tool},
    freshness::{Freshness, Inbox, Workspaces},
    refusal::Refusal,
    untrusted::{Untrusted, plain},
};

/// Shows one contact.
pub(in crate::mcp) struct GetContact;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// The contact's id, as other tools give it. Ids of contacts that were merged answer with the survivor.
    contact_id: Option<String>,
    /// An email address of the person.
    email: Option<String>,
    /// A phone number with its country, such as +49 30 123456.
    phone: Option<String>,
    /// The id that the company's own systems have for the person.
    external_id: Option<String>,
    #[serde(default)]
    detail: Detail,
    /// From `next` of the answer before.
    cursor: Option<String>,
}

/// One person, as all sources together know them.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::mcp) struct Contact {
    contact_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_name: Option<Untrusted>,
    /// `user` or `lead`.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    untrusted_emails: Vec<Untrusted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    untrusted_phones: Vec<Untrusted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    untrusted_external_ids: Vec<Untrusted>,
    /// The teammate who owns the contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    companies: Vec<CompanyLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    segments: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_location: Option<Untrusted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_up_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<DateTime<Utc>>,
    /// When the contact last wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_replied_at: Option<DateTime<Utc>>,
    /// When a teammate last wrote to the contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_contacted_at: Option<DateTime<Utc>>,
    /// Whether the contact may be sent email: no source forbids it, and no mail has bounced for good.
    may_email: bool,
    /// What forbids to write: `unsubscribed`, `marked_as_spam`, `hard_bounced`, `unsubscribed_from_sms`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    restrictions: Vec<&'static str>,
    /// Absent if the key may not read conversations.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversations: Option<Conversations>,
    /// The records that the contact is made from. Only in detailed answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<SourceLine>,
    /// How many custom attributes the contact has. `describe_fields` tells what they mean.
    attribute_total: usize,
    /// Only in detailed answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<AttributeLine>,
    /// When the last source deleted the contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<DateTime<Utc>>,
    /// How many items of which list this answer leaves out.
    #[serde(skip_serializing_if = "LeftOut::is_empty")]
    left_out: LeftOut,
    /// What else a reader has to know of this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    /// The call that shows what is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextCall>,
    freshness: Freshness,
}

/// The conversations that the contact takes part in.
#[derive(Debug, Serialize, JsonSchema)]
struct Conversations {
    total: i64,
    open: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<DateTime<Utc>>,
    /// The last ones that changed. `get_contact_timeline` lists them all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    newest: Vec<ConversationLine>,
}

impl Input {
    /// The whole of the contact with this id.
    pub(in crate::mcp) fn detailed(id: &str) -> Self {
        Self {
            contact_id: Some(id.to_owned()),
            detail: Detail::Detailed,
            ..Self::default()
        }
    }
}

impl Tool for GetContact {
    const NAME: &'static str = "get_contact";
    const TITLE: &'static str = "Show a contact";
    const DESCRIPTION: &'static str = "Shows one person: names, addresses, companies, owner, tags, \
        whether they may be emailed, how many conversations they have and how many are open. Name the \
        person by exactly one of contact_id, email, phone or external_id. With detail \"detailed\" also \
        custom attributes and the records behind the profile.";
    type Input = Input;
    type Output = Contact;

    async fn run(call: &Call, input: Input) -> Result<Answer, Refusal> {
        let mut tx = call.begin().await?;
        let Input {
            contact_id,
            email,
            phone,
            external_id,
            detail,
            cursor,
        } = input;
        let own = which::contact(
            &mut tx,
            contact_id.as_deref(),
            email.as_deref(),
            phone.as_deref(),
            external_id.as_deref(),
        )
        .await?;
        let pager = call.pager(&format!("attributes?contact={own}"))?;
        let after: Option<String> = pager.position(cursor.as_deref())?;
        let unknown =
            || Refusal::unknown("contact with this id", "It may have been removed just now.");
        let profile = profiles::contact(&mut tx, own, ProfileDetail::Values)
            .await?
            .ok_or_else(unknown)?;
        let workspaces = Workspaces::read(&mut tx).await?;
        let companies = companies(&mut tx, &profile, detail).await?;
        let (lines, total) = attributes(&profile.fields.attributes, after.as_deref(), detail);
        let conversations = if call.may_read_conversations() {
            Some(ConversationsOf::read(&mut tx, own, detail).await?)
        } else {
            None
        };
        drop(tx);
        let inbox = workspaces.inbox();
        // A concise answer has no attributes.
        let lines = match detail {
            Detail::Concise => Vec::new(),
            Detail::Detailed => lines,
        };
        Answer::fitting(detail, lines.len(), |items| {
            let mut contact = Contact::of(&profile, detail, workspaces.freshness());
            contact.companies = companies
                .iter()
                .map(|company| CompanyLine::of(company, detail))
                .collect();
            contact.conversations = conversations
                .as_ref()
                .map(|found| found.shown(&inbox, detail));
            contact.note = conversations.is_none().then_some(
                "Conversations are left out, because the key lacks the scope conversations:read.",
            );
            contact.attribute_total = total;
            contact.attributes = lines[..items].to_vec();
            contact.next = match (detail, lines[..items].last()) {
                (Detail::Detailed, Some(last)) if items < lines.len() => {
                    contact.left_out.insert("attributes", lines.len() - items);
                    Some(next(own, Some(pager.cursor(&last.key)?)))
                }
                (Detail::Concise, _) if total > 0 || !contact.left_out.is_empty() => {
                    Some(next(own, None))
                }
                _ => None,
            };
            Ok(contact)
        })
    }
}

fn next(contact: Uuid, cursor: Option<String>) -> NextCall {
    NextCall::new(
        GetContact::NAME,
        [
            ("contact_id", json!(contact)),
            ("detail", json!(Detail::Detailed)),
            ("cursor", cursor.map_or(Value::Null, Value::from)),
        ],
    )
}

/// What was read of a contact's conversations.
struct ConversationsOf {
    totals: shared::store::reads::ConversationTotals,
    newest: Vec<shared::store::reads::ConversationRecord>,
}

impl ConversationsOf {
    async fn read(tx: &mut ApiTx, contact: Uuid, detail: Detail) -> Result<Self, Refusal> {
        let filter = ConversationFilter {
            contact: Some(contact),
            ..ConversationFilter::default()
        };
        let limit = detail.items() as i64;
        Ok(Self {
            totals: tx.conversation_totals(contact).await?,
            newest: tx.conversations(&filter, Position::newest(), limit).await?,
        })
    }

    fn shown(&self, inbox: &Inbox, detail: Detail) -> Conversations {
        let newest = self.newest.iter().cloned();
        Conversations {
            total: self.totals.total,
            open: self.totals.open,
            last_at: self.totals.last_at,
            newest: newest
                .map(|conversation| ConversationLine::of(conversation, inbox, detail))
                .collect(),
        }
    }
}

/// The first companies of a contact, in the contact's own order.
async fn companies(
    tx: &mut ApiTx,
    profile: &ContactProfile,
    detail: Detail,
) -> Result<Vec<profiles::CompanyProfile>, Refusal> {
    let first = profile.company_ids.len().min(detail.items());
    Ok(profiles::companies_by_id(tx, &profile.company_ids[..first]).await?)
}

impl Contact {
    /// What the profile itself shows.
    fn of(profile: &ContactProfile, detail: Detail, freshness: Freshness) -> Self {
        let fields = &profile.fields;
        let value = detail.value();
        let left_out = &mut LeftOut::new();
        note_left_out("companies", profile.company_ids.len(), detail, left_out);
        let sources = match detail {
            Detail::Concise => &[],
            Detail::Detailed => profile.sources.as_slice(),
        };
        note_left_out("sources", sources.len(), detail, left_out);
        Self {
            contact_id: profile.id,
            untrusted_name: untrusted(fields.name.as_deref(), value),
            role: fields.role.as_deref().map(|role| plain(role, value)),
            untrusted_emails: untrusted_list("emails", &fields.emails, detail, left_out),
            untrusted_phones: untrusted_list("phones", &fields.phones, detail, left_out),
            untrusted_external_ids: untrusted_list(
                "external_ids",
                &fields.external_ids,
                detail,
                left_out,
            ),
            owner: fields.owner.as_deref().map(|owner| plain(owner, value)),
            companies: Vec::new(),
            tags: name_list("tags", &fields.tags, detail, left_out),
            segments: name_list("segments", &fields.segments, detail, left_out),
            untrusted_location: location(fields.location.get(), value),
            signed_up_at: fields.signed_up_at,
            last_seen_at: fields.last_seen_at,
            last_replied_at: fields.last_replied_at,
            last_contacted_at: fields.last_contacted_at,
            may_email: fields.consent.may_email,
            restrictions: restrictions(fields.consent),
            conversations: None,
            sources: sources
                .iter()
                .take(detail.items())
                .map(|source| SourceLine::of(source, detail))
                .collect(),
            attribute_total: 0,
            attributes: Vec::new(),
            deleted_at: profile.deleted_at,
            left_out: std::mem::take(left_out),
            note: None,
            next: None,
            freshness,
        }
    }
}

fn restrictions(consent: Consent) -> Vec<&'static str> {
    let stated = [
        ("unsubscribed", consent.unsubscribed),
        ("marked_as_spam", consent.marked_as_spam),
        ("hard_bounced", consent.hard_bounced),
        ("unsubscribed_from_sms", consent.unsubscribed_from_sms),
    ];
    let stated = stated.into_iter().filter(|(_, holds)| *holds);
    stated.map(|(name, _)| name).collect()
}

/// Names of places, as far as they are known.
fn location(json: &str, limit: usize) -> Option<Untrusted> {
    let members: std::collections::BTreeMap<String, &serde_json::value::RawValue> =
        serde_json::from_str(json).unwrap_or_default();
    let places = ["city", "region", "country"].iter().filter_map(|name| {
        let text = text_of(members.get(*name)?.get());
        (!text.is_empty() && text != "null").then_some(text)
    });
    let places: Vec<String> = places.collect();
    untrusted(Some(&places.join(", ")), limit)
}
