//! Hostile payloads: a committed corpus of objects and answers that no API should send.
//!
//! Each goes through a real worker. Good records of the same page are stored and the walk ends. The bad
//! object is stored, repaired and flagged, or quarantined with its bytes and a reason. A later good
//! version replaces it.
//!
//! `corpus/<kind>.txt` has a line per object or answer, below the fate that it must meet.

mod answers;
mod connecting;
mod corpus;
mod lists;
mod objects;
mod outages;
mod pages;
mod replay;
mod set_aside;
mod sizes;
mod sub_lists;
mod threads;

use intercom_simulator::{Kind, Workspace, WorkspaceSpec};
use shared::intercom::wire;

use crate::support::Kept;
use corpus::Hostile;

/// A workspace of one page of each kind.
fn small() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 6,
        companies: 3,
        conversations: 3,
        contacts_over_10_companies: 0.0,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// A small workspace with a name of its own, so that a fault can be its alone.
fn small_named(name: &str) -> WorkspaceSpec {
    WorkspaceSpec {
        id_code: Some(name.to_owned()),
        ..small()
    }
}

/// The good contacts of a workspace, as they stand in a list's answer.
fn good_contacts(workspace: &Workspace) -> String {
    let truth = workspace.truth();
    let contacts = truth.iter().filter(|line| line.kind == Kind::Contact);
    contacts
        .map(|line| line.object.get())
        .collect::<Vec<_>>()
        .join(",")
}

/// The bytes that a reader sees of what was sent. Bytes that are no text have become escapes.
fn seen(sent: &[u8]) -> Vec<u8> {
    wire::readable(sent.to_vec()).trim().as_bytes().to_vec()
}

/// Each object ended where its file says, once, with its bytes. A failure names all that did not.
fn assert_fates(
    entries: &[(Hostile, Vec<u8>)],
    kept: &[Kept],
    is_of: impl Fn(&[u8], &[u8]) -> bool,
) {
    let mut wrong = Vec::new();
    for (entry, sent) in entries {
        let sent = seen(sent);
        let fates: Vec<&str> = kept
            .iter()
            .filter(|kept| is_of(&sent, &kept.raw))
            .map(|kept| kept.fate.as_str())
            .collect();
        if fates != [entry.fate.as_str()] {
            wrong.push(format!(
                "{}/{}: should be {}, is {fates:?}",
                entry.kind, entry.name, entry.fate
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        entries.len(),
        wrong.join("\n")
    );
}
