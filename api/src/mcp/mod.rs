//! The MCP server at `POST /mcp`: the same reads as REST, as tools for a model.
//!
//! | file | what |
//! |---|---|
//! | `admission.rs` | Host, Origin and `Accept`, before the gate |
//! | `gate.rs` | the gate of REST, which takes tokens of the authorization server as well |
//! | `lacking.rs` | the scope that a call needs and its token lacks |
//! | `sign_in.rs` | where clients read of that server |
//! | `message.rs` | what is no message of the protocol, before its library |
//! | `server.rs` | the protocol's methods |
//! | `call.rs` | what a tool is, and how its arguments are read |
//! | `tools/` | the tools, one file each. `tools/mod.rs` lists them |
//! | `resources.rs` | the same answers at addresses |
//! | `answer.rs`, `render.rs` | how long an answer may be, and how it reads as text |
//! | `untrusted.rs` | customers' text |
//! | `freshness.rs` | as of when an answer is, and whether it is complete |
//! | `refusal.rs` | why there is no answer |
//! | `schema.rs` | JSON Schemas of types |
//! | `instructions.txt` | what a model is told first |
//!
//! There are no sessions: each request is answered by itself, with JSON, by whatever process gets it. The keys, their
//! scopes and their limits are those of REST. A sign-in is advertised only if an authorization server is configured, because
//! clients that find one ignore their key.

mod admission;
mod answer;
mod call;
mod freshness;
mod gate;
mod lacking;
mod message;
mod refusal;
mod render;
mod resources;
mod schema;
mod server;
mod sign_in;
mod tools;
mod untrusted;

use std::sync::Arc;

use axum::{
    extract::Request,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use tower::ServiceExt;

use crate::{
    Api,
    caller::{Access, KeyScope},
    error::ApiError,
};
use lacking::LackedScope;
use server::McpServer;
pub(crate) use sign_in::metadata as sign_in;
pub(crate) use untrusted::is_invisible;

/// Every tool reads profiles. Those that read conversations ask for their scope by themselves.
const ACCESS: Access = Access::Scope(KeyScope::ProfilesRead);

type Service = StreamableHttpService<McpServer, NeverSessionManager>;

/// The route, behind its checks and the gate.
pub(crate) fn methods(api: &Api) -> MethodRouter<Api> {
    let service = service(api);
    post(move |request: Request| answer(service.clone(), request))
        .route_layer(from_fn_with_state(api.clone(), gate::gate))
        .route_layer(from_fn_with_state(api.clone(), admission::admit))
}

fn service(api: &Api) -> Service {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(None)
        .with_sse_retry(None)
        // `admission.rs` checks both, so that a refusal is a problem like any other.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(ACCESS.body_limit());
    let server = McpServer { api: api.clone() };
    StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    )
}

async fn answer(service: Service, request: Request) -> Response {
    let request = match message::check(request, ACCESS.body_limit()).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    let lacked = request.extensions().get::<LackedScope>().cloned();
    let response = match service.oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    };
    if let Some(scope) = lacked.and_then(|lacked| lacked.get()) {
        return ApiError::token_lacks_scope(scope).into_response();
    }
    message::or_unreadable(response).await
}
