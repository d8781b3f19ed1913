//! Data from a seed. Every object has its own random stream, named by kind and number, so that
//! sizes can change without changing the objects that both sizes have.

mod companies;
mod contacts;
mod conversations;
mod parts;
mod reference;
mod times;
mod words;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

pub(crate) use companies::company;
pub(crate) use contacts::{Membership, contact, contact_lists};
pub(crate) use conversations::{conversation, state_of};
pub(crate) use parts::{DELETED_BODY, part};
pub(crate) use reference::{Reference, Team};
pub(crate) use times::{At, Times};
pub(crate) use words::{paragraph, person_name, pick, sentence};

use crate::mutate;
use crate::spec::WorkspaceSpec;
use crate::store::{Kind, Store};

/// What generators know of the workspace they fill.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) spec: WorkspaceSpec,
    pub(crate) id_code: String,
    /// A number of the workspace's own, part of its hexadecimal ids.
    pub(crate) tag: u64,
}

impl World {
    pub(crate) fn new(spec: WorkspaceSpec) -> Self {
        let id_code = spec.resolved_id_code();
        let tag = id_code
            .bytes()
            .fold(spec.seed, |hash, byte| mix(hash, u64::from(byte)));
        Self { spec, id_code, tag }
    }

    /// The random stream of one object.
    pub(crate) fn rng(&self, kind: Kind, number: u64) -> SmallRng {
        SmallRng::seed_from_u64(mix(self.spec.seed, mix(kind as u64 + 1, number)))
    }

    /// A 24-digit hexadecimal id: creation time, workspace and kind, running number.
    pub(crate) fn hex_id(&self, kind: Kind, number: u64, created_at: i64) -> String {
        let mark = mix(self.tag, kind as u64) & 0xff_ffff_ffff;
        format!(
            "{:08x}{mark:010x}{:06x}",
            created_at & 0xffff_ffff,
            number & 0xff_ffff
        )
    }

    /// A numeric id: short in the US, 15 digits elsewhere.
    pub(crate) fn numeric_id(&self, number: u64) -> u64 {
        match self.spec.region.as_str() {
            "EU" => 215_470_000_000_000 + number,
            "AU" => 115_470_000_000_000 + number,
            _ => 90 + number,
        }
    }
}

/// Fills a new store. Everything lies at least an hour before `now`.
pub(crate) fn populate(world: &World, now: i64) -> Store {
    let spec = &world.spec;
    let mut store = Store::new(Reference::new(world, now));
    let dead = spec.merged_contacts + spec.deleted_contacts + spec.archived_contacts;
    let total = u64::from(spec.contacts + dead);
    let times = Times::new(spec, now);
    let membership = Membership::new(world, total);
    for number in 0..u64::from(spec.companies) {
        company(
            world,
            &mut store,
            number,
            times.of(world, Kind::Company, number, u64::from(spec.companies)),
            membership.user_count(number),
        );
    }
    let company_ids: Vec<String> = store
        .companies
        .iter()
        .map(|entry| entry.head.id.0.to_string())
        .collect();
    for number in 0..total {
        let companies = membership.of(number, &company_ids);
        let at = times.of(world, Kind::Contact, number, total);
        contact(world, &mut store, number, at, companies);
    }
    mutate::age_contacts(world, &mut store, &times);
    let total = u64::from(spec.conversations + spec.deleted_conversations);
    for number in 0..total {
        let at = times.of(world, Kind::Conversation, number, total);
        conversation(world, &mut store, number, at, None);
    }
    mutate::age_conversations(world, &mut store, &times);
    store
}

/// Renders an object. Serializing these plain structs to memory cannot fail. If it did,
/// the object would be visibly broken instead of silently missing.
pub(crate) fn render(object: &impl Serialize) -> Bytes {
    serde_json::to_vec(object).map_or_else(|_| Bytes::from_static(b"null"), Bytes::from)
}

/// Mixes two numbers (SplitMix64's finaliser).
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(b)
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// True with probability `share`.
pub(crate) fn chance(rng: &mut SmallRng, share: f64) -> bool {
    rng.random::<f64>() < share
}
