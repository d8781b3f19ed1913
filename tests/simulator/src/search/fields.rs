//! The fields that can be searched, as the API description lists them.

/// What a field holds, which decides the operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Integer,
    Boolean,
    Date,
    /// Tags of a contact: `=` and `!=` only.
    Tag,
    /// Whatever the customer put there.
    Any,
}

/// Name, type, and where the value lies in the object (empty: under the name).
pub(crate) type Field = (&'static str, Type, &'static str);

pub(crate) const CONTACT_FIELDS: &[Field] = &[
    ("id", Type::Text, ""),
    ("role", Type::Text, ""),
    ("name", Type::Text, ""),
    ("avatar", Type::Text, "avatar.image_url"),
    ("owner_id", Type::Text, ""),
    ("email", Type::Text, ""),
    ("email_domain", Type::Text, ""),
    ("phone", Type::Text, ""),
    ("formatted_phone", Type::Text, "phone"),
    ("external_id", Type::Text, ""),
    ("created_at", Type::Date, ""),
    ("signed_up_at", Type::Date, ""),
    ("updated_at", Type::Date, ""),
    ("last_seen_at", Type::Date, ""),
    ("last_contacted_at", Type::Date, ""),
    ("last_replied_at", Type::Date, ""),
    ("last_email_opened_at", Type::Date, ""),
    ("last_email_clicked_at", Type::Date, ""),
    ("language_override", Type::Text, ""),
    ("browser", Type::Text, ""),
    ("browser_language", Type::Text, ""),
    ("os", Type::Text, ""),
    ("location.country", Type::Text, ""),
    ("location.region", Type::Text, ""),
    ("location.city", Type::Text, ""),
    ("unsubscribed_from_emails", Type::Boolean, ""),
    ("marked_email_as_spam", Type::Boolean, ""),
    ("has_hard_bounced", Type::Boolean, ""),
    ("ios_last_seen_at", Type::Date, ""),
    ("ios_app_version", Type::Text, ""),
    ("ios_device", Type::Text, ""),
    ("ios_app_device", Type::Text, "ios_device"),
    ("ios_os_version", Type::Text, ""),
    ("ios_app_name", Type::Text, ""),
    ("ios_sdk_version", Type::Text, ""),
    ("android_last_seen_at", Type::Date, ""),
    ("android_app_version", Type::Text, ""),
    ("android_device", Type::Text, ""),
    ("android_app_name", Type::Text, ""),
    // The description misspells the name. Both are accepted.
    ("andoid_sdk_version", Type::Text, "android_sdk_version"),
    ("android_sdk_version", Type::Text, ""),
    ("segment_id", Type::Text, ""),
    ("tag_id", Type::Tag, ""),
];

pub(crate) const CONVERSATION_FIELDS: &[Field] = &[
    ("id", Type::Text, ""),
    ("created_at", Type::Date, ""),
    ("updated_at", Type::Date, ""),
    ("source.type", Type::Text, ""),
    ("source.id", Type::Text, ""),
    ("source.delivered_as", Type::Text, ""),
    ("source.subject", Type::Text, ""),
    ("source.body", Type::Text, ""),
    ("source.author.id", Type::Text, ""),
    ("source.author.type", Type::Text, ""),
    ("source.author.name", Type::Text, ""),
    ("source.author.email", Type::Text, ""),
    ("source.url", Type::Text, ""),
    ("contact_ids", Type::Text, "contacts.contacts.id"),
    ("teammate_ids", Type::Text, "teammates.admins.id"),
    ("admin_assignee_id", Type::Integer, ""),
    ("team_assignee_id", Type::Integer, ""),
    ("channel_initiated", Type::Text, "source.type"),
    ("open", Type::Boolean, ""),
    ("read", Type::Boolean, ""),
    ("state", Type::Text, ""),
    ("waiting_since", Type::Date, ""),
    ("snoozed_until", Type::Date, ""),
    ("tag_ids", Type::Text, "tags.tags.id"),
    ("priority", Type::Text, ""),
    ("statistics.time_to_assignment", Type::Integer, ""),
    ("statistics.time_to_admin_reply", Type::Integer, ""),
    ("statistics.time_to_first_close", Type::Integer, ""),
    ("statistics.time_to_last_close", Type::Integer, ""),
    ("statistics.median_time_to_reply", Type::Integer, ""),
    ("statistics.first_contact_reply_at", Type::Date, ""),
    ("statistics.first_assignment_at", Type::Date, ""),
    ("statistics.first_admin_reply_at", Type::Date, ""),
    ("statistics.first_close_at", Type::Date, ""),
    ("statistics.last_assignment_at", Type::Date, ""),
    ("statistics.last_assignment_admin_reply_at", Type::Date, ""),
    ("statistics.last_contact_reply_at", Type::Date, ""),
    ("statistics.last_admin_reply_at", Type::Date, ""),
    ("statistics.last_close_at", Type::Date, ""),
    ("statistics.last_closed_by_id", Type::Text, ""),
    ("statistics.count_reopens", Type::Integer, ""),
    ("statistics.count_assignments", Type::Integer, ""),
    ("statistics.count_conversation_parts", Type::Integer, ""),
    (
        "conversation_rating.requested_at",
        Type::Date,
        "conversation_rating.created_at",
    ),
    (
        "conversation_rating.replied_at",
        Type::Date,
        "conversation_rating.created_at",
    ),
    (
        "conversation_rating.score",
        Type::Integer,
        "conversation_rating.rating",
    ),
    ("conversation_rating.remark", Type::Text, ""),
    (
        "conversation_rating.contact_id",
        Type::Text,
        "conversation_rating.contact.id",
    ),
    // The description misspells the name. Both are accepted.
    (
        "conversation_rating.admin_d",
        Type::Text,
        "conversation_rating.teammate.id",
    ),
    (
        "conversation_rating.admin_id",
        Type::Text,
        "conversation_rating.teammate.id",
    ),
    ("ai_agent_participated", Type::Boolean, ""),
    ("ai_agent.resolution_state", Type::Text, ""),
    ("ai_agent.last_answer_type", Type::Text, ""),
    ("ai_agent.rating", Type::Integer, ""),
    ("ai_agent.rating_remark", Type::Text, ""),
    ("ai_agent.source_type", Type::Text, ""),
    ("ai_agent.source_title", Type::Text, ""),
];

/// Type and place of a field, where it can be searched.
pub(crate) fn find(fields: &[Field], name: &str) -> Option<(Type, String)> {
    if let Some(attribute) = name.strip_prefix("custom_attributes.") {
        return (!attribute.is_empty()).then(|| (Type::Any, name.to_owned()));
    }
    fields
        .iter()
        .find(|(field, ..)| *field == name)
        .map(|(field, kind, place)| {
            let place = if place.is_empty() { field } else { place };
            (*kind, (*place).to_owned())
        })
}
