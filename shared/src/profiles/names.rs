//! Names for what Intercom's records hold ids of.

use std::collections::HashMap;

use crate::{
    domain::{
        ConnectionId,
        profile::{CompanyRecord, ContactRecord, Source},
    },
    store::reads::ReferenceKey,
};

const ADMIN: &str = "admin";
const TAG: &str = "tag";
const SEGMENT: &str = "segment";

/// The items that a contact's record names. Records of other sources have names already.
pub(super) fn of_contact(record: &ContactRecord) -> Vec<ReferenceKey> {
    let fields = &record.fields;
    let mut named = of_lists(
        record.source,
        record.key.connection,
        &fields.tags,
        &fields.segments,
    );
    if record.source == Source::Intercom {
        let owner = fields.owner.iter();
        named.extend(owner.map(|id| key(record.key.connection, ADMIN, id)));
    }
    named
}

/// The items that a company's record names.
pub(super) fn of_company(record: &CompanyRecord) -> Vec<ReferenceKey> {
    let fields = &record.fields;
    of_lists(
        record.source,
        record.key.connection,
        &fields.tags,
        &fields.segments,
    )
}

/// Puts names in the place of ids. An id whose name is not known stays.
pub(super) fn name_contact(record: &mut ContactRecord, known: &HashMap<ReferenceKey, String>) {
    if record.source != Source::Intercom {
        return;
    }
    let connection = record.key.connection;
    let fields = &mut record.fields;
    if let Some(owner) = &mut fields.owner {
        name(owner, connection, ADMIN, known);
    }
    name_lists(connection, &mut fields.tags, &mut fields.segments, known);
}

/// The same of a company's record.
pub(super) fn name_company(record: &mut CompanyRecord, known: &HashMap<ReferenceKey, String>) {
    if record.source == Source::Intercom {
        let fields = &mut record.fields;
        name_lists(
            record.key.connection,
            &mut fields.tags,
            &mut fields.segments,
            known,
        );
    }
}

fn of_lists(
    source: Source,
    connection: ConnectionId,
    tags: &[String],
    segments: &[String],
) -> Vec<ReferenceKey> {
    if source != Source::Intercom {
        return Vec::new();
    }
    let tags = tags.iter().map(|id| key(connection, TAG, id));
    let segments = segments.iter().map(|id| key(connection, SEGMENT, id));
    tags.chain(segments).collect()
}

fn name_lists(
    connection: ConnectionId,
    tags: &mut [String],
    segments: &mut [String],
    known: &HashMap<ReferenceKey, String>,
) {
    for tag in tags {
        name(tag, connection, TAG, known);
    }
    for segment in segments {
        name(segment, connection, SEGMENT, known);
    }
}

fn name(
    id: &mut String,
    connection: ConnectionId,
    kind: &'static str,
    known: &HashMap<ReferenceKey, String>,
) {
    if let Some(name) = known.get(&key(connection, kind, id)) {
        name.clone_into(id);
    }
}

fn key(connection: ConnectionId, kind: &'static str, source_id: &str) -> ReferenceKey {
    ReferenceKey {
        connection,
        kind,
        source_id: source_id.to_owned(),
    }
}
