//! A Redis that moves behind its address, and one that accepts and never answers. Nothing is restarted.

use std::time::Duration;

use chrono::{DateTime, Utc};
use intercom_simulator::{Kind, Mutation};
use servers::{Redis, Relay};
use shared::domain::Stream;

use crate::support::{Case, Fleet, World, own_redis, tell, tiny};

/// The fleet works again within this time once the new server is there.
const RECOVERY: Duration = Duration::from_secs(60);

/// A world whose Redis is behind a relay, with a fleet that has synced a workspace.
struct Relayed {
    relay: Relay,
    redis: Redis,
    case: Case,
    _fleet: Fleet,
}

impl Relayed {
    async fn new() -> Self {
        let redis = own_redis(&[]);
        let relay = Relay::start(&address(&redis)).unwrap();
        let url = relay.of_url(&redis.url());
        let world = World::with(&[("REDIS_URL", &url)]).await;
        let fleet = world.fleet(2);
        let case = world.connect(tiny()).await;
        case.until_complete().await;
        // A lease from before would walk the stream without redis.
        case.until_slices(0).await;
        Self {
            relay,
            redis,
            case,
            _fleet: fleet,
        }
    }

    /// A contact changes while Redis is of no use for `pause`, and no walk claims to have seen it. Returns the time of
    /// the last walk.
    async fn change_unseen(&self, pause: Duration) -> Option<DateTime<Utc>> {
        let before = self.case.stream(Stream::Contacts).await.last_ok_at;
        self.case.mutate(Mutation::update(Kind::Contact, 2));
        self.case.make_due(&[Stream::Contacts]).await;
        tokio::time::sleep(pause).await;
        let meanwhile = self.case.stream(Stream::Contacts).await.last_ok_at;
        assert_eq!(meanwhile, before, "nothing was walked without redis");
        before
    }

    /// The change is seen within the time.
    async fn assert_sees(&self, before: Option<DateTime<Utc>>) {
        let walked = self.case.until_walked_after(Stream::Contacts, before);
        tokio::time::timeout(RECOVERY, walked)
            .await
            .expect("it works again within a minute");
        self.case.until_complete().await;
        self.case.until_slices(0).await;
        self.case.assert_exact().await;
    }
}

fn address(redis: &Redis) -> String {
    format!("127.0.0.1:{}", redis.port())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_moves_while_old_sockets_stay_open_is_followed() {
    let relayed = Relayed::new().await;
    let new = own_redis(&[]);
    // What a managed Redis does at a fail-over: the old server lives on, read-only, with its clients.
    let port = new.port().to_string();
    let old = relayed.redis.url();
    tell::<()>(&old, &["REPLICAOF", "127.0.0.1", &port]);
    let before = relayed.change_unseen(Duration::from_secs(3)).await;
    relayed.relay.point_at(&address(&new)).unwrap();
    relayed.assert_sees(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_never_answers_is_left_for_one_that_does() {
    let relayed = Relayed::new().await;
    relayed.relay.freeze();
    // Long enough that every part of the fleet waits for an answer.
    let before = relayed.change_unseen(Duration::from_secs(6)).await;
    assert!(relayed.case.world.queue.check_writable().await.is_err());
    // The old sockets never carry a byte again, and no end learns it.
    relayed.relay.abandon();
    relayed.assert_sees(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_answers_again_is_used_again() {
    let relayed = Relayed::new().await;
    relayed.relay.freeze();
    let before = relayed.change_unseen(Duration::from_secs(2)).await;
    relayed.relay.forward();
    relayed.assert_sees(before).await;

    relayed.relay.refuse();
    let before = relayed.change_unseen(Duration::from_secs(2)).await;
    relayed.relay.forward();
    relayed.assert_sees(before).await;
}
