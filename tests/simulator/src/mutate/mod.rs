//! Changes to a workspace while it is being read.

mod age;
mod companies;
mod contacts;
mod conversations;

use rand::Rng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

pub(crate) use age::{age_contacts, age_conversations};

use crate::generate::World;
use crate::store::{Kind, Store, some};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Changes fields. On a conversation it sometimes changes the body of an old part too.
    Update,
    /// Makes new objects.
    Add,
    /// Merges contacts (leads first) into users, or conversations into others.
    Merge,
    /// Deletes.
    Delete,
    /// Takes back the text of a part, or of the first message where there is no part.
    Redact,
    /// Conversations gain parts, contacts gain companies and tags, companies gain a contact.
    Grow,
    /// Archives contacts. A company's deletion is an archival, so this deletes companies.
    Archive,
    /// Takes contacts out of the archive: the given ones, or some archived ones.
    Unarchive,
}

/// A change to some objects of one kind. Every object touched gets `updated_at` = the
/// simulator's now less `ago_seconds`, or a moment up to `spread_seconds` before that, but never
/// an older one than it had.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    /// What to do.
    #[serde(rename = "op")]
    pub change: Change,
    /// To which kind: contact, company or conversation.
    pub kind: Kind,
    /// To how many, where `ids` is empty.
    #[serde(default = "one")]
    pub count: u32,
    /// Which ones are picked and what they become.
    #[serde(default)]
    pub seed: u64,
    /// Exactly these, instead of some.
    #[serde(default)]
    pub ids: Vec<String>,
    /// How many parts each conversation gains.
    #[serde(default = "one")]
    pub parts: u32,
    /// Spread `updated_at` over this many seconds up to now.
    #[serde(default)]
    pub spread_seconds: u32,
    /// It happened so many seconds before now.
    #[serde(default)]
    pub ago_seconds: u32,
    /// A company's change also moves one of its contacts, as a ping of the Messenger does.
    #[serde(default = "yes")]
    pub touch_contact: bool,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

impl Mutation {
    /// `change` to `count` objects of `kind`, everything else as usual.
    pub fn new(change: Change, kind: Kind, count: u32) -> Self {
        Self {
            change,
            kind,
            count,
            seed: 0,
            ids: Vec::new(),
            parts: 1,
            spread_seconds: 0,
            ago_seconds: 0,
            touch_contact: true,
        }
    }

    /// Changes fields of `count` objects.
    pub fn update(kind: Kind, count: u32) -> Self {
        Self::new(Change::Update, kind, count)
    }

    /// Makes `count` new objects.
    pub fn add(kind: Kind, count: u32) -> Self {
        Self::new(Change::Add, kind, count)
    }

    /// Merges `count` contacts into others. Returns the ids that vanish.
    pub fn merge(count: u32) -> Self {
        Self::new(Change::Merge, Kind::Contact, count)
    }

    /// Deletes `count` objects.
    pub fn delete(kind: Kind, count: u32) -> Self {
        Self::new(Change::Delete, kind, count)
    }

    /// Archives `count` contacts.
    pub fn archive(count: u32) -> Self {
        Self::new(Change::Archive, Kind::Contact, count)
    }

    /// Redacts a part in each of `count` conversations.
    pub fn redact(count: u32) -> Self {
        Self::new(Change::Redact, Kind::Conversation, count)
    }

    /// Lets `count` objects grow.
    pub fn grow(kind: Kind, count: u32) -> Self {
        Self::new(Change::Grow, kind, count)
    }

    /// With another seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// On exactly these objects.
    #[must_use]
    pub fn ids<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.ids = ids.into_iter().map(Into::into).collect();
        self
    }

    /// With this many new parts per conversation.
    #[must_use]
    pub fn parts(mut self, parts: u32) -> Self {
        self.parts = parts;
        self
    }

    /// With `updated_at` spread over the last `seconds`.
    #[must_use]
    pub fn spread(mut self, seconds: u32) -> Self {
        self.spread_seconds = seconds;
        self
    }

    /// As something that happened so many seconds before now.
    #[must_use]
    pub fn ago(mut self, seconds: u32) -> Self {
        self.ago_seconds = seconds;
        self
    }

    /// Whether a company's change moves one of its contacts too.
    #[must_use]
    pub fn touch_contact(mut self, touch: bool) -> Self {
        self.touch_contact = touch;
        self
    }
}

/// One mutation at work.
pub(crate) struct Work<'a> {
    pub(crate) world: &'a World,
    pub(crate) store: &'a mut Store,
    pub(crate) rng: SmallRng,
    pub(crate) now: i64,
    pub(crate) order: &'a Mutation,
}

/// Applies a mutation. Returns the ids of the objects of its kind that it touched. For a
/// merge, those that vanished.
pub(crate) fn apply(world: &World, store: &mut Store, order: &Mutation, now: i64) -> Vec<String> {
    let number = u64::from(order.count) << 32 | order.seed;
    let rng = world.rng(Kind::Link, number ^ (order.change as u64) << 60);
    store.generation += 1;
    let mut work = Work {
        world,
        store,
        rng,
        now,
        order,
    };
    match order.kind {
        Kind::Contact => work.contacts(),
        Kind::Company => work.companies(),
        Kind::Conversation => work.conversations(),
        // Parts, links and reference data change through their owners only.
        Kind::Part | Kind::Link | Kind::Admin | Kind::Team | Kind::Tag | Kind::Segment => {
            Vec::new()
        }
    }
}

impl Work<'_> {
    /// When the next object changes.
    fn moment(&mut self) -> i64 {
        self.now
            - i64::from(self.order.ago_seconds)
            - self
                .rng
                .random_range(0..=i64::from(self.order.spread_seconds))
    }

    /// The live objects to work on that `fits` accepts.
    fn targets(&mut self, fits: impl Fn(&Store, &str) -> bool) -> Vec<String> {
        if !self.order.ids.is_empty() {
            return self.order.ids.clone();
        }
        let index = match self.order.kind {
            Kind::Company => &self.store.companies.by_created,
            Kind::Conversation => &self.store.conversations.by_created,
            _ => &self.store.contacts.by_created,
        };
        let wanted = (self.order.count as usize).min(index.len());
        let mut chosen = std::collections::HashSet::new();
        let mut ids = Vec::with_capacity(wanted);
        for _ in 0..wanted * 8 {
            if ids.len() == wanted {
                return ids;
            }
            let Some(id) = some(index, &mut self.rng) else {
                break;
            };
            if fits(self.store, &id) && chosen.insert(id.clone()) {
                ids.push(id);
            }
        }
        // Chance did not find enough: take the first that fit.
        for (_, id) in index {
            if ids.len() == wanted {
                break;
            }
            if fits(self.store, &id.0) && chosen.insert(id.0.to_string()) {
                ids.push(id.0.to_string());
            }
        }
        ids
    }
}
