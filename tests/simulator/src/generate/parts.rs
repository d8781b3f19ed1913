//! Conversation parts.

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use super::{World, chance, paragraph, pick, render};
use crate::model::{Attachment, Author, Part, Reference as Ref, TagName};
use crate::store::{Kind, PartEntry, Store};

/// What Intercom writes over a redacted body.
pub(crate) const DELETED_BODY: &str = "<p><i>This message was deleted</i></p>";

/// Part types with their weights. The last ones are in no published list.
const TYPES: &[(&str, u32)] = &[
    ("comment", 60),
    ("note", 10),
    ("assignment", 6),
    ("close", 5),
    ("open", 4),
    ("snoozed", 2),
    ("quick_reply", 2),
    ("default_assignment", 2),
    ("conversation_attribute_updated_by_admin", 3),
    ("conversation_tags_updated", 2),
    ("custom_action_started", 1),
    ("custom_action_finished", 1),
    ("language_detection_details", 1),
    ("ticket_orbit_realigned_v9", 1),
];

/// Makes the next part of a conversation.
pub(crate) fn part(world: &World, store: &mut Store, at: i64, writer: &Author) -> PartEntry {
    let number = store.next.part;
    store.next.part += 1;
    let mut rng = world.rng(Kind::Part, number);
    let id = world.numeric_id(1000 + number);
    let part_type = part_type(&mut rng);
    let by_contact = part_type == "comment" && chance(&mut rng, 0.5) || part_type == "quick_reply";
    let author = if by_contact {
        writer.clone()
    } else {
        staff(store, &mut rng, part_type)
    };
    let body = match part_type {
        "comment" | "note" => Some(paragraph(&mut rng, 1, 4)),
        "quick_reply" | "open" if chance(&mut rng, 0.5) => Some(paragraph(&mut rng, 1, 1)),
        _ => None,
    };
    let part = Part {
        kind: "conversation_part".into(),
        id: id.to_string(),
        part_type: part_type.into(),
        body,
        created_at: at,
        updated_at: at,
        notified_at: at,
        assigned_to: part_type.contains("assignment").then(|| Ref {
            kind: "admin".into(),
            id: Some(store.reference.some_admin(&mut rng).id.to_string()),
        }),
        author,
        attachments: attachments(&mut rng, id),
        external_id: None,
        redacted: false,
        email_message_metadata: email_metadata(&mut rng),
        metadata: None,
        state: if part_type == "close" {
            "closed"
        } else {
            "open"
        }
        .into(),
        tags: tags(store, &mut rng),
        event_details: event_details(part_type),
        app_package_code: part_type
            .starts_with("custom_action")
            .then_some("test-integration".into()),
    };
    PartEntry {
        id,
        updated_at: at,
        body: render(&part),
    }
}

fn part_type(rng: &mut SmallRng) -> &'static str {
    let total: u32 = TYPES.iter().map(|(_, weight)| weight).sum();
    let mut place = rng.random_range(0..total);
    for (name, weight) in TYPES {
        if place < *weight {
            return name;
        }
        place -= weight;
    }
    "comment"
}

fn staff(store: &Store, rng: &mut SmallRng, part_type: &str) -> Author {
    if part_type == "comment" && chance(rng, 0.2) || part_type == "default_assignment" {
        return Author {
            kind: "bot".into(),
            id: "278".to_owned(),
            name: Some("Fin".to_owned()),
            email: Some("operator+abcd1234@intercom.example".to_owned()),
            from_ai_agent: true,
            is_ai_answer: part_type == "comment",
        };
    }
    let admin = store.reference.some_admin(rng);
    Author {
        kind: "admin".into(),
        id: admin.id.to_string(),
        name: Some(admin.name.clone()),
        email: Some(admin.email.clone()),
        from_ai_agent: false,
        is_ai_answer: false,
    }
}

fn attachments(rng: &mut SmallRng, id: u64) -> Vec<Attachment> {
    if !chance(rng, 0.06) {
        return Vec::new();
    }
    vec![Attachment {
        kind: "upload".into(),
        name: "Bildschirm\u{ad}foto 1.png".to_owned(),
        url: format!("https://downloads.example.com/i/o/{id}/8e3b1f/screen.png?expires=1&sig=x"),
        content_type: "image/png".into(),
        filesize: rng.random_range(1000..4_000_000),
        width: Some(1280),
        height: Some(720),
    }]
}

fn email_metadata(rng: &mut SmallRng) -> Option<Value> {
    chance(rng, 0.05).then(|| {
        json!({
            "subject": "Re: your question",
            "email_address_headers": [
                {"type": "from", "email_address": "someone@customer.example", "name": null}
            ],
            "message_id": "<CAJ7@mail.example>",
        })
    })
}

fn tags(store: &Store, rng: &mut SmallRng) -> Vec<TagName> {
    if chance(rng, 0.04) {
        return store.reference.some_tags(rng, 1);
    }
    Vec::new()
}

fn event_details(part_type: &str) -> Option<Value> {
    match part_type {
        "custom_action_started" => Some(json!({"action": {"name": "Jira Create Issue"}})),
        "custom_action_finished" => {
            Some(json!({"action": {"name": "Jira Create Issue", "result": "success"}}))
        }
        "conversation_attribute_updated_by_admin" => Some(json!({
            "attribute": {"name": "jira_issue_key"},
            "value": {"name": "PROJ-007", "previous": null},
        })),
        "language_detection_details" => Some(json!({})),
        _ => None,
    }
}

/// Picks the author that writes in the contact's name.
pub(crate) fn contact_author(
    rng: &mut SmallRng,
    contacts: &[(String, super::conversations::Card)],
) -> Author {
    let Some((id, card)) = (!contacts.is_empty()).then(|| pick(rng, contacts)) else {
        return Author {
            kind: "user".into(),
            id: String::new(),
            name: None,
            email: Some(String::new()),
            from_ai_agent: false,
            is_ai_answer: false,
        };
    };
    Author {
        kind: card.role.clone().into(),
        id: id.clone(),
        name: card.name.clone(),
        // Not nullable in parts, unlike in the first message.
        email: Some(card.email.clone().unwrap_or_default()),
        from_ai_agent: false,
        is_ai_answer: false,
    }
}
