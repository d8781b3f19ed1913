//! The pages for people.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::StatusCode;

use crate::support::{World, client};

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_need_no_key_and_may_load_nothing() {
    let world = World::new().await;
    let base = world.api().await;
    for (path, title) in [
        ("/docs", "<h1>The Pathbound API</h1>"),
        ("/docs/problems/invalid_cursor", "<h1>Invalid cursor</h1>"),
    ] {
        let answer = client().get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        let policy = header("content-security-policy");
        let (begin, digest) = policy.split_once("sha256-").unwrap();
        assert_eq!(begin, "default-src 'none'; style-src '");
        assert!(!policy.contains("unsafe"), "{policy}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(title), "{path}");
        // The one style that the policy names is the page's.
        let style = page
            .split("<style>")
            .nth(1)
            .unwrap()
            .split("</style>")
            .next()
            .unwrap();
        let style = shared::vault::sha256(style.as_bytes());
        assert_eq!(digest.split('\'').next().unwrap(), STANDARD.encode(style));
    }
}

/// The README's commands that call the API, as a reader types them.
fn commands() -> Vec<String> {
    let readme = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let blocks = readme.split("```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.filter(|block| block.contains("curl ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_run() {
    if std::process::Command::new("curl")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: the README's commands are NOT run, there is no curl");
        return;
    }
    let world = World::new().await;
    let base = world.api().await;
    let commands = commands();
    assert_eq!(commands.len(), 7);
    let mut before = String::new();
    for command in commands {
        let command = command.replace("localhost:8080", &base);
        // Its reader has run the commands above it in the same shell.
        let script = format!("{{ :\n{before}\n}} > /dev/null\n{command}");
        before = format!("{before}{command}\n");
        let ran = tokio::process::Command::new("sh")
            .args(["-euc", &script])
            .env("PATHBOUND_SERVICE_KEY", world.config.service_key.expose())
            .output()
            .await
            .unwrap();
        assert!(ran.status.success(), "{command}{ran:?}");
        // The last answer is what the reader sees.
        let answer: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert!(
            answer["openapi"].is_string()
                || answer["start_url"].is_string()
                || answer["accepted"] == 1
                || answer["matched"].is_string()
                || answer["contacts"]["blocked"].is_array()
                || answer["key"].is_string()
                || answer["url"].is_string(),
            "{command}{answer}"
        );
    }
}
