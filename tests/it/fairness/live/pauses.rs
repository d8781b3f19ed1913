//! Paused tenants and classes.

use scheduler::apply_pauses;
use shared::{
    domain::{Class, Stream, Verdict},
    queue::PauseScope,
    store::{ActionOrigin, ActionSubject, OperatorChannel, OperatorStore, SchedulerStore},
};

use super::worker::{Worker, heard, push_once, shared_queue, ticket};
use crate::support::{World, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn paused_work_waits_and_resumed_work_goes_on() {
    let (queue, mut redis, prefix) = shared_queue();
    let worker = Worker::start(&queue, 4, |_| std::future::ready(Verdict::Done));
    let threads = ticket(Stream::Threads);
    let contacts = ticket(Stream::Contacts);
    let mut expected = 0;
    for (scope, held, free) in [
        (
            PauseScope::Tenant(threads.tenant),
            vec![threads],
            vec![contacts],
        ),
        (
            PauseScope::Class(Class::Backfill),
            vec![threads],
            vec![contacts],
        ),
        (PauseScope::Fleet, vec![threads, contacts], vec![]),
    ] {
        heard(async || queue.pause(&[scope]).await).await;
        assert_eq!(heard(|| queue.paused()).await, [scope]);
        push_once(&mut redis, &prefix, &held);
        push_once(&mut redis, &prefix, &free);
        expected += free.len();
        worker
            .until("the free ones are worked", |worker| {
                worker.slices() == expected
            })
            .await;
        worker.until_asked_again(&queue).await;
        assert_eq!(worker.slices(), expected, "{scope} is paused");
        // Redis hears of the end of a slice with a later call.
        wait_for("the held ones are left", async || {
            let live = heard(|| queue.stats()).await.live;
            (live == held.len() as u64)
                .then_some(())
                .ok_or_else(|| format!("{live} are live"))
        })
        .await;
        // As a rebuild does: the truth says that nothing is paused.
        heard(|| queue.set_paused(&[])).await;
        expected += held.len();
        worker
            .until("the held ones are worked", |worker| {
                worker.slices() == expected
            })
            .await;
    }
    let tenant = PauseScope::Tenant(threads.tenant);
    heard(async || queue.set_paused(&[PauseScope::Fleet, tenant]).await).await;
    heard(async || queue.set_paused(&[tenant]).await).await;
    assert_eq!(heard(|| queue.paused()).await, [tenant]);
}

/// The scheduler copies the pauses from Postgres now and then, and an operator's pause may reach Redis meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_is_made_while_pauses_are_copied_stays() {
    let world = World::new().await;
    let database = &world.config.database;
    let scheduler = SchedulerStore::connect(database, 1).await.unwrap();
    let operator = OperatorStore::connect(database, 1).await.unwrap();
    let scope = PauseScope::Class(Class::Backfill);
    let subject = ActionSubject {
        tenant: None,
        text: "the class backfill".to_owned(),
        reason: None,
    };
    let (key, name) = (
        ActionOrigin::unnamed(OperatorChannel::Key),
        scope.to_string(),
    );
    // Many times, because the two meet at another place each time.
    for round in 0..60 {
        let pauses = round % 2 == 0;
        let (copied, made) = tokio::join!(apply_pauses(&scheduler, &world.queue), async {
            if pauses {
                operator.pause(&key, &name, &subject).await.unwrap();
                world.queue.pause(&[scope]).await
            } else {
                operator.resume(&key, &name, &subject).await.unwrap();
                world.queue.resume(&[scope]).await
            }
        });
        copied.unwrap();
        made.unwrap();
        let paused = world.queue.paused().await.unwrap();
        assert_eq!(paused.contains(&scope), pauses, "round {round}");
    }
}
