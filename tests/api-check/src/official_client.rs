//! The official client of MCP, which calls the tools as agents do: `mcp_client.py` beside this package.

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

/// It takes some seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether the tools are as the client expects them. `true` if the client could not be had.
pub(crate) async fn check(synced: &Synced) -> Result<bool, Failure> {
    println!("--- the official client of the tools");
    let python = python();
    if !python.exists() {
        println!("SKIPPED: the tools are NOT called by the official client, it could not be had");
        return Ok(true);
    }
    let Ids {
        tenant,
        contact,
        company,
        conversation,
        ..
    } = &synced.read;
    let body = json!({"name": "agent", "scopes": ["profiles:read", "conversations:read"]});
    let made = synced.world.rest.post(Some(*tenant), "/v1/api_keys", &body);
    let made = made.await?.success()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp_client.py");
    let running = Command::new(python)
        .arg(script)
        .env("URL", format!("{}/mcp", synced.world.config.public_url))
        .env("KEY", made["key"].as_str().unwrap_or_default())
        .env("CONTACT", contact)
        .env("COMPANY", company)
        .env("CONVERSATION", conversation)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status();
    let status = timeout(LIMIT, running)
        .await
        .map_err(|_| "the official client takes too long")??;
    Ok(status.success())
}

/// Where `deploy/setup/python_tool.sh` puts it.
fn python() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    PathBuf::from(target).join("tools/mcp/bin/python")
}
