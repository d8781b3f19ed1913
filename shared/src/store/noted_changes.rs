//! What a transaction notes of the objects that it changes, before it writes it down (`changes.rs`).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::noted_neighbours::Neighbours;

/// What readers of the feed learn of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeOp {
    /// It is new, or shows something else.
    Upsert = 1,
    /// It is gone from every source.
    Delete = 2,
    /// It was merged into another, or another into it.
    Merge = 3,
    /// Records that were one profile are several.
    Split = 4,
    /// It has other companies, participants, parts or conversations.
    Link = 5,
    /// A person was erased.
    Erase = 6,
}

impl ChangeOp {
    const ALL: [Self; 6] = [
        Self::Upsert,
        Self::Delete,
        Self::Merge,
        Self::Split,
        Self::Link,
        Self::Erase,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::Merge => "merge",
            Self::Split => "split",
            Self::Link => "link",
            Self::Erase => "erase",
        }
    }

    /// The op that is stored as this number. Another number comes from a newer build, and says that something changed.
    pub(super) fn of(number: i16) -> Self {
        let found = Self::ALL.into_iter().find(|op| *op as i16 == number);
        found.unwrap_or(Self::Upsert)
    }
}

/// What an object is. Conversations of each state are a kind of their own, because a state may be rare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Contact = 1,
    Company = 2,
    Open = 3,
    Closed = 4,
    Snoozed = 5,
    /// A conversation of a state that this build does not know.
    OtherState = 6,
}

impl ObjectKind {
    /// The kind of a conversation.
    #[must_use]
    pub(super) fn of_state(state: Option<&str>) -> Self {
        match state {
            Some("open") => Self::Open,
            Some("closed") => Self::Closed,
            Some("snoozed") => Self::Snoozed,
            _ => Self::OtherState,
        }
    }
}

/// What has become of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectFate {
    Listed = 0,
    /// Every source has deleted it.
    Deleted = 1,
    /// Its id answers with another object.
    Merged = 2,
    /// It is no longer stored, so no list shows it.
    Removed = 3,
}

/// What a transaction changes of one object. A kind or fate of `None` stays what it is.
#[derive(Clone, Copy, Debug)]
struct Noted {
    op: ChangeOp,
    kind: Option<ObjectKind>,
    fate: Option<ObjectFate>,
}

/// What a transaction has noted and not written yet, in the order of ids.
#[derive(Debug, Default)]
pub(super) struct NotedChanges {
    objects: BTreeMap<Uuid, Noted>,
    /// What is noted at the end.
    neighbours: Neighbours,
}

/// One array per column, which is the shape that `unnest` takes.
#[derive(Debug, Default)]
pub(super) struct ChangeColumns {
    pub(super) ids: Vec<Uuid>,
    pub(super) kinds: Vec<i16>,
    pub(super) fates: Vec<i16>,
    pub(super) ops: Vec<i16>,
}

/// A kind or fate that stays what it is.
const AS_BEFORE: i16 = -1;

impl NotedChanges {
    pub(super) fn note(
        &mut self,
        id: Uuid,
        op: ChangeOp,
        kind: Option<ObjectKind>,
        fate: Option<ObjectFate>,
    ) {
        let noted = self.objects.entry(id).or_insert(Noted { op, kind, fate });
        // A link says less than what the transaction did before.
        if op != ChangeOp::Link {
            noted.op = op;
        }
        noted.kind = kind.or(noted.kind);
        noted.fate = fate.or(noted.fate);
    }

    pub(super) const fn neighbours(&mut self) -> &mut Neighbours {
        &mut self.neighbours
    }

    /// Objects that are no longer stored.
    pub(super) fn removed(&self) -> Vec<Uuid> {
        let removed = |noted: &Noted| noted.fate == Some(ObjectFate::Removed);
        let ids = self.objects.iter().filter(|(_, noted)| removed(noted));
        ids.map(|(id, _)| *id).collect()
    }

    pub(super) fn into_columns(self) -> ChangeColumns {
        let mut columns = ChangeColumns::default();
        for (id, noted) in self.objects {
            columns.ids.push(id);
            columns.ops.push(noted.op as i16);
            let kind = noted.kind.map_or(AS_BEFORE, |kind| kind as i16);
            columns.kinds.push(kind);
            let fate = noted.fate.map_or(AS_BEFORE, |fate| fate as i16);
            columns.fates.push(fate);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_more_stays() {
        let mut noted = NotedChanges::default();
        let id = Uuid::from_u128(1);
        let contact = Some(ObjectKind::Contact);
        noted.note(id, ChangeOp::Upsert, contact, Some(ObjectFate::Listed));
        noted.note(id, ChangeOp::Link, None, None);
        let first = noted.objects[&id];
        assert_eq!(first.op, ChangeOp::Upsert);
        assert_eq!(first.fate, Some(ObjectFate::Listed));

        noted.note(id, ChangeOp::Merge, None, Some(ObjectFate::Merged));
        assert!(noted.removed().is_empty());
        let ChangeColumns {
            ids,
            kinds,
            fates,
            ops,
        } = noted.into_columns();
        assert_eq!(ids, [id]);
        assert_eq!((kinds, fates, ops), (vec![1], vec![2], vec![3]));
    }

    #[test]
    fn what_is_not_said_stays() {
        let mut noted = NotedChanges::default();
        noted.note(Uuid::nil(), ChangeOp::Link, None, None);
        let columns = noted.into_columns();
        assert_eq!((columns.kinds, columns.fates), (vec![-1], vec![-1]));
    }

    #[test]
    fn a_number_is_its_op() {
        for op in ChangeOp::ALL {
            assert_eq!(ChangeOp::of(op as i16), op);
        }
        assert_eq!(ChangeOp::of(99), ChangeOp::Upsert);
    }

    #[test]
    fn a_state_is_a_kind() {
        assert_eq!(ObjectKind::of_state(Some("snoozed")), ObjectKind::Snoozed);
        assert_eq!(ObjectKind::of_state(Some("new")), ObjectKind::OtherState);
        assert_eq!(ObjectKind::of_state(None), ObjectKind::OtherState);
    }
}
