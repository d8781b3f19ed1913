//! What is known of a conversation beside its thread.

use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::{
    domain::conversation_extras::{Channel, ConversationExtras, Rating, Sla},
    profiles::{CompanyProfile, ContactProfile},
    store::reads::ConversationRecord,
};

use super::{
    fields::{FieldRow, FieldValue},
    naming::{company_name, contact_name},
};
use crate::pages::text::{counted, span, time};

/// The rows of a conversation, without those that nothing is known of.
pub(super) fn rows(
    conversation: &ConversationRecord,
    extras: &ConversationExtras,
    people: &[ContactProfile],
    companies: &[CompanyProfile],
) -> Vec<FieldRow> {
    let link = |href: String, text: String| FieldValue {
        href: Some(href),
        ..FieldValue::new(&text)
    };
    let contacts = people.iter().map(|person| {
        link(
            format!("/contacts/{}", person.id),
            contact_name(&person.fields),
        )
    });
    let owners = companies.iter().map(|company| {
        link(
            format!("/companies/{}", company.id),
            company_name(&company.fields),
        )
    });
    let assignee = conversation.assignee.as_ref();
    let assignee = assignee.map(|one| one.name.clone().unwrap_or_else(|| one.id.clone()));
    let mut rows = vec![
        FieldRow {
            left_out: conversation.contact_ids.len().saturating_sub(people.len()),
            ..FieldRow::new("People", contacts.collect())
        },
        FieldRow {
            left_out: conversation
                .company_ids
                .len()
                .saturating_sub(companies.len()),
            ..FieldRow::new("Companies", owners.collect())
        },
        one("Number", Some(conversation.source_id.clone())),
        one("Assigned to", assignee),
        one("Priority", conversation.priority.clone()),
        FieldRow::new(
            "Tags",
            conversation
                .tags
                .iter()
                .map(|tag| FieldValue::new(tag))
                .collect(),
        ),
        one("Channel", extras.channel.as_ref().and_then(channel)),
        one("Rating", extras.rating.as_ref().map(rating)),
        one("SLA", extras.sla.as_ref().map(sla)),
        one(
            "AI agent",
            extras.ai_participated.then(|| "took part".to_owned()),
        ),
        statistics(extras),
        one("Begun", Some(time(conversation.source_created_at))),
        one("Last changed", Some(time(conversation.source_updated_at))),
    ];
    rows.retain(|row| !row.values.is_empty());
    rows
}

fn one(label: &str, value: Option<String>) -> FieldRow {
    let value = value.filter(|value| !value.is_empty());
    FieldRow::new(
        label,
        value.iter().map(|value| FieldValue::new(value)).collect(),
    )
}

fn channel(channel: &Channel) -> Option<String> {
    match (&channel.initial, &channel.current) {
        (Some(initial), Some(current)) if initial != current => {
            Some(format!("{initial}, later {current}"))
        }
        (initial, current) => initial.clone().or_else(|| current.clone()),
    }
}

fn rating(rating: &Rating) -> String {
    let remark = rating.remark.as_ref();
    let remark = remark.map_or_else(String::new, |remark| format!(": {remark}"));
    format!("{} of 5{remark}", rating.rating)
}

fn sla(sla: &Sla) -> String {
    match &sla.name {
        Some(name) => format!("{name}: {}", sla.status),
        None => sla.status.clone(),
    }
}

/// Durations, moments and counts, by the names that Intercom has for them.
fn statistics(extras: &ConversationExtras) -> FieldRow {
    let value = |(name, value): (&String, &Value)| {
        let label = name.replace('_', " ");
        let text = match value.as_i64() {
            Some(count) if name.starts_with("count_") => number_of(name, count),
            Some(seconds) => format!("{label}: {}", span(seconds)),
            None => format!("{label}: {}", moment(value)),
        };
        FieldValue::new(&text)
    };
    FieldRow::new("Statistics", extras.statistics.iter().map(value).collect())
}

/// A moment as people read it.
fn moment(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.parse::<DateTime<Utc>>()
        .map_or_else(|_| text.to_owned(), time)
}

fn number_of(name: &str, count: i64) -> String {
    let noun = name.trim_start_matches("count_").replace('_', " ");
    let one = noun.strip_suffix('s').unwrap_or(&noun);
    counted(count, one, &noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_ratings_read_well() {
        assert_eq!(number_of("count_reopens", 1), "1 reopen");
        assert_eq!(
            number_of("count_conversation_parts", 12),
            "12 conversation parts"
        );
        let given = Rating {
            rating: 4,
            remark: Some("quick".to_owned()),
            created_at: None,
            updated_at: None,
            teammate_id: None,
        };
        assert_eq!(rating(&given), "4 of 5: quick");
        let moved = Channel {
            initial: Some("email".to_owned()),
            current: Some("chat".to_owned()),
        };
        assert_eq!(channel(&moved).as_deref(), Some("email, later chat"));
        assert_eq!(channel(&Channel::default()), None);
    }
}
