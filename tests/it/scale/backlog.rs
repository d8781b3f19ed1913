//! A slice of threads costs the same however many threads are pending, whatever the planner believes of them.

use shared::{
    domain::Stream,
    store::{SliceKey, WorkerStore},
};

use crate::support::{Case, ExplainedServer, tiny};

const LONG: i64 = 30_000;
/// Pages that one statement may read. The index of the long backlog has some hundreds.
const BUFFERS: f64 = 40.0;
/// Threads that a slice fetches at once.
const BATCH: i64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_long_backlog_reads_one_end_of_it() {
    let Some(server) = ExplainedServer::start().await else {
        return;
    };
    let world = server.world().await;
    let case = world.connect(tiny()).await;
    for is_analyzed in [false, true] {
        if is_analyzed {
            server.analyze().await;
        } else {
            case.lengthen_backlog(LONG).await;
        }
        // Its session is new, so that its statements are planned by what is known now.
        let store = world.worker_store(1).await;
        look_at_backlog(&store, &case).await;
        server.forget().await;
        look_at_backlog(&store, &case).await;
        let ran = server.plans().await;
        let of_threads: Vec<_> = ran
            .iter()
            .filter(|ran| ran.statement.contains("FROM threads"))
            .collect();
        assert_eq!(of_threads.len(), 3, "analyzed: {is_analyzed}");
        for ran in of_threads {
            assert!(ran.buffers <= BUFFERS, "analyzed: {is_analyzed}, {ran}");
        }
    }
}

/// What a slice of threads asks for before its calls, and at its end.
async fn look_at_backlog(store: &WorkerStore, case: &Case) {
    let key = SliceKey {
        tenant: case.tenant,
        connection: case.connection(),
        stream: Stream::Threads,
        fence: 1,
    };
    let mut tx = store.begin(key.tenant).await.unwrap();
    let due = tx.due_threads(key.connection, BATCH, BATCH).await.unwrap();
    assert_eq!(due.fresh.len() as i64, BATCH);
    let backlog = tx.thread_backlog(key).await.unwrap();
    assert!(backlog.next_in_seconds.unwrap() <= 0.0, "{backlog:?}");
}
