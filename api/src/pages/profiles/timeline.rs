//! What happened with a contact: conversations and events of all sources, the last one first.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::value::RawValue;
use shared::{
    profiles::{TimelineEntry, TimelineEvent, TimelineItem},
    store::reads::ConversationRecord,
};
use uuid::Uuid;

use super::{
    fields::outward,
    naming::{first_visible, source_name},
    paging::{self, Paged},
    thread,
};
use crate::pages::text::{shown, time};

/// As much of an event's values as is shown.
const VALUE: usize = 300;
/// Attributes of an event that are shown.
const ATTRIBUTES: usize = 20;

pub(super) fn section(contact: Uuid, page: &Paged<TimelineEntry>, is_first: bool) -> Markup {
    let links = paging::links(
        &format!("/contacts/{contact}#timeline"),
        &[],
        is_first,
        page.cursor.as_deref(),
        ["Newest entries", "Older entries"],
    );
    html! {
        section id="timeline" {
            h2 { "Timeline" }
            @if page.rows.is_empty() {
                p class="dim" { @if is_first { "Nothing has happened yet." } @else { "There is nothing older." } }
            } @else {
                ol class="timeline" {
                    @for entry in &page.rows {
                        li {
                            p class="dim about" { (time(entry.at)) }
                            @match &entry.what {
                                TimelineItem::Conversation(conversation) => (conversation_entry(conversation)),
                                TimelineItem::Event(event) => (event_entry(event)),
                            }
                        }
                    }
                }
            }
            (links)
        }
    }
}

/// A conversation's title, or its number.
pub(super) fn conversation_title(conversation: &ConversationRecord) -> String {
    let number = || format!("Conversation {}", shown(&conversation.source_id, VALUE));
    first_visible([conversation.title.as_deref()]).unwrap_or_else(number)
}

/// The state, as Intercom says it, and whether it was deleted there.
pub(super) fn conversation_state(conversation: &ConversationRecord) -> Markup {
    html! {
        @if let Some(state) = first_visible([conversation.state.as_deref()]) { span class="badge quiet" { (state) } " " }
        @if let Some(at) = conversation.deleted_at { span class="badge warn" { "Deleted in Intercom at " (time(at)) } }
    }
}

fn conversation_entry(conversation: &ConversationRecord) -> Markup {
    html! {
        p {
            span class="badge quiet" { "Conversation" } " "
            a href=(format!("/conversations/{}", conversation.id)) { bdi { (conversation_title(conversation)) } } " "
            (conversation_state(conversation))
        }
        p class=[(!thread::is_whole(&conversation.thread)).then_some("missing")] { (thread::sentence(&conversation.thread)) }
    }
}

fn event_entry(TimelineEvent { record, fields }: &TimelineEvent) -> Markup {
    let kind = shown(&fields.kind, VALUE);
    let title = first_visible([fields.title.as_deref()]);
    let attributes: BTreeMap<String, &RawValue> =
        serde_json::from_str(fields.attributes.get()).unwrap_or_default();
    html! {
        p {
            span class="badge quiet" { (source_name(&record.source)) } " "
            bdi { (kind.replace('_', " ")) }
            @if let Some(title) = &title { ": " bdi { (title) } }
            @if let Some(href) = fields.url.as_deref().and_then(safe_link) { " " (outward(&href, "Open it")) }
        }
        @if !attributes.is_empty() {
            details {
                summary { "Details" }
                dl {
                    @for (name, value) in attributes.iter().take(ATTRIBUTES) {
                        dt { bdi { (shown(name, VALUE)) } } dd { bdi { (shown(&plain(value.get()), VALUE)) } }
                    }
                }
            }
        }
    }
}

/// Texts without quotes, and everything else as JSON.
fn plain(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

/// An address that may be a link: anyone may have written it, so only `https` is one, and none that carries a name.
pub(super) fn safe_link(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok()?;
    let is_safe = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    is_safe.then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_becomes_a_link() {
        let safe = safe_link(" https://files.example/a?b=\"c d\" ");
        assert_eq!(
            safe.as_deref(),
            Some("https://files.example/a?b=%22c%20d%22")
        );
        for text in [
            "http://files.example/a",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,<script>",
            "//files.example",
            "/v1/contacts",
            "https://ann:pass@evil.example",
            "https://good.example@evil.example",
            "",
            "\u{202e}https",
        ] {
            assert_eq!(safe_link(text), None, "{text}");
        }
    }
}
