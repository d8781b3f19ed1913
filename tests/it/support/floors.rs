//! How many calls an act needs, counted from the simulator's own truth, and that no more were made.

use std::collections::{HashMap, HashSet};

use intercom_simulator::{Kind, Ledger, LedgerRow, TruthLine, Workspace};

/// A look at the reference data: seven lists, and from 2.16 on the deleted conversations.
pub(crate) fn reference(version: &str) -> u64 {
    if version == "2.15" { 7 } else { 8 }
}

/// Pages of a full walk: contacts with the rest of their companies, the scroll with its empty page, stubs.
pub(crate) fn walk(truth: &[TruthLine]) -> u64 {
    let live = |kind: Kind| {
        truth
            .iter()
            .filter(move |line| line.kind == kind && !line.deleted)
    };
    let count = |kind: Kind| live(kind).count() as u64;
    let mut companies_of: HashMap<&str, u64> = HashMap::new();
    for contact in live(Kind::Link).filter_map(|link| link.parent.as_deref()) {
        *companies_of.entry(contact).or_default() += 1;
    }
    // A contact shows ten. The others come in pages of fifty.
    let long_lists: u64 = companies_of
        .values()
        .filter(|n| **n > 10)
        .map(|n| n.div_ceil(50))
        .sum();
    count(Kind::Contact).div_ceil(150).max(1)
        + long_lists
        + count(Kind::Company).div_ceil(100)
        + 1
        + count(Kind::Conversation).div_ceil(150).max(1)
}

/// A first sync: `/me`, reference data, the walk, and the threads.
pub(crate) fn first(truth: &[TruthLine], version: &str) -> u64 {
    1 + reference(version) + walk(truth) + unread(truth)
}

/// A call for each thread that its stub does not call empty.
pub(crate) fn unread<'a>(truth: impl IntoIterator<Item = &'a TruthLine>) -> u64 {
    truth
        .into_iter()
        .filter(|line| line.kind == Kind::Conversation && !line.deleted)
        .filter(|line| line.value()["statistics"]["count_conversation_parts"] != 0)
        .count() as u64
}

/// Threads that hold something beside their first message.
pub(crate) fn threads(truth: &[TruthLine]) -> u64 {
    let parts = truth
        .iter()
        .filter(|line| line.kind == Kind::Part && !line.deleted);
    parts
        .filter_map(|part| part.parent.as_ref())
        .collect::<HashSet<_>>()
        .len() as u64
}

/// Not more calls of a workspace than this since its ledger began, but for the 2 % that a drift may cost.
pub(crate) fn within(workspace: &Workspace, floor: u64) {
    let ledger = workspace.ledger();
    assert!(
        ledger.total <= floor * 102 / 100,
        "{} calls, {floor} needed: {:?}\n{}",
        ledger.total,
        ledger.by_operation,
        timeline(&ledger)
    );
    assert_eq!(ledger.version_missing, 0, "every call names its version");
}

/// Each call with its time, so that a failure shows which one was not needed.
fn timeline(ledger: &Ledger) -> String {
    let rows = ledger.rows();
    let lines = rows.iter().map(|row| {
        let LedgerRow {
            at_millis,
            method,
            path,
            status,
            ..
        } = row;
        format!("{at_millis} {method} {path} {status}")
    });
    lines.collect::<Vec<_>>().join("\n")
}
