//! Conversations: the first message, participants, statistics and parts.

use rand::Rng;
use rand::rngs::SmallRng;
use serde::Deserialize;
use serde_json::json;

use super::parts::contact_author;
use super::times::At;
use super::{World, chance, mix, paragraph, part, pick, render, sentence};
use crate::model::{
    AiAgent, Attachment, Attributes, Author, Channel, Company, ContactRefs, ContentSources,
    Conversation, FirstReply, LinkedObjects, Rating, Reference as Ref, Sla, Source, SourceAuthor,
    Statistics, TagApplied, TagsApplied, TeamResponse, Teammates,
};
use crate::store::{ConversationEntry, Head, Kind, Store};

/// What a conversation shows of a contact.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Card {
    pub(crate) role: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) external_id: Option<String>,
}

/// Makes conversation `number` and stores it. `contact` takes part for certain. Returns its id.
pub(crate) fn conversation(
    world: &World,
    store: &mut Store,
    number: u64,
    at: At,
    contact: Option<&str>,
) -> String {
    let mut rng = world.rng(Kind::Conversation, number);
    let id = world.numeric_id(number).to_string();
    let contacts = participants(store, &mut rng, contact);
    let count = part_count(world, &mut rng, number);
    let author = contact_author(&mut rng, &contacts);
    let mut parts = Vec::with_capacity(count);
    for n in 0..count {
        let step = (at.updated - at.created) * i64::try_from(n).unwrap_or(0)
            / i64::try_from(count).unwrap_or(1).max(1);
        // The last part is what moved updated_at.
        let when = if n + 1 == count {
            at.updated
        } else {
            at.created + step
        };
        parts.push(part(world, store, when, &author));
    }
    let state = *pick(
        &mut rng,
        &["closed", "closed", "closed", "open", "open", "snoozed"],
    );
    let admin = chance(&mut rng, 0.7).then(|| store.reference.some_admin(&mut rng).clone());
    let team = store.reference.some_team(&mut rng).cloned();
    let team = team.filter(|_| chance(&mut rng, 0.5));
    let refs = ContactRefs::new(
        contacts
            .iter()
            .map(|(id, card)| (id.clone(), card.external_id.clone())),
    );
    let source = source(&mut rng, number, &author);
    let ai = chance(&mut rng, 0.3);
    let conversation = Conversation {
        kind: "conversation".into(),
        id: id.clone(),
        created_at: at.created,
        updated_at: at.updated,
        waiting_since: (state == "open").then_some(at.updated),
        snoozed_until: (state == "snoozed").then_some(at.updated + 86_400),
        first_contact_reply: (count > 0).then(|| FirstReply {
            created_at: at.created,
            kind: "conversation".into(),
            url: None,
        }),
        admin_assignee_id: admin.as_ref().map_or(0, |admin| admin.id),
        team_assignee_id: team.as_ref().map_or(0, |team| team.id),
        company: company_of(store, &mut rng, &contacts),
        open: state != "closed",
        state: state.into(),
        read: chance(&mut rng, 0.6),
        tags: tags(store, &mut rng, at.updated),
        priority: (*pick(
            &mut rng,
            &["none", "none", "none", "low", "medium", "high", "urgent"],
        ))
        .into(),
        sla_applied: chance(&mut rng, 0.1).then(|| Sla {
            kind: "conversation_sla_summary".into(),
            sla_name: "Premium – 1 h".into(),
            sla_status: (*pick(&mut rng, &["hit", "missed", "cancelled", "active"])).into(),
        }),
        statistics: (!chance(&mut rng, 0.02)).then(|| {
            let admin_id = admin.as_ref().map(|admin| admin.id);
            let team = team.as_ref().map(|team| (team.id, team.name.clone()));
            statistics(&mut rng, at, count, state, admin_id, team)
        }),
        conversation_rating: chance(&mut rng, 0.1)
            .then(|| {
                let rating = rng.random_range(1..=5);
                let teammate = store.reference.some_admin(&mut rng).id.to_string();
                Rating::new(
                    &refs,
                    rating,
                    sentence(&mut rng).into(),
                    at.updated,
                    teammate,
                )
            })
            .flatten(),
        teammates: admin.as_ref().map(|admin| Teammates {
            kind: "admin.list".into(),
            admins: vec![Ref {
                kind: "admin".into(),
                id: Some(admin.id.to_string()),
            }],
        }),
        title: chance(&mut rng, 0.3).then(|| sentence(&mut rng).to_owned()),
        custom_attributes: attributes(&mut rng),
        topics: Attributes::new(),
        ticket: None,
        linked_objects: LinkedObjects {
            kind: "list".into(),
            data: Vec::new(),
            total_count: 0,
            has_more: false,
        },
        ai_agent: ai.then(|| ai_agent(&mut rng, at)),
        ai_agent_participated: ai,
        sales_agent: None,
        sales_agent_participated: false,
        channel: source.kind.clone().map(|kind| Channel {
            initial: Some(kind.clone()),
            current: Some(kind),
        }),
        external_references: Vec::new(),
        contacts: refs,
        source,
    };
    let entry = ConversationEntry {
        head: Head::new(&id, at.created, at.updated, render(&conversation)),
        shuffle: i64::try_from(mix(world.tag, number) >> 2).unwrap_or(0),
        parts,
    };
    store.next.conversation = store.next.conversation.max(number + 1);
    store.conversations.put(entry);
    id
}

/// Sets what follows from the state.
pub(crate) fn state_of(conversation: &mut Conversation, state: &'static str, at: i64) {
    conversation.open = state != "closed";
    conversation.state = state.into();
    conversation.waiting_since = (state == "open").then_some(at);
    conversation.snoozed_until = (state == "snoozed").then_some(at + 86_400);
}

/// A fifth have no parts. The others are many short and a few long threads around the mean.
fn part_count(world: &World, rng: &mut SmallRng, number: u64) -> usize {
    if number < u64::from(world.spec.conversations_over_500) {
        return rng.random_range(501..=700);
    }
    if chance(rng, 0.2) || world.spec.parts <= 0.0 {
        return 0;
    }
    // One part is certain below, so the rest has to average to this.
    let mean = (world.spec.parts / 0.8 - 1.0).max(0.0);
    let long = chance(rng, 0.15);
    let scale = if long { 3.2 } else { 0.6118 };
    let draw = -rng.random::<f64>().max(1e-9).ln() * mean * scale;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    let rest = draw.round().min(450.0) as usize;
    1 + rest
}

/// Usually one contact, sometimes several, rarely none.
fn participants(store: &Store, rng: &mut SmallRng, contact: Option<&str>) -> Vec<(String, Card)> {
    let wanted = *pick(
        rng,
        &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 0],
    );
    let mut ids: Vec<String> = contact.map(ToOwned::to_owned).into_iter().collect();
    for _ in 0..wanted * 2 {
        if ids.len() >= wanted || store.contacts.len() == 0 {
            break;
        }
        let Some(id) = store.some_contact(rng) else {
            break;
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids.into_iter()
        .filter_map(|id| {
            let entry = store.contacts.get(&id)?;
            let card = serde_json::from_slice(&entry.head.body).ok()?;
            Some((id, card))
        })
        .collect()
}

fn source(rng: &mut SmallRng, number: u64, author: &Author) -> Source {
    // Some workspaces return an empty source for conversations without a first message.
    if chance(rng, 0.02) {
        return Source::default();
    }
    let kind = *pick(
        rng,
        &[
            "conversation",
            "conversation",
            "email",
            "email",
            "whatsapp",
            "facebook",
            "unknown",
        ],
    );
    Source {
        kind: Some(kind.into()),
        id: Some((403_918_000 + number).to_string()),
        delivered_as: Some(
            (*pick(rng, &["customer_initiated", "admin_initiated", "automated"])).into(),
        ),
        subject: Some((kind == "email").then(|| format!("<p>{}</p>", sentence(rng)))),
        body: Some(paragraph(rng, 2, 8)),
        author: Some(SourceAuthor {
            kind: author.kind.clone(),
            id: Some(author.id.clone()),
            name: author.name.clone(),
            email: author.email.clone().filter(|email| !email.is_empty()),
        }),
        attachments: Some(attachments(number)),
        url: Some(chance(rng, 0.3).then(|| "https://app.example.com/billing?tab=1".to_owned())),
        redacted: Some(false),
    }
}

/// A file with each sixteenth first message. By number and not by chance: one draw more would change every conversation
/// that scenarios know.
fn attachments(number: u64) -> Vec<Attachment> {
    if number % 16 != 7 {
        return Vec::new();
    }
    vec![Attachment {
        kind: "upload".into(),
        name: "Rechnung № 7.pdf".to_owned(),
        url: format!("https://downloads.example.com/i/o/{number}/5f1d/invoice.pdf?expires=1&sig=x"),
        content_type: "application/pdf".into(),
        filesize: 48_213,
        width: None,
        height: None,
    }]
}

fn company_of(
    store: &Store,
    rng: &mut SmallRng,
    contacts: &[(String, Card)],
) -> Option<Box<Company>> {
    if !chance(rng, 0.4) {
        return None;
    }
    let contact = store.contacts.get(&contacts.first()?.0)?;
    let company = store.companies.get(contact.companies.first()?)?;
    serde_json::from_slice(&company.head.body).ok()
}

fn tags(store: &Store, rng: &mut SmallRng, at: i64) -> TagsApplied {
    let count = *pick(rng, &[0, 0, 0, 1, 1, 2]);
    let tags = store.reference.some_tags(rng, count);
    TagsApplied {
        kind: "tag.list".into(),
        tags: tags
            .into_iter()
            .map(|tag| TagApplied {
                kind: tag.kind,
                id: tag.id,
                name: tag.name,
                applied_at: Some(at),
                applied_by: chance(rng, 0.8).then(|| Ref {
                    kind: "admin".into(),
                    id: Some(store.reference.some_admin(rng).id.to_string()),
                }),
            })
            .collect(),
    }
}

fn statistics(
    rng: &mut SmallRng,
    at: At,
    parts: usize,
    state: &str,
    admin: Option<i64>,
    team: Option<(i64, String)>,
) -> Statistics {
    let replied = parts > 1;
    let closed = state == "closed";
    let age = at.updated - at.created;
    let wait = rng.random_range(0..=age.max(1));
    Statistics {
        kind: "conversation_statistics".into(),
        time_to_assignment: admin.map(|_| 0),
        time_to_admin_reply: replied.then_some(wait),
        time_to_first_close: closed.then_some(age),
        time_to_last_close: closed.then_some(age),
        median_time_to_reply: replied.then_some(wait / 2),
        first_contact_reply_at: Some(at.created),
        first_assignment_at: admin.map(|_| at.created),
        first_admin_reply_at: replied.then_some(at.created + wait),
        first_close_at: closed.then_some(at.updated),
        last_assignment_at: admin.map(|_| at.created),
        last_assignment_admin_reply_at: replied.then_some(at.created + wait),
        last_contact_reply_at: Some(at.created),
        last_admin_reply_at: replied.then_some(at.updated),
        last_close_at: closed.then_some(at.updated),
        last_closed_by_id: admin.filter(|_| closed).map(|id| id.to_string()),
        count_reopens: rng.random_range(0..3),
        count_assignments: u32::from(admin.is_some()),
        count_conversation_parts: parts,
        assigned_team_first_response_time: team
            .into_iter()
            .map(|(team_id, team_name)| TeamResponse {
                team_id,
                team_name,
                response_time: wait,
            })
            .collect(),
        assigned_team_first_response_time_in_office_hours: Vec::new(),
        handling_time: replied.then_some(wait.min(4000)),
        adjusted_handling_time: None,
    }
}

fn attributes(rng: &mut SmallRng) -> Attributes {
    let mut map = Attributes::new();
    if chance(rng, 0.5) {
        map.insert(
            "Issue type".into(),
            json!(*pick(rng, &["Billing", "Bug", "Häufige Frage"])),
        );
        map.insert("Has attachments".into(), json!(chance(rng, 0.2)));
    }
    if chance(rng, 0.3) {
        map.insert("CX Score rating".into(), json!(rng.random_range(1..=5)));
        map.insert("CX Score explanation".into(), json!(sentence(rng)));
    }
    map
}

fn ai_agent(rng: &mut SmallRng, at: At) -> AiAgent {
    AiAgent {
        source_type: Some("workflow".into()),
        source_title: Some("Welcome – v2".into()),
        last_answer_type: Some((*pick(rng, &["ai_answer", "custom_answer"])).into()),
        resolution_state: Some(
            (*pick(
                rng,
                &["assumed_resolution", "confirmed_resolution", "escalated"],
            ))
            .into(),
        ),
        rating: None,
        rating_remark: None,
        created_at: Some(at.created),
        updated_at: Some(at.updated),
        content_sources: ContentSources {
            kind: "content_source.list".into(),
            total_count: 1,
            content_sources: vec![json!({
                "content_type": "article",
                "url": "https://help.example.com/en/articles/1",
                "title": "Getting started",
                "locale": "en",
            })],
        },
    }
}
