//! Short links for a person at the terminal: each opens a page of the demo, signed in.
//!
//! The links hold a random path, so that no other user of this machine finds them. They work as often as they are opened,
//! as long as the demo runs.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use shared::{
    domain::{Secret, TenantId},
    vault,
};
use tokio::net::TcpListener;

use super::{
    other_sources::has_other_sources, scenarios::Scenario, tenant_run::TenantOutcome, world::World,
};
use crate::{
    api_client::{self, ApiClient},
    failure::Failure,
};

/// Letters of the path, of 64 each.
const PATH_LENGTH: usize = 20;

/// The links of a demo.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// The page of integrations of a tenant that several sources know.
    pub(super) integrations: String,
    /// The page of operators.
    pub(super) ops: String,
    /// More links and commands, as text.
    pub(super) commands: String,
}

struct Pages {
    rest: ApiClient,
    http: reqwest::Client,
    ops: String,
    operator_key: Option<Secret>,
    /// A tenant of each kind, and the first one again as the one to show.
    tenants: Vec<(&'static str, TenantId)>,
    commands: String,
}

/// Serves the links until the runtime ends. `commands` is the text of the last one.
///
/// # Errors
/// If there is no port or no randomness.
pub(super) async fn serve(
    outcomes: &[TenantOutcome],
    world: &World,
    commands: String,
) -> Result<Links, Failure> {
    let failed = |error| Failure::failed("no port for the links", error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let token =
        vault::random_token().map_err(|error| Failure::failed("no link could be made", error))?;
    let path: String = token.expose().chars().take(PATH_LENGTH).collect();
    let pages = Pages {
        rest: world.rest.clone(),
        http: api_client::http_client()?,
        ops: world.ops_url(),
        operator_key: world.config.operator_key.clone(),
        tenants: tenants(outcomes),
        commands,
    };
    let routes = Router::new()
        .route(&format!("/{path}/ops"), get(ops))
        .route(&format!("/{path}/{{kind}}"), get(integrations))
        .route(&format!("/{path}/commands"), get(commands_text))
        .with_state(Arc::new(pages));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let link = |page| format!("http://{address}/{path}/{page}");
    Ok(Links {
        integrations: link("integrations"),
        ops: link("ops"),
        commands: link("commands"),
    })
}

fn tenants(outcomes: &[TenantOutcome]) -> Vec<(&'static str, TenantId)> {
    let mut numbered = outcomes.iter().enumerate();
    let shown = numbered
        .find(|(number, outcome)| has_other_sources(*number, &outcome.demo_tenant))
        .map(|(_, outcome)| outcome)
        .or(outcomes.first());
    let of_kind = Scenario::ALL.iter().filter_map(|kind| {
        let mut all = outcomes.iter();
        let found = all.find(|outcome| outcome.demo_tenant.scenario == *kind)?;
        Some((kind.name(), found.tenant?))
    });
    let shown = shown.and_then(|outcome| Some(("integrations", outcome.tenant?)));
    of_kind.chain(shown).collect()
}

/// Signs the browser in with the operator key, and leads to the operators' page. Cookies belong to a host and not to a
/// port, so this answer can set the one of the ops listener.
async fn ops(State(pages): State<Arc<Pages>>) -> Response {
    let key = pages.operator_key.as_ref().map_or("", Secret::expose);
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("key", key)
        .finish();
    let signed_in = pages
        .http
        .post(format!("{}sign-in", pages.ops))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form);
    match signed_in.send().await {
        Ok(answer) => {
            let cookies = answer.headers().get_all(header::SET_COOKIE).iter();
            let mut response = leading_to(&pages.ops);
            for cookie in cookies {
                response
                    .headers_mut()
                    .append(header::SET_COOKIE, cookie.clone());
            }
            response
        }
        Err(_) => unavailable(),
    }
}

/// Makes a new sign-in link of a tenant, and leads there.
async fn integrations(State(pages): State<Arc<Pages>>, Path(kind): Path<String>) -> Response {
    let Some((_, tenant)) = pages.tenants.iter().find(|(name, _)| *name == kind) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let body = json!({});
    let made = pages.rest.post(Some(*tenant), "/v1/sessions", &body).await;
    match made.and_then(api_client::ApiAnswer::success) {
        Ok(link) => leading_to(link["url"].as_str().unwrap_or_default()),
        Err(_) => unavailable(),
    }
}

async fn commands_text(State(pages): State<Arc<Pages>>) -> impl IntoResponse {
    (no_store(), pages.commands.clone())
}

fn leading_to(url: &str) -> Response {
    (StatusCode::SEE_OTHER, no_store(), [(header::LOCATION, url)]).into_response()
}

fn unavailable() -> Response {
    let text = "The demo is broken at the moment. Try again in a few seconds.\n";
    (StatusCode::SERVICE_UNAVAILABLE, no_store(), text).into_response()
}

const fn no_store() -> [(HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}
