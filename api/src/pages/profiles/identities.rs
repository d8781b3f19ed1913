//! Why the records of a contact are one person, and why others are not.

use maud::{Markup, html};
use shared::{
    domain::profile::{BlockReason, IdentityKind, LinkStatus, RecordKey, Refusal as LinkRefusal},
    profiles::{ContactIdentities, DatedLink},
    store::StoredSplit,
};
use uuid::Uuid;

use super::naming::source_name;
use crate::pages::text::{counted, shown, time};

/// Links that are shown.
const LINKS: usize = 100;
/// As much of a value as is shown.
const VALUE: usize = 200;

/// What the section is made from.
struct IdentityText<'a> {
    own: Uuid,
    identities: &'a ContactIdentities,
}

pub(super) fn section(own: Uuid, records: usize, identities: &ContactIdentities) -> Markup {
    let text = IdentityText { own, identities };
    let links = &identities.links;
    let (joining, others): (Vec<&DatedLink>, Vec<&DatedLink>) = links
        .iter()
        .partition(|link| link.link.status == LinkStatus::Linked);
    html! {
        section {
            h2 { "Why these records are one person" }
            @if joining.is_empty() {
                p {
                    @if records > 1 { "No value that is stored now joins them." }
                    @else { "It has one record, so nothing had to be joined." }
                }
            } @else { (text.list(&joining)) }
            @if !others.is_empty() {
                h3 { "What could have joined others, and does not" }
                (text.list(&others))
            }
            @if !identities.splits.is_empty() {
                h3 { "Parted by hand" }
                ul { @for split in &identities.splits { (text.split(split)) } }
            }
        }
    }
}

impl IdentityText<'_> {
    fn list(&self, links: &[&DatedLink]) -> Markup {
        let left_out = links.len().saturating_sub(LINKS);
        html! {
            ul {
                @for link in links.iter().take(LINKS) { (self.link(link)) }
                @if left_out > 0 { li class="dim" { (counted(left_out as i64, "more is", "more are")) " not shown here." } }
            }
        }
    }

    fn link(&self, DatedLink { link, at }: &DatedLink) -> Markup {
        let value = html! { (kind(link.kind)) " " code { bdi { (shown(&link.value, VALUE)) } } };
        let record = self.record(&link.record);
        let other = link.other.as_ref().map(|other| self.record(other));
        html! {
            li data-status=(link.status.as_str()) {
                @match (link.status, other) {
                    (LinkStatus::Linked, Some(other)) => {
                        (record) " and " (other) " are one person, because "
                        @if link.kind == IdentityKind::Merge { "Intercom has merged them." }
                        @else { "both have the " (value) "." }
                    }
                    (LinkStatus::Refused(why), Some(other)) => {
                        (record) " and " (other) " are kept apart, although both have the " (value) ", because " (refusal(why))
                    }
                    (status, _) => { "The " (value) " of " (record) " joins nobody, because " (reason(status)) }
                }
                @if !link.candidates.is_empty() {
                    " It could mean "
                    @for (n, candidate) in link.candidates.iter().take(LINKS).enumerate() {
                        @if n > 0 { " or " } (self.record(candidate))
                    }
                    "."
                }
                " " span class="dim" { "Known since " (time(*at)) " at the latest." }
            }
        }
    }

    /// A record, with a link to its contact if that is another one.
    fn record(&self, key: &RecordKey) -> Markup {
        let source = self.identities.sources.get(&key.connection);
        let source = source_name(source.map_or("A source", |source| source.as_str()));
        let contact = self
            .identities
            .contacts
            .get(key)
            .filter(|id| **id != self.own);
        let name = html! { (source) " record " code { bdi { (shown(&key.source_id, VALUE)) } } };
        html! {
            @if let Some(contact) = contact { a href=(format!("/contacts/{contact}")) { (name) } } @else { (name) }
        }
    }

    fn split(&self, split: &StoredSplit) -> Markup {
        let side = |keys: &mut dyn Iterator<Item = &RecordKey>| {
            html! { @for (n, key) in keys.take(LINKS).enumerate() { @if n > 0 { ", " } (self.record(key)) } }
        };
        html! {
            li {
                (side(&mut split.sides.left.iter())) " and " (side(&mut split.sides.right.iter()))
                " were parted at " (time(split.created_at)) ", and are never joined while the split is there."
            }
        }
    }
}

const fn kind(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::Merge => "merge into",
        IdentityKind::ExternalId => "external id",
        IdentityKind::Email => "address",
        IdentityKind::Phone => "phone number",
        IdentityKind::Domain => "domain",
    }
}

const fn refusal(why: LinkRefusal) -> &'static str {
    match why {
        LinkRefusal::Conflict => "they have different values of a stronger kind.",
        LinkRefusal::Split => "they were parted by hand.",
    }
}

const fn reason(status: LinkStatus) -> &'static str {
    match status {
        LinkStatus::Linked => "its other holder is no longer stored.",
        LinkStatus::Ambiguous => "its holders have different values of a stronger kind.",
        LinkStatus::Refused(why) => refusal(why),
        LinkStatus::Shared => "more records have it than one person has.",
        LinkStatus::Blocked(reason) => blocked(reason),
    }
}

const fn blocked(reason: BlockReason) -> &'static str {
    match reason {
        BlockReason::Empty => "it is empty.",
        BlockReason::Placeholder => "programs write it where they have no value.",
        BlockReason::TooLong => "it is longer than any such value.",
        BlockReason::NoAddress => "it is no email address.",
        BlockReason::RoleAddress => "many people share such a mailbox.",
        BlockReason::NoCountry => "it has no country, so another country may have it as well.",
        BlockReason::NoNumber => "it is no phone number.",
        BlockReason::NoDomain => "it is no domain that can be registered.",
        BlockReason::PublicMail => "anybody gets a mailbox at this domain.",
        BlockReason::Tenant => "your identity rules block it.",
    }
}
