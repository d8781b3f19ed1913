//! The official clients of MCP, which call the tools as agents do, and the protocol's conformance suite: the scripts
//! beside this package. What the clients call is one list, `mcp_calls.json`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::json;
use tokio::{process::Command, time::timeout};

use crate::{
    Failure,
    world::{Ids, Synced},
};

/// Of one script. It takes ten seconds or so on an idle machine.
const LIMIT: Duration = Duration::from_secs(120);

const CALLS: &str = include_str!("../mcp_calls.json");

/// A script, and the tool that runs it.
struct Script {
    title: &'static str,
    name: &'static str,
    /// The tool's folder, below that of all tools.
    tool: &'static str,
    /// The interpreter, below the tool's folder.
    interpreter: &'static str,
    /// Said if the tool could not be had.
    missed: &'static str,
}

const SCRIPTS: [Script; 3] = [
    Script {
        title: "the official client of the tools in Python",
        name: "mcp_client.py",
        tool: "mcp",
        interpreter: "bin/python",
        missed: "the tools are NOT called by the official client in Python",
    },
    Script {
        title: "the official clients of the tools in JavaScript",
        name: "mcp_clients.mjs",
        tool: "mcp_clients",
        interpreter: "node_modules/.bin/node",
        missed: "the tools are NOT called by the official clients in JavaScript",
    },
    Script {
        title: "the protocol's conformance suite",
        name: "mcp_conformance.mjs",
        tool: "mcp_clients",
        interpreter: "node_modules/.bin/node",
        missed: "the protocol's conformance suite is NOT run",
    },
];

/// Whether the tools are as the clients and the suite expect them. What could not be had is skipped.
pub(crate) async fn check(synced: &Synced) -> Result<bool, Failure> {
    let ids = &synced.read;
    let body = json!({"name": "agent", "scopes": ["profiles:read", "conversations:read"]});
    let rest = &synced.world.rest;
    let made = rest.post(Some(ids.tenant), "/v1/api_keys", &body).await?;
    let made = made.success()?;
    let key = made["key"].as_str().unwrap_or_default();
    let url = format!("{}/mcp", synced.world.config.public_url);
    let mut is_good = true;
    for script in SCRIPTS {
        is_good &= script.run(&url, key, ids).await?;
    }
    Ok(is_good)
}

impl Script {
    async fn run(&self, url: &str, key: &str, ids: &Ids) -> Result<bool, Failure> {
        println!("--- {}", self.title);
        let folder = tools().join(self.tool);
        let interpreter = folder.join(self.interpreter);
        if !interpreter.exists() {
            println!("SKIPPED: {}, {} could not be had", self.missed, self.tool);
            return Ok(true);
        }
        let (folder, here) = (
            folder.canonicalize()?,
            Path::new(env!("CARGO_MANIFEST_DIR")),
        );
        // Beside its packages, because Node looks for them where the script is.
        let script = folder.join(self.name);
        std::fs::copy(here.join(self.name), &script)?;
        let results = folder.join("results");
        let _ = std::fs::remove_dir_all(&results);
        let running = Command::new(folder.join(self.interpreter))
            .arg(script)
            .env("URL", url)
            .env("KEY", key)
            .env("CALLS", calls(ids))
            .env("EXCEPTIONS", here.join("conformance.yaml"))
            .env("RESULTS", results)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .status();
        let status = timeout(LIMIT, running)
            .await
            .map_err(|_| format!("{} takes too long", self.name))??;
        Ok(status.success())
    }
}

/// The calls, with the ids of this tenant's objects.
fn calls(ids: &Ids) -> String {
    let values = [
        ("${CONTACT}", &ids.contact),
        ("${COMPANY}", &ids.company),
        ("${CONVERSATION}", &ids.conversation),
    ];
    values
        .iter()
        .fold(CALLS.to_owned(), |text, (name, id)| text.replace(name, id))
}

/// Where the scripts in `deploy/setup` put tools.
fn tools() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    PathBuf::from(target).join("tools")
}
