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
mod pages;
mod replay;
mod sizes;

use intercom_simulator::{Kind, Workspace, WorkspaceSpec};
use shared::{completeness::SyncStatus, domain::Stream, intercom::wire};
use sqlx::{Connection, PgConnection};

use crate::world::{Connected, World};
use corpus::Hostile;

/// A row that an object ended in: stored, sanitised or quarantined, its source id, its bytes.
type Row = (String, String, Vec<u8>);

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

/// The good contacts of a workspace, as they stand in a list's answer.
fn good_contacts(workspace: &Workspace) -> String {
    let truth = workspace.truth();
    let contacts = truth.iter().filter(|line| line.kind == Kind::Contact);
    contacts
        .map(|line| line.object.get())
        .collect::<Vec<_>>()
        .join(",")
}

/// Every walk has ended, and no thread is owed: nobody is held up by what was bad.
fn has_ended(status: &SyncStatus) -> bool {
    status.threads.pending == 0
        && status
            .streams
            .iter()
            .all(|stream| stream.last_ok_at.is_some())
}

fn stream(status: &SyncStatus, stream: Stream) -> (i64, Option<i64>) {
    let status = status
        .streams
        .iter()
        .find(|status| status.stream == stream)
        .unwrap();
    (status.held, status.expected)
}

/// Rows of three columns, the last one bytes, as the database's superuser.
async fn rows(world: &World, connected: &Connected, query: &'static str) -> Vec<Row> {
    let mut admin = PgConnection::connect(world.config.database_url.expose())
        .await
        .unwrap();
    sqlx::query_as(query)
        .bind(connected.connection.0)
        .fetch_all(&mut admin)
        .await
        .unwrap()
}

/// What is in quarantine of a kind.
async fn quarantine(world: &World, connected: &Connected) -> Vec<(String, String, Vec<u8>)> {
    rows(
        world,
        connected,
        "SELECT kind || '/' || source_id, reason, raw FROM quarantine WHERE connection_id = $1 AND resolved_at IS NULL",
    )
    .await
}

/// The bytes that a reader sees of what was sent: what is no text in them has become escapes.
fn seen(sent: &[u8]) -> Vec<u8> {
    wire::readable(sent.to_vec()).trim().as_bytes().to_vec()
}

/// Each object ended where its folder says, once, with its bytes; a failure names all that did not.
fn assert_fates(
    entries: &[(Hostile, Vec<u8>)],
    rows: &[Row],
    is_of: impl Fn(&[u8], &[u8]) -> bool,
) {
    let mut wrong = Vec::new();
    for (entry, sent) in entries {
        let sent = seen(sent);
        let fates: Vec<&str> = rows
            .iter()
            .filter(|(_, _, raw)| is_of(&sent, raw))
            .map(|(fate, ..)| fate.as_str())
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
