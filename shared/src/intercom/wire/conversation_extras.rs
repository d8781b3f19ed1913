//! What a stored conversation or part shows beside its columns, read from its bytes whenever it is shown.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    document::Document,
    lenient::Lenient,
    object::Object,
    poison::read_extras,
    scalar::{Flag, Seconds, Text, Whole},
};
use crate::domain::conversation_extras::{Attachment, Channel, ConversationExtras, Rating, Sla};

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireConversation {
    custom_attributes: Lenient<Option<Document>>,
    channel: Lenient<Option<Object<WireChannel>>>,
    source: Lenient<Option<Object<WireSource>>>,
    conversation_rating: Lenient<Option<Object<WireRating>>>,
    sla_applied: Lenient<Option<Object<WireSla>>>,
    statistics: Lenient<Map<String, Value>>,
    ai_agent_participated: Lenient<Flag>,
}

/// From 2.16 on.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireChannel {
    initial: Lenient<Text>,
    current: Lenient<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireSource {
    #[serde(rename = "type")]
    kind: Lenient<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireRating {
    rating: Lenient<Whole>,
    remark: Lenient<Text>,
    created_at: Lenient<Seconds>,
    updated_at: Lenient<Seconds>,
    /// An admin, or from 2.17 on a workflow.
    teammate: Lenient<Option<Object<Reference>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireSla {
    sla_name: Lenient<Text>,
    sla_status: Lenient<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference {
    id: Lenient<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireMessage {
    attachments: Lenient<Vec<Lenient<Option<Object<WireAttachment>>>>>,
    redacted: Lenient<Flag>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireAttachment {
    name: Lenient<Text>,
    content_type: Lenient<Text>,
    url: Lenient<Text>,
    filesize: Lenient<Whole>,
}

/// Reads the further fields of a stored conversation. One that cannot be read is empty.
#[must_use]
pub fn read_conversation_extras(raw: &str) -> ConversationExtras {
    let wire: WireConversation = read_extras(raw);
    let channel = wire.channel.0.map(|Object(channel)| Channel {
        initial: channel_name(channel.initial.0),
        current: channel_name(channel.current.0),
    });
    ConversationExtras {
        attributes: wire.custom_attributes.0.unwrap_or_default().0,
        // Before 2.16, a conversation does not say where it went on, but where it began.
        channel: channel
            .or_else(|| {
                let kind = wire
                    .source
                    .0
                    .and_then(|Object(source)| channel_name(source.kind.0));
                Some(Channel {
                    current: None,
                    initial: kind,
                })
            })
            .filter(|channel| *channel != Channel::default()),
        rating: wire
            .conversation_rating
            .0
            .and_then(|Object(rating)| self::rating(rating)),
        sla: wire.sla_applied.0.and_then(|Object(sla)| {
            Some(Sla {
                name: sla.sla_name.0.some(),
                status: sla.sla_status.0.some()?,
            })
        }),
        statistics: statistics(wire.statistics.0),
        ai_participated: wire.ai_agent_participated.0.0,
    }
}

/// Reads the attachments of a stored part, or of a first message. A redacted one has none, because what was removed from
/// Intercom is not to be found here.
#[must_use]
pub fn read_attachments(raw: &str) -> Vec<Attachment> {
    let wire: WireMessage = read_extras(raw);
    if wire.redacted.0.0 {
        return Vec::new();
    }
    let read = |Object(attachment): Object<WireAttachment>| {
        let attachment = Attachment {
            name: attachment.name.0.some(),
            content_type: attachment.content_type.0.some(),
            url: attachment.url.0.some(),
            size: attachment.filesize.0.0.filter(|size| *size >= 0),
        };
        (attachment != Attachment::default()).then_some(attachment)
    };
    let attachments = wire.attachments.0.into_iter();
    attachments
        .filter_map(|attachment| attachment.0.and_then(read))
        .collect()
}

/// 2.16 says `unknown` where older versions send null.
fn channel_name(kind: Text) -> Option<String> {
    kind.some().filter(|kind| kind != "unknown")
}

fn rating(wire: WireRating) -> Option<Rating> {
    Some(Rating {
        rating: wire.rating.0.0?,
        remark: wire.remark.0.some(),
        created_at: wire.created_at.0.0,
        updated_at: wire.updated_at.0.0,
        teammate_id: reference(wire.teammate.0),
    })
}

fn reference(wire: Option<Object<Reference>>) -> Option<String> {
    wire.and_then(|Object(reference)| reference.id.0.id())
}

/// Moments become text, as all of our times are. Lists, and what was not reached, are left out.
fn statistics(sent: Map<String, Value>) -> Map<String, Value> {
    let shown = sent.into_iter().filter_map(|(name, value)| {
        let value = if name.ends_with("_at") {
            let Seconds(time) = serde_json::from_value(value).ok()?;
            json!(time?)
        } else if name.ends_with("_id") {
            let text: Text = serde_json::from_value(value).ok()?;
            json!(text.id()?)
        } else {
            let Whole(number) = serde_json::from_value(value).ok()?;
            json!(number?)
        };
        Some((name, value))
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_shows_what_was_sent() {
        let extras = read_conversation_extras(
            r#"{"id":"1","custom_attributes":{"Issue type":"Bug","n":12345678901234567890123},
            "channel":{"initial":"email","current":"unknown"},"source":{"type":"whatsapp"},
            "conversation_rating":{"rating":4,"remark":"ok","created_at":5,"updated_at":6,"teammate":{"type":"admin","id":7}},
            "sla_applied":{"type":"conversation_sla_summary","sla_name":"1 h","sla_status":"hit"},
            "statistics":{"type":"conversation_statistics","time_to_admin_reply":60,"first_close_at":100,"last_close_at":null,
                "count_reopens":0,"last_closed_by_id":"9","assigned_team_first_response_time":[{"team_id":1}]},
            "ai_agent_participated":true}"#,
        );
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            extras.attributes.get(),
            r#"{"Issue type":"Bug","n":12345678901234567890123}"#
        );
        assert_eq!(
            extras.channel,
            Some(Channel {
                initial: text("email"),
                current: None
            })
        );
        let rating = extras.rating.unwrap();
        assert_eq!(
            (rating.rating, rating.remark, rating.teammate_id),
            (4, text("ok"), text("7"))
        );
        assert_eq!(rating.updated_at.unwrap().timestamp(), 6);
        let sla = extras.sla.unwrap();
        assert_eq!((sla.name, sla.status.as_str()), (text("1 h"), "hit"));
        assert_eq!(
            Value::from(extras.statistics),
            json!({"time_to_admin_reply": 60, "first_close_at": "1970-01-01T00:01:40Z", "count_reopens": 0,
                   "last_closed_by_id": "9"})
        );
        assert!(extras.ai_participated);
    }

    #[test]
    fn an_older_version_says_where_a_conversation_began() {
        let extras = read_conversation_extras(r#"{"id":"1","source":{"type":"email"}}"#);
        assert_eq!(extras.channel.unwrap().initial.as_deref(), Some("email"));
        for raw in [
            r#"{"source":{"type":"unknown"}}"#,
            r#"{"source":{}}"#,
            r#"{"source":null}"#,
            "{}",
        ] {
            assert_eq!(
                read_conversation_extras(raw),
                ConversationExtras::default(),
                "{raw}"
            );
        }
    }

    #[test]
    fn one_field_that_cannot_be_read_costs_no_other() {
        let extras = read_conversation_extras(
            r#"{"custom_attributes":[],"channel":7,"conversation_rating":{"rating":"good"},"sla_applied":[1],
            "statistics":{"first_close_at":"x","count_reopens":-1.5e300,"count_assignments":2},
            "ai_agent_participated":true}"#,
        );
        let expected = ConversationExtras {
            ai_participated: true,
            statistics: Map::from_iter([("count_assignments".to_owned(), json!(2))]),
            ..ConversationExtras::default()
        };
        assert_eq!(extras, expected);
        assert_eq!(
            read_conversation_extras("no JSON"),
            ConversationExtras::default()
        );
    }

    #[test]
    fn attachments_are_named_unless_their_message_is_redacted() {
        let of = |redacted: &str| {
            read_attachments(&format!(
                r#"{{"id":"1","redacted":{redacted},"attachments":[
                {{"type":"upload","name":"a\u0000.png","url":"https://x.example/a","content_type":"image/png","filesize":9,"width":1}},
                null,7,{{}},{{"name":"b","filesize":-1}}]}}"#
            ))
        };
        let shown = of("false");
        assert_eq!(shown.len(), 2);
        assert_eq!(
            shown[0],
            Attachment {
                name: Some("a\u{fffd}.png".to_owned()),
                content_type: Some("image/png".to_owned()),
                url: Some("https://x.example/a".to_owned()),
                size: Some(9),
            }
        );
        assert_eq!((shown[1].name.as_deref(), shown[1].size), (Some("b"), None));
        assert!(of("true").is_empty());
        assert!(read_attachments(r#"{"attachments":null}"#).is_empty());
    }
}
