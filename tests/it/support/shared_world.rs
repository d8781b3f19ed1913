//! Worlds that many cases share, so that a case costs some tenths of a second.
//!
//! Each case has a tenant of its own. Cases that move the simulator's clock take turns in worlds of their own.

use std::{
    future::Future,
    ptr,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use futures::{FutureExt as _, future::select_all};
use intercom_simulator::WorkspaceSpec;
use shared::domain::Stream;
use tokio::{
    runtime::Runtime,
    sync::{Mutex, MutexGuard, OnceCell},
};

use super::{Case, Fleet, World};

/// A test per case. Its name says what holds.
macro_rules! cases {
    ($($name:ident $body:block)+) => {
        $(#[test]
        fn $name() {
            $crate::support::play(async $body);
        })+
    };
}

/// A test per row of a table: the same case with other arguments.
macro_rules! rows {
    ($case:ident: $($name:ident($($given:expr),* $(,)?);)+) => {
        $(#[test]
        fn $name() {
            $crate::support::play($case($($given),*));
        })+
    };
}

pub(crate) use {cases, rows};

/// Streams of objects, which a poll reads. Reference data has a slow timer of its own.
pub(crate) const OBJECTS: &[Stream] = &[
    Stream::Contacts,
    Stream::Companies,
    Stream::Conversations,
    Stream::Threads,
];

/// Plays a case on the runtime that the shared worlds live on.
pub(crate) fn play(case: impl Future<Output = ()>) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
    RUNTIME.block_on(case);
}

/// A world that many cases share, with its fleet.
type Shared = OnceCell<(World, Fleet)>;

async fn shared_world(world: &'static Shared) -> &'static World {
    let (world, _) = world
        .get_or_init(|| async {
            let world = World::with(&[
                ("DATABASE_CONNECTIONS", "16"),
                // A test asks for what is set aside, so nothing of it comes by itself.
                ("RECORD_RETRY", "1h"),
            ])
            .await;
            // It lives as long as the world, which is never dropped.
            let fleet = world.fleet(1);
            (world, fleet)
        })
        .await;
    world
}

/// The smallest workspace that has everything. A case asks for more of what it is about.
pub(crate) fn tiny() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 6,
        companies: 3,
        conversations: 4,
        parts: 2.0,
        admins: 2,
        teams: 1,
        tags: 12,
        segments: 1,
        contacts_over_10_companies: 0.0,
        contacts_over_10_tags: 0.0,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

impl Case {
    /// A workspace in the shared world that is not connected yet.
    pub(crate) async fn of(spec: WorkspaceSpec) -> Self {
        static STEADY: Shared = OnceCell::const_new();
        shared_world(&STEADY).await.case(named(spec)).await
    }

    /// The same, where the simulator's clock shows this moment and is this case's to move.
    pub(crate) async fn at(moment: &str, spec: WorkspaceSpec) -> Self {
        // Taken before the clock is set, and held until the case ends.
        let (turn, world) = clocked_world().await;
        world.simulator.clock().set_now(unix(moment));
        Self {
            _turn: Some(turn),
            ..world.case(named(spec)).await
        }
    }
}

/// The first world whose clock no other case has, and the turn to move it.
async fn clocked_world() -> (MutexGuard<'static, ()>, &'static World) {
    // As many as cases run at once on a small machine.
    static WORLDS: [(Mutex<()>, Shared); 4] =
        [const { (Mutex::const_new(()), OnceCell::const_new()) }; 4];
    let (turn, _, _) = select_all(WORLDS.iter().map(|(turn, _)| turn.lock().boxed())).await;
    let taken = |(mutex, _): &&(Mutex<()>, Shared)| ptr::eq(MutexGuard::mutex(&turn), mutex);
    let (_, world) = WORLDS
        .iter()
        .find(taken)
        .expect("the turn is of one of them");
    (turn, shared_world(world).await)
}

/// A name that no other case of the world has.
fn named(spec: WorkspaceSpec) -> WorkspaceSpec {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    WorkspaceSpec {
        id_code: Some(format!("case{number}")),
        ..spec
    }
}

pub(crate) fn unix(moment: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(moment)
        .expect("a moment")
        .timestamp()
}
