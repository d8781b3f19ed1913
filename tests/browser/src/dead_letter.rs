//! A tenant with dead letters. A stream dies of ten failures over hours, which no walk can wait for, so this writes the
//! letters as a slice does that fails for the tenth time.

use api::ops::views::PausedView;
use intercom_simulator::WorkspaceSpec;
use pathbound::{
    demo::{browser::Browser, world::World},
    ops_client::OpsClient,
};
use serde_json::json;
use shared::{
    domain::{ConnectionId, Stream, TenantId},
    store::{CursorAfterFailure, SliceKey, StreamClaim, WorkerStore},
};

use crate::Failure;

/// What the tenant is called.
pub(crate) const NAME: &str = "Dead End";

const CAUSES: [(Stream, &str); 2] = [
    (Stream::Contacts, "status 503"),
    (Stream::Companies, "<b>status</b> 500"),
];

/// Above every fence that a young stream has.
const FENCE: i64 = 1_000_000;

pub(crate) async fn make(world: &World) -> Result<(), Failure> {
    let made = world
        .rest
        .post(None, "/v1/tenants", &json!({"name": NAME}))
        .await?;
    let tenant = TenantId(id(&made.success()?["id"])?);
    // Otherwise a worker would read the streams, and each success closes a letter.
    let pause = format!("/ops/tenants/{tenant}/pause");
    let reason = json!({"reason": "its Intercom is broken"});
    let _: PausedView = OpsClient::of(&world.config)?.post(&pause, &reason).await?;
    let workspace = world.simulator.add_workspace(WorkspaceSpec {
        name: "Dead End Support".to_owned(),
        contacts: 3,
        companies: 1,
        conversations: 2,
        ..WorkspaceSpec::default()
    });
    let path = "/v1/integrations/intercom/connect";
    let flow = world
        .rest
        .post(Some(tenant), path, &json!({}))
        .await?
        .success()?;
    let start_url = flow["start_url"].as_str().ok_or("there is no start link")?;
    Browser::new()?
        .connect(start_url, &workspace.id_code())
        .await?;
    let connections = world.rest.get(tenant, "/v1/connections").await?;
    let connection = ConnectionId(id(&connections["items"][0]["id"])?);
    let store = WorkerStore::connect(&world.config.database, 1).await?;
    for (stream, cause) in CAUSES {
        let key = SliceKey {
            tenant,
            connection,
            stream,
            fence: FENCE,
        };
        // The claim raises the fence, as a slice does before it fails.
        if !matches!(store.claim_stream(key, 0).await?, StreamClaim::Acquired(_)) {
            return Err(format!("the stream {stream} could not be claimed").into());
        }
        let mut tx = store.begin_fenced(key).await?;
        tx.write_dead_letter(key, cause, 10).await?;
        tx.fail_stream(key, cause, 3600.0, CursorAfterFailure::Keep)
            .await?;
        tx.commit().await?;
    }
    store.close().await;
    Ok(())
}

fn id(value: &serde_json::Value) -> Result<uuid::Uuid, Failure> {
    Ok(value.as_str().unwrap_or_default().parse()?)
}
