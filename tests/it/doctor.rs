//! `pathbound doctor`: what is wrong with an installation, and what to do about it.

use serde_json::Value;
use servers::Relay;

use crate::support::{World, own_redis, servers};

/// The exit code and the findings.
fn findings(world: &World) -> (i32, Vec<Value>) {
    let output = world.command(&["doctor", "-o", "json"]);
    let found = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), found)
}

/// The level of a check, the worst one first.
fn level<'a>(findings: &'a [Value], check: &str) -> &'a str {
    let of_check = findings.iter().filter(|finding| finding["check"] == check);
    let levels: Vec<&str> = of_check.map(|f| f["level"].as_str().unwrap()).collect();
    for bad in ["unreachable", "fault", "warning"] {
        if levels.contains(&bad) {
            return bad;
        }
    }
    levels.first().copied().unwrap_or("missing")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_installation_has_no_fault_and_every_bad_finding_has_a_fix() {
    let redis = own_redis(&["--maxmemory-policy", "allkeys-lru"]);
    let world = World::with(&[("REDIS_URL", &redis.url())]).await;
    let (code, found) = findings(&world);
    assert_eq!(code, 0, "{found:#?}");
    for (check, expected) in [
        ("keys", "ok"),
        ("postgres", "ok"),
        // The tests log in as a superuser, which only production refuses.
        ("login", "warning"),
        ("postgres clock", "ok"),
        ("schema", "ok"),
        ("redis", "ok"),
        ("redis eviction", "warning"),
        ("redis clock", "ok"),
    ] {
        assert_eq!(level(&found, check), expected, "{check}: {found:#?}");
    }
    let has_fix = |finding: &Value| finding["level"] == "ok" || finding["fix"].is_string();
    assert!(found.iter().all(has_fix), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_away_is_told_by_the_exit_code() {
    let world = World::new().await;
    world.forget_migration(38).await;
    let (code, found) = findings(&world);
    assert_eq!((code, level(&found, "schema")), (1, "fault"), "{found:#?}");
    world.remember_migration(38).await;
    assert_eq!(findings(&world).0, 0);

    let relay = Relay::start(&format!("127.0.0.1:{}", servers().postgres().port())).unwrap();
    let away = world.through(&relay);
    relay.refuse();
    let (code, found) = findings(&away);
    assert_eq!(
        (code, level(&found, "postgres"), level(&found, "redis")),
        (3, "unreachable", "ok"),
        "{found:#?}"
    );
    let redis = own_redis(&[]);
    let away = world.otherwise(&[("REDIS_URL", &redis.url())]);
    redis.kill9().unwrap();
    let (code, found) = findings(&away);
    assert_eq!(
        (code, level(&found, "redis"), level(&found, "schema")),
        (3, "unreachable", "ok"),
        "{found:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_are_there_for_every_shell() {
    let world = World::new().await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.command(&["completions", shell]).stdout;
        let script = String::from_utf8(script).unwrap();
        assert!(
            script.contains("pathbound") && script.contains("doctor"),
            "{shell}"
        );
    }
}
