//! Paused tenants and classes.

use shared::{
    domain::{Class, Stream, Verdict},
    queue::PauseScope,
};

use super::worker::{Worker, shared_queue, ticket};

#[tokio::test(flavor = "multi_thread")]
async fn paused_work_waits_and_resumed_work_goes_on() {
    let (queue, _, _) = shared_queue();
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
        queue.pause(&[scope]).await.unwrap();
        assert_eq!(queue.paused().await.unwrap(), [scope]);
        queue.push(&held).await.unwrap();
        queue.push(&free).await.unwrap();
        expected += free.len();
        worker
            .until("the free ones are worked", |worker| {
                worker.slices() == expected
            })
            .await;
        worker.until_asked_again(&queue).await;
        assert_eq!(worker.slices(), expected, "{scope} is paused");
        assert_eq!(queue.stats().await.unwrap().live, held.len() as u64);
        // As a rebuild does: the truth says that nothing is paused.
        queue.set_paused(&[]).await.unwrap();
        expected += held.len();
        worker
            .until("the held ones are worked", |worker| {
                worker.slices() == expected
            })
            .await;
    }
    queue
        .set_paused(&[PauseScope::Fleet, PauseScope::Tenant(threads.tenant)])
        .await
        .unwrap();
    queue
        .set_paused(&[PauseScope::Tenant(threads.tenant)])
        .await
        .unwrap();
    assert_eq!(
        queue.paused().await.unwrap(),
        [PauseScope::Tenant(threads.tenant)]
    );
}
