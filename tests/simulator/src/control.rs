//! The control side over HTTP, under `/_control/`: what the Rust handles do, for the binary.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET workspaces` | | `[{id_code, token, spec}]` |
//! | `POST workspaces` | a recipe | `{id_code, token, spec}` |
//! | `POST workspaces/{id}/mutate` | a mutation | `{ids}` |
//! | `PUT workspaces/{id}/limit` | `{per_window}` | |
//! | `PUT workspaces/{id}/plan` | `{conversations}` | |
//! | `PUT workspaces/{id}/tokens` | `{state}` | |
//! | `POST workspaces/{id}/tokens` | | `{token}` |
//! | `PUT workspaces/{id}/scroll` | `{hold_seconds}`, 0 releases | |
//! | `PUT workspaces/{id}/raw/{kind}/{object}` | any bytes | |
//! | `GET workspaces/{id}/truth` | | JSON lines |
//! | `GET`, `DELETE` `workspaces/{id}/ledger`, `ledger` | | counters |
//! | `GET workspaces/{id}/ledger/rows`, `ledger/rows` | | JSON lines |
//! | `POST faults` | a fault | `{id}` |
//! | `GET faults/{id}` | | `{hits}` |
//! | `DELETE faults`, `faults/{id}` | | |
//! | `PUT latency` | `"none"`, `{"fixed":5}`, `{"between":[5,20]}` (ms) | |
//! | `GET clock`, `PUT clock` | `{offset_seconds}` or `{advance_seconds}` | `{now, offset_seconds}` |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::auth::TokenState;
use crate::faults::{Fault, FaultId};
use crate::ledger::Ledger;
use crate::mutate::Mutation;
use crate::options::Latency;
use crate::rate::lock;
use crate::reply::Reply;
use crate::simulator::Shared;
use crate::spec::WorkspaceSpec;
use crate::store::Kind;
use crate::workspace::Workspace;

/// Answers a control call. `path` is what follows `/_control/`.
pub(crate) fn answer(shared: &Arc<Shared>, method: &str, path: &str, body: &Bytes) -> Reply {
    route(shared, method, path, body).unwrap_or_else(|refusal| refusal)
}

fn route(shared: &Arc<Shared>, method: &str, path: &str, body: &Bytes) -> Result<Reply, Reply> {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["workspaces"]) => {
            let all: Vec<Value> = shared.list().iter().map(describe).collect();
            Ok(ok(&json!(all)))
        }
        ("POST", ["workspaces"]) => {
            let spec: WorkspaceSpec = read(body)?;
            shared
                .add_workspace(spec)
                .map(|workspace| ok(&describe(&workspace)))
                .map_err(|error| refuse(400, &error.to_string()))
        }
        (_, ["workspaces", id_code, rest @ ..]) => {
            let workspace = shared
                .workspace(id_code)
                .ok_or_else(|| refuse(404, "no such workspace"))?;
            of_workspace(&workspace, method, rest, body)
        }
        (_, ["ledger", rest @ ..]) => ledger(method, rest, &shared.book.snapshot()),
        ("POST", ["faults"]) => {
            let fault: Fault = read(body)?;
            Ok(ok(&json!({"id": shared.faults.inject(fault)})))
        }
        ("DELETE", ["faults"]) => {
            shared.faults.clear(None);
            Ok(ok(&json!({})))
        }
        ("GET", ["faults", id]) => Ok(ok(&json!({"hits": shared.faults.hits(fault_id(id)?)}))),
        ("DELETE", ["faults", id]) => {
            shared.faults.clear(Some(fault_id(id)?));
            Ok(ok(&json!({})))
        }
        ("PUT", ["latency"]) => {
            let latency: Latency = read(body)?;
            *lock(&shared.latency) = latency;
            Ok(ok(&json!({})))
        }
        (_, ["clock"]) => clock(shared, method, body),
        _ => Err(refuse(404, "no such control call")),
    }
}

fn of_workspace(
    workspace: &Workspace,
    method: &str,
    path: &[&str],
    body: &Bytes,
) -> Result<Reply, Reply> {
    match (method, path) {
        ("GET", []) => return Ok(ok(&describe(workspace))),
        ("POST", ["mutate"]) => {
            let mutation: Mutation = read(body)?;
            return Ok(ok(&json!({"ids": workspace.mutate(mutation)})));
        }
        ("PUT", ["limit"]) => workspace.set_limit(read::<Limit>(body)?.per_window),
        ("PUT", ["plan"]) => workspace.set_plan(read::<Plan>(body)?.conversations),
        ("PUT", ["tokens"]) => workspace.set_token_state(read::<Tokens>(body)?.state),
        ("POST", ["tokens"]) => return Ok(ok(&json!({"token": workspace.issue_token()}))),
        ("PUT", ["scroll"]) => match read::<Hold>(body)?.hold_seconds {
            0 => workspace.release_scroll(),
            seconds => workspace.hold_scroll(Duration::from_secs(seconds)),
        },
        ("PUT", ["raw", kind, id]) => {
            let kind: Kind = serde_json::from_value(json!(kind))
                .map_err(|error| refuse(400, &error.to_string()))?;
            if !workspace.put_raw(kind, id, body.clone()) {
                return Err(refuse(404, "no such object"));
            }
        }
        ("GET", ["truth"]) => {
            let mut lines = Vec::new();
            workspace
                .write_truth(&mut lines)
                .map_err(|error| refuse(500, &error.to_string()))?;
            return Ok(Reply::new(200, "application/x-ndjson", lines));
        }
        (method, ["ledger", rest @ ..]) => return ledger(method, rest, &workspace.ledger()),
        _ => return Err(refuse(404, "no such control call")),
    }
    Ok(ok(&json!({})))
}

#[derive(Deserialize)]
struct Limit {
    per_window: u32,
}

#[derive(Deserialize)]
struct Plan {
    conversations: bool,
}

#[derive(Deserialize)]
struct Tokens {
    state: TokenState,
}

#[derive(Deserialize)]
struct Hold {
    hold_seconds: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Time {
    offset_seconds: Option<i64>,
    advance_seconds: Option<u64>,
}

fn ledger(method: &str, path: &[&str], ledger: &Ledger) -> Result<Reply, Reply> {
    match (method, path) {
        ("GET", []) => Ok(ok(&json!(ledger))),
        ("DELETE", []) => {
            ledger.reset();
            Ok(ok(&json!({})))
        }
        ("GET", ["rows"]) => {
            let mut lines = String::new();
            for row in ledger.rows() {
                lines.push_str(&json!(row).to_string());
                lines.push('\n');
            }
            Ok(Reply::new(200, "application/x-ndjson", lines))
        }
        _ => Err(refuse(404, "no such control call")),
    }
}

fn clock(shared: &Shared, method: &str, body: &Bytes) -> Result<Reply, Reply> {
    if method == "PUT" {
        let time: Time = read(body)?;
        if let Some(seconds) = time.offset_seconds {
            shared.clock.set_offset(seconds);
        }
        if let Some(seconds) = time.advance_seconds {
            shared.clock.advance(Duration::from_secs(seconds));
        }
    }
    Ok(ok(&json!({
        "now": shared.clock.now(),
        "offset_seconds": shared.clock.offset(),
    })))
}

fn describe(workspace: &Workspace) -> Value {
    json!({
        "id_code": workspace.id_code(),
        "token": workspace.token(),
        "spec": workspace.spec(),
    })
}

fn fault_id(text: &str) -> Result<FaultId, Reply> {
    text.parse()
        .map(FaultId)
        .map_err(|_| refuse(400, "a fault id is a number"))
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|error| refuse(400, &error.to_string()))
}

fn ok(body: &Value) -> Reply {
    Reply::json(200, body.to_string())
}

fn refuse(status: u16, reason: &str) -> Reply {
    Reply::json(status, json!({"error": reason}).to_string())
}
