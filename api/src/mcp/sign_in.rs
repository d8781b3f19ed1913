//! Where a client reads which authorization server gives the tokens that the tools take (RFC 9728).

use axum::{
    Json,
    routing::{MethodRouter, get},
};
use serde_json::json;
use shared::authorization::AuthorizationServer;

use crate::{Api, caller::KeyScope};

/// What a token can allow. Whatever else its server calls a scope has no meaning here.
pub(super) const SCOPES: [KeyScope; 2] = [KeyScope::ProfilesRead, KeyScope::ConversationsRead];

/// The metadata. It is served at the path that is made from that of the tools, and at the root for clients that look there.
pub(crate) fn metadata(api: &Api, server: &AuthorizationServer) -> MethodRouter<Api> {
    let metadata = json!({
        "resource": api.config.mcp_url(),
        "resource_name": "Pathbound",
        "authorization_servers": [server.issuer()],
        "scopes_supported": SCOPES.map(KeyScope::as_str),
        "bearer_methods_supported": ["header"],
    });
    get(async move || Json(metadata.clone()))
}

/// Where the metadata is, for a client that was refused.
pub(super) fn metadata_url(api: &Api) -> String {
    let public = &api.config.public_url;
    format!("{public}/.well-known/oauth-protected-resource/mcp")
}
