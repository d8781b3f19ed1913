//! Keys are exchanged while everything runs: tokens are sealed anew, and then the old key can be taken out.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::Mode;

use crate::support::{Caller, Case, World, tiny};

fn key(kid: &str, byte: u8) -> String {
    format!("{kid}:{}", STANDARD.encode([byte; 32]))
}

/// What a command printed with these keys, and its exit code.
fn with_keys(world: &World, keys: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
    let world = world.otherwise(&[("ENCRYPTION_KEYS", keys)]);
    let output = world.command(&arguments);
    let said = serde_json::from_slice(&output.stdout);
    let said = said.unwrap_or_else(|_| json!(String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), said)
}

/// Whether a run with these keys comes to its end.
async fn syncs(case: Case, keys: &str) -> Case {
    let world = case.world.otherwise(&[("ENCRYPTION_KEYS", keys)]);
    let fleet = world.fleet(1);
    case.resync(Mode::Incremental).await;
    case.until_complete().await;
    drop(fleet);
    case
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_sealed_anew_and_the_old_key_can_go() {
    let (old, new) = (key("old", 1), key("new", 2));
    let both = format!("{new},{old}");
    let world = World::with(&[("ENCRYPTION_KEYS", &old)]).await;
    let mut cases = Vec::new();
    for seed in 0..3 {
        let spec = intercom_simulator::WorkspaceSpec { seed, ..tiny() };
        cases.push(world.connect(spec).await);
    }
    let base = world.api().await;
    let caller = Caller::service(&world, &base, Some(cases[0].tenant));
    let (status, _) = caller
        .call_with(
            Method::POST,
            "/v1/sessions",
            Some(json!({})),
            &[("idempotency-key", "once")],
        )
        .await;
    assert_eq!(status, StatusCode::CREATED);
    let (code, keys) = with_keys(&world, &both, &["keys", "status"]);
    let shown = |first: i64, other: i64| {
        json!([
            {"kid": "new", "state": "first", "tokens": first, "answers": 0},
            {"kid": "old", "state": "other", "tokens": other, "answers": 1},
        ])
    };
    assert_eq!((code, keys), (Some(0), shown(0, 3)));
    // The old key is taken out too early. Nothing is lost, and the command says which one is needed.
    let (code, keys) = with_keys(&world, &new, &["keys", "status"]);
    assert_eq!((code, &keys[1]["state"]), (Some(1), &json!("missing")));
    let (code, rotated) = with_keys(&world, &new, &["keys", "rotate"]);
    assert_eq!((code, &rotated["resealed"]), (Some(5), &json!(0)));
    assert_eq!(rotated["unreadable"].as_array().unwrap().len(), 3);

    let mut cases = cases.into_iter();
    let first = syncs(cases.next().unwrap(), &both).await;
    let rehearsed = with_keys(&world, &both, &["keys", "rotate", "--dry-run"]).1;
    assert_eq!(rehearsed["resealed"], 3);
    assert_eq!(with_keys(&world, &both, &["keys", "status"]).1, shown(0, 3));
    let (code, rotated) = with_keys(&world, &both, &["keys", "rotate"]);
    assert_eq!((code, &rotated["resealed"]), (Some(0), &json!(3)));
    assert_eq!(with_keys(&world, &both, &["keys", "status"]).1, shown(3, 0));
    assert_eq!(
        with_keys(&world, &both, &["keys", "rotate"]).1["resealed"],
        0
    );

    syncs(first, &new).await;
    for case in cases {
        syncs(case, &new).await;
    }
}
