//! Pages that are more than an answer may be: asked for in smaller ones, down to the record that is too large alone,
//! which is quarantined under its own id while all of its neighbours land.

use intercom_simulator::{Fault, Kind, Mutation, TruthLine, Workspace, WorkspaceSpec};
use pathbound::exact::compare;
use shared::{
    completeness::SyncStatus,
    domain::{Mode, Stream},
};

use super::{has_ended, quarantine, small, stream};
use crate::world::{Connected, World};

const MEGABYTE: usize = 1 << 20;

fn spec() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 160,
        companies: 0,
        conversations: 3,
        parts: 1.0,
        ..small()
    }
}

async fn world() -> World {
    // A debug build takes its time over so many bytes.
    World::with(&[("REQUEST_TIMEOUT", "60s")]).await
}

async fn connect(world: &World, workspace: &Workspace) -> Connected {
    world
        .connect_as(
            world.store.create_tenant("Acme").await.unwrap().id,
            workspace,
        )
        .await
}

/// Live objects of a kind, as walks show them: contacts by id, conversations newest first.
fn live(workspace: &Workspace, kind: Kind) -> Vec<TruthLine> {
    let mut lines: Vec<TruthLine> = workspace
        .truth()
        .into_iter()
        .filter(|line| line.kind == kind && !line.deleted && !line.hidden)
        .collect();
    if kind == Kind::Conversation {
        lines.sort_by_key(|line| std::cmp::Reverse(line.updated_at));
    }
    lines
}

/// Makes an object this large, in a text of its own deep within.
fn inflate(workspace: &Workspace, line: &TruthLine, bytes: usize) {
    let mut object = line.value();
    let attributes = object["custom_attributes"].as_object_mut().unwrap();
    attributes.insert("novel".to_owned(), "x".repeat(bytes).into());
    assert!(workspace.put_raw(line.kind, &line.id, object.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_large_contacts_is_read_in_smaller_pages() {
    let world = world().await;
    let workspace = world.simulator.add_workspace(spec());
    for line in live(&workspace, Kind::Contact).iter().skip(60).take(40) {
        inflate(&workspace, line, MEGABYTE);
    }
    let connected = connect(&world, &workspace).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    // 150 are 40 MB, as are the 75 behind the first 75; then 37 and less, of which the last are a full page again.
    let calls = workspace.ledger().calls("list_contacts");
    assert!((4..=9).contains(&calls), "{calls} calls");
}

/// Nobody but the giant is missing, and nobody says that the copy is complete; then it heals.
async fn steps_over(
    world: &World,
    connected: &Connected,
    of: Stream,
    giant: &TruthLine,
    most_calls: u64,
) {
    let (kind, operation) = match of {
        Stream::Contacts => ("contact", "list_contacts"),
        _ => ("conversation", "search_conversations"),
    };
    let _fleet = world.fleet(1);
    world
        .until(connected, "the walks have ended", has_ended)
        .await;
    world.until_run_ends(connected).await;
    let quarantined = quarantine(world, connected).await;
    let reason = "a page of this object alone is larger than 33554432 bytes".to_owned();
    assert_eq!(
        quarantined,
        [(format!("{kind}/{}", giant.id), reason, Vec::new())]
    );
    let status = world.status(connected).await;
    assert!(!status.complete);
    let there_are = live(&connected.workspace, giant.kind).len() as i64;
    assert_eq!(stream(&status, of), (there_are - 1, Some(there_are)));
    let calls = connected.workspace.ledger().calls(operation);
    assert!(calls <= most_calls, "{calls} calls");
    let truth: Vec<TruthLine> = connected
        .workspace
        .truth()
        .into_iter()
        .filter(|line| line.id != giant.id && line.parent.as_ref() != Some(&giant.id))
        .collect();
    let report = compare(&world.store, connected.tenant, connected.connection, &truth)
        .await
        .unwrap();
    assert_eq!(
        (report.missing, report.different, report.extra),
        (0, 0, 0),
        "{report}"
    );

    assert!(
        connected
            .workspace
            .put_raw(giant.kind, &giant.id, giant.object.get().to_owned())
    );
    world.resync(connected, Mode::Full).await;
    world.until_complete(connected).await;
    world.assert_exact(connected).await;
    assert_eq!(quarantine(world, connected).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_too_large_alone_is_stepped_over_and_heals() {
    let world = world().await;
    let workspace = world.simulator.add_workspace(spec());
    let giant = live(&workspace, Kind::Contact).remove(17);
    inflate(&workspace, &giant, 40 * MEGABYTE);
    let connected = connect(&world, &workspace).await;
    // Halvings, the giant itself, and what grows again around it: 25.
    steps_over(&world, &connected, Stream::Contacts, &giant, 28).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_too_large_alone_is_stepped_over_and_heals() {
    let world = world().await;
    let workspace = world.simulator.add_workspace(WorkspaceSpec {
        contacts: 3,
        conversations: 160,
        ..spec()
    });
    let giant = live(&workspace, Kind::Conversation).remove(101);
    inflate(&workspace, &giant, 40 * MEGABYTE);
    let connected = connect(&world, &workspace).await;
    steps_over(&world, &connected, Stream::Conversations, &giant, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_steps_over_a_contact_that_has_become_too_large() {
    let world = world().await;
    let workspace = world.simulator.add_workspace(spec());
    let connected = connect(&world, &workspace).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    let changed = workspace.mutate(Mutation::update(Kind::Contact, 12));
    let giant = live(&workspace, Kind::Contact)
        .into_iter()
        .find(|line| line.id == changed[5])
        .unwrap();
    inflate(&workspace, &giant, 40 * MEGABYTE);
    world.until_run_ends(&connected).await;
    world
        .request(&connected, Mode::Incremental, &[Stream::Contacts])
        .await;
    world.until_run_ends(&connected).await;
    let quarantined: Vec<String> = quarantine(&world, &connected)
        .await
        .into_iter()
        .map(|(id, ..)| id)
        .collect();
    assert_eq!(quarantined, [format!("contact/{}", giant.id)]);
    assert!(!world.status(&connected).await.complete);
    let truth: Vec<TruthLine> = workspace
        .truth()
        .into_iter()
        .filter(|line| line.id != giant.id && line.parent.as_ref() != Some(&giant.id))
        .collect();
    let report = compare(&world.store, connected.tenant, connected.connection, &truth)
        .await
        .unwrap();
    assert_eq!((report.missing, report.different), (0, 0), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_refused_for_its_page_size_starts_the_walk_over() {
    let world = world().await;
    let workspace = world.simulator.add_workspace(spec());
    for line in live(&workspace, Kind::Contact).iter().skip(110).take(40) {
        inflate(&workspace, line, MEGABYTE);
    }
    // 150 are 40 MB. 75 land, and the cursor behind them is asked for with 150 again: it was made for 75.
    let refused = Fault::status(400)
        .operation("list_contacts")
        .workspace(workspace.id_code())
        .skip(2)
        .times(1);
    let refused = world.simulator.inject(refused);
    let connected = connect(&world, &workspace).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    assert_eq!(world.simulator.fault_hits(refused), 1);
    let calls = workspace.ledger().calls("list_contacts");
    assert!((8..=16).contains(&calls), "{calls} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_scroll_that_is_too_large_says_so() {
    let world = world().await;
    let workspace = world.simulator.add_workspace(WorkspaceSpec {
        companies: 60,
        contacts: 3,
        ..spec()
    });
    for line in live(&workspace, Kind::Company).iter().take(40) {
        inflate(&workspace, line, MEGABYTE);
    }
    let connected = connect(&world, &workspace).await;
    let _fleet = world.fleet(1);
    let begun = std::time::Instant::now();
    let error = "SELECT last_error, '' FROM streams
                 WHERE connection_id = $1 AND stream = 'companies' AND last_error IS NOT NULL";
    let error = loop {
        if let Some((error, _)) = world.sql(error, &connected).await.pop() {
            break error;
        }
        assert!(begun.elapsed() < crate::world::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(
        error.contains("larger than an answer may be") && error.contains("chooses how many"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_too_large_is_read_again_when_it_changes() {
    let world = world().await;
    let workspace = world.simulator.add_workspace(WorkspaceSpec {
        contacts: 3,
        conversations: 6,
        parts: 3.0,
        ..spec()
    });
    let truth = workspace.truth();
    let part = truth
        .iter()
        .find(|line| line.kind == Kind::Part && !line.hidden)
        .unwrap();
    let giant = part.parent.clone().unwrap();
    let with_body = |body: String| {
        let mut object = part.value();
        object["body"] = body.into();
        assert!(workspace.put_raw(Kind::Part, &part.id, object.to_string()));
    };
    with_body("x".repeat(40 * MEGABYTE));
    let connected = connect(&world, &workspace).await;
    let _fleet = world.fleet(1);
    let blocked = |status: &SyncStatus| status.threads.blocked == 1 && status.threads.pending == 0;
    world
        .until(&connected, "all threads but one are held", blocked)
        .await;
    let notes = world.status(&connected).await.notes;
    assert!(
        notes.iter().any(|note| note.code == "blocked_threads"),
        "{notes:?}"
    );
    let of_giant = || {
        let path = format!("/conversations/{giant}");
        workspace
            .ledger()
            .rows()
            .into_iter()
            .filter(|row| row.path == path)
            .count()
    };
    assert_eq!(of_giant(), 1);

    with_body("short again".to_owned());
    workspace.mutate(
        Mutation::update(Kind::Conversation, 1)
            .ids([giant.clone()])
            .ago(10),
    );
    world.until_run_ends(&connected).await;
    world
        .request(
            &connected,
            Mode::Incremental,
            &[Stream::Conversations, Stream::Threads],
        )
        .await;
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    assert_eq!(of_giant(), 2);
}
