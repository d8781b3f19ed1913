//! Partial failure is a state with a sentence and a next step. It touches nothing else and heals by itself.

mod objects;
mod passing;
mod proxies;
mod reference;

use intercom_simulator::{
    Fault, FaultId, Kind, MissingScope, Mutation, Scope, TokenState, WorkspaceSpec,
};
use pathbound::exact::without_conversations;
use shared::{
    completeness::SyncStatus,
    domain::{Mode, Stream},
    store::{ConnectionState, SliceKey, StreamClaim, WalkEnd},
};

use crate::support::{
    Case, OBJECTS, World, cases,
    floors::{reference, unread},
    of, refusal, rows, tiny, wait_for,
};

/// The streams that stand still, each with its code.
async fn blocked(case: &Case) -> Vec<(Stream, String)> {
    let status = case.status().await;
    status
        .streams
        .iter()
        .filter_map(|s| s.blocked.as_ref().map(|why| (s.stream, why.code.clone())))
        .collect()
}

/// One refused operation blocks one stream. When the refusal ends, the block ends by itself.
async fn a_refusal_blocks_one_stream(
    status: u16,
    code: &str,
    operation: &str,
    stream: Stream,
    says: &str,
) {
    let case = Case::of(tiny()).await;
    let refused: FaultId = case.inject(Fault::new(refusal(status, code)).operation(operation));
    let case = case.connect().await;
    case.until_blocked(stream).await;
    case.until("every other stream is held", |status| {
        status
            .streams
            .iter()
            .all(|s| s.blocked.is_some() || s.last_ok_at.is_some() || s.stream == Stream::Threads)
    })
    .await;
    assert_eq!(blocked(&case).await, [(stream, says.to_owned())]);
    let why = case.stream(stream).await.blocked.unwrap();
    assert!(
        why.message.ends_with('.')
            && why.action.is_some_and(|action| action.ends_with('.'))
            && why.until.is_some()
    );
    assert!(
        !case.status().await.complete,
        "a green status would be a lie"
    );
    case.until_slices(0).await;
    // Nothing is under way, and every stream that is blocked is due much later.
    let calls = case.calls(operation);
    assert!(
        case.due_in(stream)
            .await
            .is_none_or(|seconds| seconds > 200.0)
    );
    assert_eq!(
        case.calls(operation),
        calls,
        "the refused operation is left alone"
    );
    case.clear_fault(refused);
    case.end_blocks().await;
    // What was refused, whether the token lives, and the reference data once more.
    let probes = case.calls("me") - 1;
    case.first_sync(case.hits(refused) + probes + reference("2.16"))
        .await;
}

rows! { a_refusal_blocks_one_stream:
    a_plan_without_conversations_blocks_their_stream_alone(403, "api_plan_restricted", "search_conversations", Stream::Conversations, "api_plan_restricted");
    a_plan_refused_in_the_old_way_blocks_its_stream_alone(402, "payment_required", "search_conversations", Stream::Conversations, "api_plan_restricted");
    a_missing_scope_for_contacts_blocks_them_alone(403, "forbidden", "list_contacts", Stream::Contacts, "missing_scope");
    a_missing_scope_said_as_401_blocks_its_stream_alone(401, "token_unauthorized", "list_contacts", Stream::Contacts, "missing_scope");
    a_missing_scope_for_companies_blocks_them_alone(403, "action_forbidden", "scroll_companies", Stream::Companies, "missing_scope");
    a_401_without_a_word_is_a_scope_where_the_token_lives(401, "unauthorized", "scroll_companies", Stream::Companies, "missing_scope");
    a_plan_that_shows_stubs_and_no_threads_blocks_threads_alone(403, "api_plan_restricted", "get_conversation", Stream::Threads, "api_plan_restricted");
    a_missing_scope_for_tags_blocks_reference_data_alone(403, "forbidden", "list_tags", Stream::Reference, "missing_scope");
}

/// How often a refusal is asked about until it is believed.
const ASKED: u64 = 5;
/// What a dead token is refused at the most: seven lists with two questions whether the token lives, and a call of
/// contacts, companies and conversations with one.
const REFUSED: u64 = ASKED * (7 + 2 + 3 * 2);

/// A token that no longer works stops the connection, keeps the data, and starts it again when it works again.
async fn a_dead_token_stops_and_heals(state: TokenState, connection: ConnectionState, code: &str) {
    let case = Case::of(tiny()).await.synced().await;
    case.settle().await;
    case.workspace.set_token_state(state);
    case.resync(Mode::Incremental).await;
    case.until_state(connection).await;
    let found = case.connection_row().await;
    let why = found.error.unwrap();
    assert_eq!(why.code, code);
    assert!(!why.message.is_empty() && !why.action.is_empty());
    assert!(!case.status().await.complete);
    case.assert_exact().await;
    // Slices that were under way hear of it too.
    case.until_slices(0).await;
    assert_eq!(
        case.due().await,
        [],
        "no stream will ask again by itself now"
    );
    case.assert_calls_within(REFUSED);

    case.workspace.restore_tokens();
    case.reset_calls();
    case.mutate(Mutation::update(Kind::Contact, 2).ago(5));
    let proven = |status: &SyncStatus| {
        [Stream::Contacts, Stream::Conversations].map(|s| of(status, s).last_ok_at)
    };
    let before = proven(&case.status().await);
    case.end_blocks().await;
    case.until_state(ConnectionState::Active).await;
    case.until("both were walked again", |status| {
        proven(status)
            .iter()
            .zip(&before)
            .all(|(now, then)| now > then)
    })
    .await;
    case.until_complete().await;
    // Whether the token lives, the reference data, both polls, and the companies of two contacts or a scroll.
    case.assert_exact_within(1 + reference("2.16") + 2 + 2)
        .await;
}

rows! { a_dead_token_stops_and_heals:
    a_revoked_token_asks_for_the_customer_and_heals(TokenState::Revoked, ConnectionState::ReauthRequired, "token_revoked");
    an_expired_token_asks_for_the_customer_and_heals(TokenState::Expired, ConnectionState::ReauthRequired, "token_revoked");
    an_unknown_token_asks_for_the_customer_and_heals(TokenState::NotFound, ConnectionState::ReauthRequired, "token_revoked");
    a_suspended_app_is_the_operators_matter_and_heals(TokenState::Suspended, ConnectionState::Error, "app_suspended");
    a_blocked_app_is_the_operators_matter_and_heals(TokenState::Blocked, ConnectionState::Error, "app_suspended");
}

/// A scope that the app was never granted.
async fn a_scope_that_was_never_granted(scope: Scope, answer: MissingScope, streams: &[Stream]) {
    let spec = WorkspaceSpec {
        missing_scopes: vec![scope],
        missing_scope_answer: answer,
        ..tiny()
    };
    let case = Case::of(spec).await.connect().await;
    case.until("every stream has its answer", |status| {
        streams.iter().all(|s| of(status, *s).blocked.is_some())
            && status
                .streams
                .iter()
                .all(|stream| stream.blocked.is_some() || stream.last_ok_at.is_some())
    })
    .await;
    let codes: Vec<(Stream, String)> = blocked(&case).await;
    assert!(
        codes
            .iter()
            .all(|(stream, code)| streams.contains(stream) && code == "missing_scope"),
        "{codes:?}"
    );
    let found = case.connection_row().await;
    assert_eq!(
        found.state,
        ConnectionState::Active,
        "a scope is not a dead token"
    );
    // Each refusal is in the place of a call, and is asked about again. Beside it is the question whether the token
    // lives. No stub, no thread.
    let threads = if streams.contains(&Stream::Conversations) {
        unread(&case.workspace.truth())
    } else {
        0
    };
    // Of contacts, companies, segments and two lists of attributes at the most.
    let again = (ASKED - 1) * 5;
    case.assert_calls_within(case.first_floor() - threads + again + case.calls("me") - 1);
    assert!(case.calls("me") <= 1 + ASKED * streams.len() as u64);
}

const USERS: &[Stream] = &[Stream::Contacts, Stream::Companies, Stream::Reference];

rows! { a_scope_that_was_never_granted:
    an_app_without_the_users_scope_is_told_by_403(Scope::ReadUsers, MissingScope::Forbidden403, USERS);
    an_app_without_the_users_scope_is_told_by_401(Scope::ReadUsers, MissingScope::Unauthorized401, USERS);
    an_app_without_the_conversations_scope_is_told_by_403(Scope::ReadConversations, MissingScope::Forbidden403, &[Stream::Conversations]);
    an_app_without_the_conversations_scope_is_told_by_401(Scope::ReadConversations, MissingScope::Unauthorized401, &[Stream::Conversations]);
    an_app_without_the_tags_scope_is_told_by_403(Scope::ReadTags, MissingScope::Forbidden403, &[Stream::Reference]);
}

cases! {
    a_plan_that_ends_keeps_the_data_and_resumes_later {
        let case = Case::of(tiny()).await.synced().await;
        case.settle().await;
        case.workspace.set_plan(false);
        case.mutate(Mutation::update(Kind::Contact, 2).ago(10));
        case.mutate(Mutation::grow(Kind::Conversation, 2).ago(10));
        case.request(Mode::Incremental, OBJECTS).await;
        case.until_blocked(Stream::Conversations).await;
        case.until_run_ends().await;
        // The companies of changed contacts come after their own stream's part of the run.
        case.until_slices(0).await;
        let shown = without_conversations(&case.workspace.truth());
        assert_eq!(of(&case.status().await, Stream::Contacts).held, shown.iter().filter(|l| l.kind == Kind::Contact).count() as i64);
        // A poll of contacts, their companies or a scroll, and the refusals.
        case.assert_calls_within(1 + 2 + ASKED);
        case.workspace.set_plan(true);
        case.reset_calls();
        case.end_blocks().await;
        case.until_complete().await;
        // The poll that was refused, its two threads, and the reference data.
        case.assert_exact_within(1 + 2 + reference("2.16")).await;
    }

    a_renewed_token_resumes_where_the_revoked_one_stopped {
        let case = Case::of(tiny()).await.synced().await;
        case.settle().await;
        case.workspace.revoke_tokens();
        case.resync(Mode::Incremental).await;
        case.until_state(ConnectionState::ReauthRequired).await;
        case.mutate(Mutation::update(Kind::Contact, 2).ago(5));
        case.reconnect().await;
        case.until_complete().await;
        // `/me`, the reference data, both polls, and the companies of two contacts or a scroll.
        case.assert_exact_within(REFUSED + 1 + reference("2.16") + 2 + 2).await;
        case.poll_exact(0).await;
    }
}

/// Both change the same run, and neither may undo what the other wrote.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_beside_an_ending_stream_leaves_the_run_without_both() {
    // A wait for a lock ends after half of this, however late the test sees it.
    let world = World::with(&[("DATABASE_STATEMENT_TIMEOUT", "5m")]).await;
    let case = world.connect(tiny()).await;
    let store = world.worker_store(3).await;
    let key = |stream| SliceKey {
        tenant: case.tenant,
        connection: case.connection(),
        stream,
        // Higher than any fence that a fleet could give out.
        fence: i64::MAX,
    };
    for stream in [Stream::Contacts, Stream::Conversations] {
        assert!(matches!(
            store.claim_stream(key(stream), 0).await.unwrap(),
            StreamClaim::Acquired(_)
        ));
    }
    let mut ending = store.begin_fenced(key(Stream::Contacts)).await.unwrap();
    let end = WalkEnd {
        mode: Mode::Full,
        begun_at: chrono::Utc::now() + chrono::TimeDelta::days(1),
        watermark: None,
        overlap_probe: None,
        full: true,
        missing: None,
        next_in_seconds: None,
    };
    ending.end_walk(key(Stream::Contacts), &end).await.unwrap();
    let blocking = tokio::spawn({
        let (store, key) = (store.clone(), key(Stream::Conversations));
        async move {
            let mut tx = store.begin_fenced(key).await.unwrap();
            tx.drop_from_runs(key, "code", "message").await.unwrap();
            tx.commit().await.unwrap();
        }
    });
    // It reads the run, and then waits for the row that the other one has locked.
    wait_for("the block waits for the row", async || {
        let waits = case.a_lock_is_waited_for().await;
        waits
            .then_some(())
            .ok_or_else(|| "nothing waits".to_owned())
    })
    .await;
    ending.commit().await.unwrap();
    blocking.await.unwrap();
    assert_eq!(
        case.pending_of_runs().await,
        [("reference,companies".to_owned(), "running".to_owned())]
    );
}
