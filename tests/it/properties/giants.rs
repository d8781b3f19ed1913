//! A giant thread keeps nobody waiting: what answered is stored while the giant is still being sent.

use intercom_simulator::{Fault, FaultAction, Kind, Mutation, TruthLine, Workspace, WorkspaceSpec};

use crate::world::{Connected, PATIENCE, World};

/// Only the newest 500 of them are ever shown.
const PARTS: u32 = 1_200;
/// Of each shown part's body: 20 MB in all.
const BODY: usize = 40_000;
const BYTES: usize = 500 * BODY;

fn spec(conversations: u32) -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 3,
        companies: 0,
        conversations,
        parts: 3.0,
        admins: 2,
        teams: 1,
        tags: 2,
        segments: 1,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// Adds a conversation, newer than all others, whose answer is 20 MB.
fn grow_giant(workspace: &Workspace) -> String {
    let giant = workspace.mutate(Mutation::add(Kind::Conversation, 1).ago(3_900))[0].clone();
    workspace.mutate(
        Mutation::grow(Kind::Conversation, 1)
            .ids([giant.clone()])
            .parts(PARTS)
            .ago(3_800),
    );
    for part in workspace
        .truth()
        .iter()
        .filter(|line| is_part_of(line, &giant) && !line.hidden)
    {
        let mut object = part.value();
        object["body"] = "x".repeat(BODY).into();
        assert!(workspace.put_raw(Kind::Part, &part.id, object.to_string()));
    }
    giant
}

fn is_part_of(line: &TruthLine, conversation: &str) -> bool {
    line.kind == Kind::Part && line.parent.as_deref() == Some(conversation)
}

/// Parts held of threads that are settled, and of the giant.
async fn parts(world: &World, connected: &Connected, giant: &str) -> (usize, usize) {
    let rows = world
        .sql(
            "SELECT c.source_id, p.source_id FROM parts p
             JOIN conversations c ON c.tenant_id = p.tenant_id AND c.id = p.conversation_id
             WHERE c.connection_id = $1 AND p.source_id <> 'source'",
            connected,
        )
        .await;
    let giants = rows
        .iter()
        .filter(|(conversation, _)| conversation == giant)
        .count();
    (rows.len() - giants, giants)
}

#[test]
fn a_thread_of_twenty_megabytes_keeps_no_other_waiting() {
    crate::complete::play(giant_beside_others());
}

async fn giant_beside_others() {
    let world = World::with(&[("REQUEST_TIMEOUT", "60s")]).await;
    let workspace = world.simulator.add_workspace(spec(90));
    let giant = grow_giant(&workspace);
    // The other half comes when all others are stored.
    let half = FaultAction::Hold { after: BYTES / 2 };
    let half = world
        .simulator
        .inject(Fault::new(half).path(format!("/conversations/{giant}")));
    let neighbour = world.simulator.add_workspace(WorkspaceSpec {
        seed: 2,
        id_code: Some("neighbour".to_owned()),
        ..spec(30)
    });

    let tenants = [
        world
            .connect_as(
                world.store.create_tenant("Acme").await.unwrap().id,
                &workspace,
            )
            .await,
        world
            .connect_as(
                world.store.create_tenant("Zeta").await.unwrap().id,
                &neighbour,
            )
            .await,
    ];
    let others = |workspace: &Workspace| {
        workspace
            .truth()
            .iter()
            .filter(|line| line.kind == Kind::Part && !line.hidden)
            .filter(|line| line.parent.as_ref() != Some(&giant))
            .count()
    };
    let (wanted, neighbours) = (others(&workspace), others(&neighbour));
    assert!(wanted > 150 && neighbours > 50, "{wanted} and {neighbours}");
    let _fleet = world.fleet(1);

    // Seen together: all of the others' parts, and none of the giant's.
    let begun = std::time::Instant::now();
    loop {
        let (held, giants) = parts(&world, &tenants[0], &giant).await;
        let (beside, _) = parts(&world, &tenants[1], "").await;
        assert_eq!(
            giants, 0,
            "the giant was stored when {held} of {wanted} and {beside} of {neighbours} others were"
        );
        if (held, beside) == (wanted, neighbours) {
            break;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{held} of {wanted} and {beside} of {neighbours} are stored"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(world.simulator.fault_hits(half), 1, "it is under way");
    world.simulator.clear_fault(half);
    for tenant in &tenants {
        world.until_complete(tenant).await;
        world.assert_exact(tenant).await;
    }
    let status = world.status(&tenants[0]).await;
    assert_eq!(
        (
            status.threads.truncated,
            parts(&world, &tenants[0], &giant).await.1
        ),
        (1, 500)
    );
    // Stored as they came, none was asked for twice.
    let asked = workspace
        .ledger()
        .rows()
        .into_iter()
        .filter(|row| row.path == format!("/conversations/{giant}"));
    assert_eq!(asked.count(), 1);
}

#[test]
fn the_backlog_does_not_wait_for_a_giant() {
    crate::complete::play(backlog_behind_giant());
}

async fn backlog_behind_giant() {
    // A slice is forty threads: were it to wait for the giant, 39 others would be held when the giant is.
    let world = World::with(&[
        ("REQUEST_TIMEOUT", "60s"),
        ("CONVERSATIONS_PER_SLICE", "40"),
    ])
    .await;
    let workspace = world.simulator.add_workspace(spec(150));
    let giant = grow_giant(&workspace);
    let half = FaultAction::Hold { after: BYTES / 2 };
    let half = world
        .simulator
        .inject(Fault::new(half).path(format!("/conversations/{giant}")));
    let tenant = world
        .connect_as(
            world.store.create_tenant("Acme").await.unwrap().id,
            &workspace,
        )
        .await;
    let truth = workspace.truth();
    let wanted = truth
        .iter()
        .filter(|line| line.kind == Kind::Part && !line.hidden && !is_part_of(line, &giant))
        .count();
    assert!(wanted > 300, "{wanted}");
    let _fleet = world.fleet(1);
    let begun = std::time::Instant::now();
    loop {
        let (held, giants) = parts(&world, &tenant, &giant).await;
        assert_eq!(
            giants, 0,
            "the giant was stored when {held} of {wanted} others were"
        );
        if held == wanted {
            break;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{held} of {wanted} others are stored"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(world.simulator.fault_hits(half), 1, "it is under way");
    world.simulator.clear_fault(half);
    world.until_complete(&tenant).await;
    world.assert_exact(&tenant).await;
    // Nobody was asked for twice: not the giant, and none of those that were read from the backlog meanwhile.
    let rows = workspace.ledger().rows();
    let mut asked: Vec<&str> = rows
        .iter()
        .filter(|row| row.operation == "get_conversation")
        .map(|row| &*row.path)
        .collect();
    let calls = asked.len();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(calls, asked.len());
}

/// What the worker holds of answers at once, by default.
const ROOM: usize = 64 << 20;

#[test]
fn eight_giants_at_once_are_held_in_bounds_and_all_land() {
    crate::complete::play(eight_giants());
}

async fn eight_giants() {
    let world = World::with(&[("REQUEST_TIMEOUT", "60s")]).await;
    let workspace = world.simulator.add_workspace(spec(60));
    let giants: Vec<String> = (0..8).map(|_| grow_giant(&workspace)).collect();
    // Each piece a while after the one before: were nobody to wait, all eight would be held before one is whole.
    for giant in &giants {
        let drip = FaultAction::Drip {
            bytes: BYTES / 20,
            millis: 40,
        };
        world
            .simulator
            .inject(Fault::new(drip).path(format!("/conversations/{giant}")));
    }
    let tenant = world
        .connect_as(
            world.store.create_tenant("Acme").await.unwrap().id,
            &workspace,
        )
        .await;
    let scheduler = world.fleet(0);
    let worker = worker::Worker::open(world.config.clone()).await.unwrap();
    let memory = worker.response_memory().clone();
    let stop = shared::shutdown::Shutdown::new();
    let _stops = stop.clone().drop_guard();
    tokio::spawn(worker.run(stop));

    world.until_complete(&tenant).await;
    let most = memory.peak_bytes();
    assert!(
        (BYTES..=ROOM).contains(&most),
        "{most} bytes were held at once"
    );
    for giant in &giants {
        assert_eq!(parts(&world, &tenant, giant).await.1, 500);
    }
    let rows = workspace.ledger().rows();
    let of_giants = rows
        .iter()
        .filter(|row| giants.iter().any(|giant| row.path.ends_with(giant)))
        .count();
    assert_eq!(
        of_giants, 8,
        "nobody's answer was thrown away for want of room"
    );
    world.assert_exact(&tenant).await;
    drop(scheduler);
}
