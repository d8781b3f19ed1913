//! Reads quarantined objects again from their stored bytes, after the parser has learned a new form.
//!
//! No call is made. The stream is locked as a slice locks it, so the two never write at the same time. A later stored
//! version stays, and a disconnected connection gets nothing. Threads that wait for their next attempt, and records
//! without bytes, which Intercom did not give, are due at once. Some objects need a whole answer (an unreadable thread, a
//! contact whose companies were cut), and the next walk reads those.

use chrono::Utc;

use super::future_dated;
use crate::{
    domain::{ConnectionId, Stream, TenantId, records::Poison},
    intercom::wire,
    store::{ConnectionState, ProofDelta, QuarantinedObject, StoreError, WorkerStore, WorkerTx},
};

/// Objects per transaction. Each of them may be large.
const BATCH: i64 = 10;

/// The streams in the order in which every transaction locks them, each with the kind of its quarantined objects.
const KINDS: [(Stream, &str); 4] = [
    (Stream::Contacts, "contact"),
    (Stream::Companies, "company"),
    (Stream::Conversations, "conversation"),
    (Stream::Threads, "part"),
];

/// The result of a replay, in objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Stored now.
    pub healed: i64,
    /// Still unreadable.
    pub left: i64,
}

/// Replays a connection's quarantine. `rehearsed` changes nothing and returns the same counts. `None` when the
/// connection is unknown or does not sync.
///
/// # Errors
/// Objects that were replayed before the error stay replayed.
pub async fn replay(
    store: &WorkerStore,
    tenant: TenantId,
    connection: ConnectionId,
    rehearsed: bool,
) -> Result<Option<Replayed>, StoreError> {
    let mut replayed = Replayed::default();
    for (stream, kind) in KINDS {
        replayed.left += ask_now(store, tenant, connection, (stream, kind), rehearsed).await?;
        let mut after = String::new();
        loop {
            let mut tx = store.begin(tenant).await?;
            // Locked first, because a slice of the stream may store or resolve the same objects.
            tx.lock_stream(connection, stream).await?;
            let found = tx.connection(connection).await?;
            if found.is_none_or(|connection| connection.state != ConnectionState::Active) {
                return Ok(None);
            }
            // Paged by id and not by what is left, because an object that stays unreadable would
            // come again for ever.
            let batch = tx.quarantined(connection, kind, &after, BATCH).await?;
            let Some(last) = batch.last() else { break };
            after.clone_from(&last.source_id);
            let all = batch.len() as i64;
            let healed = heal(&mut tx, connection, stream, kind, batch).await?;
            replayed.healed += healed;
            replayed.left += all - healed;
            // A rehearsal drops the transaction, so it has counted and changed nothing.
            if !rehearsed {
                tx.commit().await?;
            }
        }
    }
    if !rehearsed {
        retry_threads(store, tenant, connection).await?;
    }
    Ok(Some(replayed))
}

/// Makes the threads due that wait for their next attempt. Their objects are asked for again, because nothing of them
/// is stored.
async fn retry_threads(
    store: &WorkerStore,
    tenant: TenantId,
    connection: ConnectionId,
) -> Result<(), StoreError> {
    let mut tx = store.begin(tenant).await?;
    // The stream's row is locked last, in the order of a slice of threads.
    if tx.retry_threads_now(connection).await? > 0 {
        tx.make_due(connection, Stream::Threads).await?;
    }
    tx.commit().await
}

/// Makes the records that Intercom did not give due now. Their stream asks for them again. Returns their number.
async fn ask_now(
    store: &WorkerStore,
    tenant: TenantId,
    connection: ConnectionId,
    (stream, kind): (Stream, &str),
    rehearsed: bool,
) -> Result<i64, StoreError> {
    let mut tx = store.begin(tenant).await?;
    tx.lock_stream(connection, stream).await?;
    let is_active = tx
        .connection(connection)
        .await?
        .is_some_and(|found| found.state == ConnectionState::Active);
    if !is_active {
        return Ok(0);
    }
    let asked = tx.retry_now(connection, kind).await?;
    if asked > 0 {
        tx.make_due(connection, stream).await?;
    }
    if !rehearsed {
        tx.commit().await?;
    }
    Ok(i64::try_from(asked).unwrap_or(i64::MAX))
}

/// Stores the objects that are readable now and closes their quarantine. Returns their number.
async fn heal(
    tx: &mut WorkerTx,
    connection: ConnectionId,
    stream: Stream,
    kind: &str,
    batch: Vec<QuarantinedObject>,
) -> Result<i64, StoreError> {
    let (healed, alive) = match stream {
        Stream::Contacts => {
            let (ids, contacts) = read(batch, wire::read_contact, |contact| {
                !future_dated::is_future_dated(contact, Utc::now()) && contact.companies.is_whole()
            });
            (ids, tx.write_contacts(connection, contacts).await?.alive)
        }
        Stream::Companies => {
            let (ids, companies) = read(batch, wire::read_company, |company| {
                !future_dated::is_future_dated(company, Utc::now())
            });
            (ids, tx.write_companies(connection, companies).await?.alive)
        }
        Stream::Conversations => {
            let (ids, stubs) = read(batch, wire::read_conversation, |stub| {
                !future_dated::is_future_dated(stub, Utc::now())
            });
            // A stub that is readable now shows parts that no slice has fetched yet.
            let written = tx.write_stubs(connection, stubs).await?;
            tx.make_due(connection, Stream::Threads).await?;
            (ids, written.alive)
        }
        Stream::Threads => return heal_parts(tx, connection, batch).await,
        // Reference lists are read whole on a timer, so their objects heal by themselves.
        Stream::Reference => return Ok(0),
    };
    let closed = tx.resolve_quarantine(connection, kind, &healed).await?;
    let delta = ProofDelta {
        alive,
        healed: closed,
        ..ProofDelta::default()
    };
    tx.add_to_proof(connection, stream, delta).await?;
    Ok(closed)
}

/// The ids of quarantined parts begin with their conversation's id. `…/thread` is an answer that was no thread.
async fn heal_parts(
    tx: &mut WorkerTx,
    connection: ConnectionId,
    batch: Vec<QuarantinedObject>,
) -> Result<i64, StoreError> {
    let owner = |id: &str| {
        id.split_once('/')
            .map(|(owner, rest)| (owner.to_owned(), rest == "thread"))
    };
    let (whole, single): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .partition(|row| owner(&row.source_id).is_some_and(|(_, whole)| whole));
    // An unreadable thread has no parts to store. Its conversation is fetched again.
    let asked_again: Vec<String> = whole
        .iter()
        .filter_map(|row| owner(&row.source_id))
        .map(|(owner, _)| owner)
        .collect();
    let (ids, parts) = read(single, wire::read_part, |part| {
        !future_dated::is_future_dated(part, Utc::now())
    });
    let parts = ids
        .iter()
        .zip(parts)
        .filter_map(|(id, part)| Some((owner(id)?.0, part)))
        .collect();
    let alive = tx.replay_parts(connection, parts, &asked_again).await?;
    let closed = tx.resolve_quarantine(connection, "part", &ids).await?;
    let delta = ProofDelta {
        alive,
        ..ProofDelta::default()
    };
    tx.add_to_proof(connection, Stream::Threads, delta).await?;
    tx.make_due(connection, Stream::Threads).await?;
    Ok(closed)
}

/// The objects that are readable now, and their ids in quarantine.
fn read<T>(
    batch: Vec<QuarantinedObject>,
    read: impl Fn(&str) -> Result<T, Poison>,
    keep: impl Fn(&T) -> bool,
) -> (Vec<String>, Vec<T>) {
    batch
        .into_iter()
        .filter_map(|row| match read(std::str::from_utf8(&row.raw).ok()?) {
            Ok(record) if keep(&record) => Some((row.source_id, record)),
            _ => None,
        })
        .unzip()
}
