//! Partial failure: a state with a sentence and a next step, which touches nothing else and heals by itself.

use intercom_simulator::{
    Fault, FaultAction, FaultId, Kind, MissingScope, Mutation, Scope, TokenState, WorkspaceSpec,
};
use pathbound::exact::without_conversations;
use shared::{
    completeness::SyncStatus,
    domain::{Region, Stream},
    store::ConnectionState,
};

use super::{Case, cases, of, rows, tiny};
use crate::floors::{reference, unread};

/// What Intercom answers instead, in the words of its reference.
fn refusal(status: u16, code: &str) -> FaultAction {
    let body = serde_json::json!({"type": "error.list", "request_id": null, "errors": [{"code": code, "message": "no"}]});
    FaultAction::Status {
        status,
        body: Some(body.to_string()),
        headers: Vec::new(),
    }
}

/// The tomorrow comes for which a blocked stream waits.
async fn a_day_passes(case: &Case) {
    case.sql(
        "UPDATE streams SET due_at = now(), ticketed_at = NULL
         WHERE connection_id = $1 AND (blocked_code IS NOT NULL OR stream = 'reference') RETURNING stream, ''",
    )
    .await;
}

/// The streams that stand still, each with its code.
async fn blocked(case: &Case) -> Vec<(Stream, String)> {
    let status = case.status().await;
    status
        .streams
        .iter()
        .filter_map(|s| s.blocked.as_ref().map(|why| (s.stream, why.code.clone())))
        .collect()
}

/// One refused operation blocks one stream; when the refusal ends, so does the block, and nobody has to ask.
async fn a_refusal_blocks_one_stream(
    status: u16,
    code: &str,
    operation: &str,
    stream: Stream,
    says: &str,
) {
    let case = Case::of(tiny()).await;
    let refused: FaultId = case.fault(Fault::new(refusal(status, code)).operation(operation));
    let case = case.connect().await;
    case.until("the stream is blocked", |status| {
        of(status, stream).blocked.is_some()
    })
    .await;
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
    case.world.until_slices(case.connected(), 0).await;
    let calls = case.calls(operation);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(case.calls(operation), calls, "nobody keeps knocking");
    case.world.simulator.clear_fault(refused);
    a_day_passes(&case).await;
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

/// What a dead token is refused at the most: seven lists, a call of contacts, companies and conversations, and for each
/// of the four streams the question whether it lives.
const REFUSED: u64 = 7 + 3 + 4;

/// A token that no longer works stops the connection, keeps the data, and starts it again when it works again.
async fn a_dead_token_stops_and_heals(state: TokenState, connection: ConnectionState, code: &str) {
    let case = Case::of(tiny()).await.synced().await;
    case.world.until_run_ends(case.connected()).await;
    case.workspace.ledger().reset();
    case.workspace.set_token_state(state);
    case.world
        .resync(case.connected(), shared::domain::Mode::Incremental)
        .await;
    case.world.until_state(case.connected(), connection).await;
    let found = case
        .world
        .store
        .connection(case.connected().tenant, case.connected().connection)
        .await
        .unwrap()
        .unwrap();
    let why = found.error.unwrap();
    assert_eq!(why.code, code);
    assert!(!why.message.is_empty() && !why.action.is_empty());
    assert!(!case.status().await.complete);
    case.exact().await;
    // Those who were under way hear of it too.
    case.world.until_slices(case.connected(), 0).await;
    let calls = case.workspace.ledger().total;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(
        case.workspace.ledger().total,
        calls,
        "nobody keeps knocking"
    );
    case.within(REFUSED);

    case.workspace.restore_tokens();
    case.workspace.ledger().reset();
    case.change(Mutation::update(Kind::Contact, 2).ago(5));
    let proven = |status: &SyncStatus| {
        [Stream::Contacts, Stream::Conversations].map(|s| of(status, s).last_ok_at)
    };
    let before = proven(&case.status().await);
    a_day_passes(&case).await;
    case.world
        .until_state(case.connected(), ConnectionState::Active)
        .await;
    case.until("both were walked again", |status| {
        proven(status)
            .iter()
            .zip(&before)
            .all(|(now, then)| now > then)
    })
    .await;
    case.complete().await;
    // Whether the token lives, the reference data, both polls, and the companies of two contacts or a scroll.
    case.exact_within(1 + reference("2.16") + 2 + 2).await;
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
    let found = case
        .world
        .store
        .connection(case.connected().tenant, case.connected().connection)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        found.state,
        ConnectionState::Active,
        "a scope is not a dead token"
    );
    // Each refusal is in the place of a call; beside it, the question whether the token lives. No stub, no thread.
    let threads = if streams.contains(&Stream::Conversations) {
        unread(&case.workspace.truth())
    } else {
        0
    };
    case.within(case.first() - threads + case.calls("me") - 1);
    assert!(case.calls("me") <= 1 + streams.len() as u64);
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
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        case.workspace.set_plan(false);
        case.change(Mutation::update(Kind::Contact, 2).ago(10));
        case.change(Mutation::grow(Kind::Conversation, 2).ago(10));
        case.world.request(case.connected(), shared::domain::Mode::Incremental, super::OBJECTS).await;
        case.until("conversations are blocked", |status| of(status, Stream::Conversations).blocked.is_some()).await;
        case.world.until_run_ends(case.connected()).await;
        // The companies of changed contacts come after their own stream's part of the run.
        case.world.until_slices(case.connected(), 0).await;
        let shown = without_conversations(&case.workspace.truth());
        assert_eq!(of(&case.status().await, Stream::Contacts).held, shown.iter().filter(|l| l.kind == Kind::Contact).count() as i64);
        // A poll of contacts, their companies or a scroll, and the refusal.
        case.within(1 + 2 + 1);
        case.workspace.set_plan(true);
        case.workspace.ledger().reset();
        a_day_passes(&case).await;
        case.complete().await;
        // The poll that was refused, its two threads, and the reference data.
        case.exact_within(1 + 2 + reference("2.16")).await;
    }

    a_workspace_of_another_region_is_found_from_the_wrong_door {
        let case = Case::of(WorkspaceSpec { region: "AU".to_owned(), ..tiny() }).await.region(Region::Eu);
        // The European host does not know the token; the American one leads on.
        let refused = case.fault(Fault::new(refusal(401, "unauthorized")).operation("me").times(1));
        let case = case.synced_with(1).await;
        assert_eq!(case.hits(refused), 1);
        let region = case.sql("SELECT region, '' FROM connections WHERE id = $1").await;
        assert_eq!(region[0].0, Region::Au.as_str());
    }

    a_renewed_token_resumes_where_the_revoked_one_stopped {
        let case = Case::of(tiny()).await.synced().await;
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        case.workspace.revoke_tokens();
        case.world.resync(case.connected(), shared::domain::Mode::Incremental).await;
        case.world.until_state(case.connected(), ConnectionState::ReauthRequired).await;
        case.change(Mutation::update(Kind::Contact, 2).ago(5));
        let again = case.world.connect_as(case.connected().tenant, &case.workspace).await;
        assert_eq!(again.connection, case.connected().connection);
        case.complete().await;
        // `/me`, the reference data, both polls, and the companies of two contacts or a scroll.
        case.exact_within(REFUSED + 1 + reference("2.16") + 2 + 2).await;
        case.run(0).await;
    }
}
