//! Every route, with the key that it needs.
//!
//! A new call is a line here and an annotated handler in `routes/`. Its path, method and shapes are in the annotation,
//! from which the description (`openapi/`) and the page (`docs/`) are made.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, get},
};
use utoipa_axum::{router::UtoipaMethodRouter, routes};

use crate::{
    Api,
    caller::{
        Access::{self, Scope, Service, ServiceForTenant},
        KeyScope::{
            ConnectionsRead, ConnectionsWrite, ConversationsRead, ProfilesRead, SourcesWrite,
        },
        gate,
    },
    cors, docs, envelope, mcp, oauth,
    openapi::Described,
    pages,
    routes::{
        api_keys, audit_events, changes, companies, connections, contacts, conversations, erasures,
        identities, identity_rules, merge_rules, search, sessions, sources, syncs, tenants,
        timeline,
    },
};

/// Every call of `/v1`.
fn calls() -> Vec<(Access, UtoipaMethodRouter<Api>)> {
    vec![
        (Service, routes!(tenants::create)),
        (ServiceForTenant, routes!(api_keys::create, api_keys::list)),
        (ServiceForTenant, routes!(api_keys::revoke)),
        (ServiceForTenant, routes!(sessions::create)),
        (Scope(ConnectionsWrite), routes!(connections::connect)),
        (Scope(ConnectionsRead), routes!(connections::list)),
        (Scope(ConnectionsRead), routes!(connections::show)),
        (Scope(ConnectionsWrite), routes!(connections::end)),
        (Scope(ConnectionsRead), routes!(syncs::status)),
        (Scope(ConnectionsRead), routes!(syncs::list)),
        (Scope(ConnectionsWrite), routes!(syncs::create)),
        (Scope(ConnectionsRead), routes!(syncs::show)),
        (Scope(SourcesWrite), routes!(sources::receive)),
        (Scope(ConnectionsRead), routes!(sources::list)),
        (Scope(SourcesWrite), routes!(sources::remove)),
        (Scope(ProfilesRead), routes!(merge_rules::show)),
        (Scope(SourcesWrite), routes!(merge_rules::set)),
        (Scope(ProfilesRead), routes!(identity_rules::show)),
        (Scope(SourcesWrite), routes!(identity_rules::set)),
        (Scope(ProfilesRead), routes!(contacts::list)),
        (Scope(ProfilesRead), routes!(contacts::show)),
        (Scope(ConversationsRead), routes!(contacts::conversations)),
        (Scope(ConversationsRead), routes!(timeline::list)),
        (Scope(ProfilesRead), routes!(identities::show)),
        (Scope(SourcesWrite), routes!(identities::split)),
        (Scope(SourcesWrite), routes!(identities::end_split)),
        (Scope(SourcesWrite), routes!(erasures::create)),
        (Scope(SourcesWrite), routes!(erasures::list)),
        (Scope(SourcesWrite), routes!(erasures::show)),
        (Scope(ProfilesRead), routes!(companies::list)),
        (Scope(ProfilesRead), routes!(companies::show)),
        (Scope(ProfilesRead), routes!(search::search)),
        (Scope(ProfilesRead), routes!(changes::list)),
        (Scope(ConnectionsRead), routes!(audit_events::list)),
        (Scope(ConversationsRead), routes!(conversations::list)),
        (Scope(ConversationsRead), routes!(conversations::show)),
        (
            Scope(ConversationsRead),
            routes!(conversations::parts::list),
        ),
    ]
}

/// What the description is made from.
pub(crate) fn described() -> Vec<Described> {
    let described = calls()
        .into_iter()
        .map(|(access, (schemas, paths, _))| Described {
            access,
            schemas,
            paths,
        });
    described.collect()
}

impl Api {
    /// The whole API.
    pub fn router(self) -> Router {
        Router::new()
            .merge(self.v1())
            .merge(pages::routes())
            .route("/openapi.json", get(docs::description))
            .route("/docs", get(docs::page))
            .route("/docs/problems/{code}", get(docs::problem))
            // A browser has no key. These routes prove themselves by state and session cookie.
            .route("/oauth/intercom/start", get(oauth::start).post(oauth::open))
            .route(
                "/oauth/intercom/callback",
                get(oauth::callback).head(oauth::ignore_head),
            )
            // Outermost, so that an error of any layer leaves as a problem with the request's id.
            .layer(from_fn(envelope::envelope))
            .with_state(self)
    }

    /// Each call behind the gate, and the tools for models.
    fn v1(&self) -> Router<Api> {
        let router = calls()
            .into_iter()
            .fold(Router::new(), |router, (access, (_, paths, methods))| {
                let methods = self.gated(access, methods);
                paths
                    .paths
                    .keys()
                    .fold(router, |router, path| router.route(path, methods.clone()))
            })
            .route("/mcp", mcp::methods(self));
        // A client that finds a sign-in ignores its key, so there is none to be found unless one is configured.
        let router = match &self.authorization {
            Some(server) => router
                .route(
                    "/.well-known/oauth-protected-resource",
                    mcp::sign_in(self, server),
                )
                .route(
                    "/.well-known/oauth-protected-resource/mcp",
                    mcp::sign_in(self, server),
                ),
            None => router,
        };
        match cors::layer(&self.config.rest.cors_origins) {
            Some(cors) => router.layer(cors),
            None => router,
        }
    }

    fn gated(&self, access: Access, methods: MethodRouter<Self>) -> MethodRouter<Self> {
        methods
            .route_layer(from_fn_with_state((self.clone(), access), gate))
            .layer(DefaultBodyLimit::max(access.body_limit()))
    }
}
