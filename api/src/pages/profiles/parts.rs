//! The messages and events of a thread, as plain text.

use maud::{Markup, html};
use shared::{
    domain::conversation_extras::Attachment,
    profiles,
    store::reads::{PartAuthor, PartPosition, PartRecord},
    text,
};

use super::{fields::outward, naming::first_visible, timeline::safe_link};
use crate::pages::text::{lines, number, shown, time};

/// Characters after which a page ends. A message is never cut, so a page has one at least.
const PAGE_CHARACTERS: usize = 300_000;
const NAME: usize = 120;

/// A part, as it is shown.
pub(super) struct ShownPart {
    record: PartRecord,
    /// Its lines. Empty for an event.
    body: String,
    files: Vec<Attachment>,
}

/// As much of a thread as a page shows.
pub(super) struct ThreadPage {
    pub(super) parts: Vec<ShownPart>,
    /// The last one of them, if more follow.
    pub(super) last: Option<PartPosition>,
}

impl ThreadPage {
    /// Of what was fetched, as much as a page of `limit` parts has.
    pub(super) fn of(fetched: Vec<PartRecord>, limit: usize) -> Self {
        let count = fetched.len();
        let (mut parts, mut characters) = (Vec::new(), 0);
        for record in fetched.into_iter().take(limit) {
            let body = record.body.as_deref();
            let body = body.map_or_else(String::new, |html| lines(&text::from_html(html)));
            characters += body.len();
            if characters > PAGE_CHARACTERS && !parts.is_empty() {
                break;
            }
            parts.push(ShownPart {
                files: profiles::attachments(&record),
                record,
                body,
            });
        }
        let has_more = parts.len() < count;
        let last = parts.last().filter(|_| has_more);
        Self {
            last: last.map(|part| part.record.position()),
            parts,
        }
    }
}

pub(super) fn list(parts: &[ShownPart]) -> Markup {
    html! {
        @if !parts.is_empty() {
            ol class="parts" { @for part in parts { (one_part(part)) } }
        }
    }
}

fn one_part(part: &ShownPart) -> Markup {
    let record = &part.record;
    html! {
        li class=[record.internal.then_some("internal")] data-kind=(shown(&record.kind, NAME)) {
            p class="about" {
                strong { bdi { (author(&record.author)) } }
                @if let Some(kind) = author_kind(&record.author) { " (" (kind) ")" }
                span class="dim" { ", " (kind(&record.kind)) ", " (time(record.source_created_at)) }
                @if record.internal { " " span class="badge warn" { "Internal note, not for customers" } }
            }
            @if record.redacted {
                p class="dim" { "The text of this message was removed for good." }
            } @else if !part.body.is_empty() {
                p class="body" dir="auto" { (part.body) }
            }
            @if !part.files.is_empty() {
                ul class="files" { @for file in &part.files { li { (attachment(file)) } } }
            }
        }
    }
}

fn author(author: &PartAuthor) -> String {
    let names = [author.name.as_deref(), author.source_id.as_deref()];
    first_visible(names).unwrap_or_else(|| "Unknown sender".to_owned())
}

/// Whom Intercom takes the writer for.
fn author_kind(author: &PartAuthor) -> Option<String> {
    let kind = match author.kind.as_deref()? {
        "user" | "lead" | "contact" => "contact".to_owned(),
        "admin" => "teammate".to_owned(),
        other => first_visible([Some(other)])?,
    };
    Some(kind)
}

fn kind(kind: &str) -> String {
    match kind {
        "source" => "first message".to_owned(),
        "comment" => "message".to_owned(),
        other => shown(other, NAME).replace('_', " "),
    }
}

/// A file's name, which is a link where its address is safe. Anyone may have sent it.
fn attachment(file: &Attachment) -> Markup {
    let name = first_visible([file.name.as_deref()]).unwrap_or_else(|| "A file".to_owned());
    let size = file.size.map(|size| format!("{} bytes", number(size)));
    let content_type = file.content_type.as_ref();
    let content_type = content_type.map(|kind| shown(kind, NAME));
    let facts: Vec<String> = content_type.into_iter().chain(size).collect();
    html! {
        @match file.url.as_deref().and_then(safe_link) {
            Some(href) => (outward(&href, &name)),
            None => bdi { (name) },
        }
        @if !facts.is_empty() { span class="dim" { " (" (facts.join(", ")) ")" } }
    }
}
