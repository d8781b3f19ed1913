//! Where the fields of a profile came from.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    domain::{
        ConnectionId,
        profile::{Origin, Provenance},
    },
    store::reads::ProfileSource,
};
use utoipa::ToSchema;
use uuid::Uuid;

/// By field.
pub(super) type ProvenanceMap = BTreeMap<String, ProvenanceView>;

/// Where one field's value came from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Provenance)]
pub(super) struct ProvenanceView {
    source: String,
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    source_id: String,
    source_updated_at: DateTime<Utc>,
}

/// The provenance of a profile's fields. A record that is no source of it, such as one that was merged, is left out.
pub(super) fn views(provenance: &Provenance, sources: &[ProfileSource]) -> ProvenanceMap {
    let updated: HashMap<(Uuid, &str), DateTime<Utc>> = sources
        .iter()
        .map(|source| {
            let key = (source.connection_id.0, source.source_id.as_str());
            (key, source.source_updated_at)
        })
        .collect();
    let view = |origin: &Origin| {
        let key = (origin.connection_id, origin.source_id.as_str());
        Some(ProvenanceView {
            source: origin.source.as_str().to_owned(),
            connection_id: ConnectionId(origin.connection_id),
            source_updated_at: *updated.get(&key)?,
            source_id: origin.source_id.clone(),
        })
    };
    provenance
        .iter()
        .filter_map(|(path, origin)| Some((path.to_owned(), view(origin)?)))
        .collect()
}
