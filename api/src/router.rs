//! Every route, with the key that it needs.
//!
//! A new route is a line here and a handler in `routes/`.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, delete, get, post},
};

use crate::{
    Api, BODY_LIMIT,
    caller::{
        Access::{self, Service, ServiceForTenant},
        KeyScope::{self, ConnectionsRead, ConnectionsWrite, ConversationsRead, ProfilesRead},
        gate,
    },
    envelope, oauth,
    routes::{api_keys, changes, companies, connections, contacts, conversations, syncs, tenants},
};

impl Api {
    /// The whole API.
    pub fn router(self) -> Router {
        let gated = Gated(&self);
        Router::new()
            .merge(gated.service_routes())
            .merge(gated.connection_routes())
            .merge(gated.profile_routes())
            .merge(gated.conversation_routes())
            // A browser has no key. These routes prove themselves by state and session cookie.
            .route("/oauth/intercom/start", get(oauth::start).post(oauth::open))
            .route(
                "/oauth/intercom/callback",
                get(oauth::callback).head(oauth::ignore_head),
            )
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            // Outermost, so that an error of any layer leaves as a problem with the request's id.
            .layer(from_fn(envelope::envelope))
            .with_state(self)
    }
}

/// Routes behind the gate.
struct Gated<'a>(&'a Api);

impl Gated<'_> {
    fn service_routes(&self) -> Router<Api> {
        Router::new()
            .route("/v1/tenants", self.key(Service, post(tenants::create)))
            .route(
                "/v1/api_keys",
                self.key(ServiceForTenant, post(api_keys::create).get(api_keys::list)),
            )
            .route(
                "/v1/api_keys/{id}",
                self.key(ServiceForTenant, delete(api_keys::revoke)),
            )
    }

    fn connection_routes(&self) -> Router<Api> {
        Router::new()
            .route(
                "/v1/integrations/intercom/connect",
                self.scope(ConnectionsWrite, post(connections::connect)),
            )
            .route(
                "/v1/connections",
                self.scope(ConnectionsRead, get(connections::list)),
            )
            .route(
                "/v1/connections/{id}",
                self.scope(ConnectionsRead, get(connections::show))
                    .merge(self.scope(ConnectionsWrite, delete(connections::end))),
            )
            .route(
                "/v1/connections/{id}/sync",
                self.scope(ConnectionsRead, get(syncs::status)),
            )
            .route(
                "/v1/connections/{id}/syncs",
                self.scope(ConnectionsRead, get(syncs::list))
                    .merge(self.scope(ConnectionsWrite, post(syncs::create))),
            )
            .route(
                "/v1/connections/{id}/syncs/{run}",
                self.scope(ConnectionsRead, get(syncs::show)),
            )
    }

    fn profile_routes(&self) -> Router<Api> {
        Router::new()
            .route(
                "/v1/contacts",
                self.scope(ProfilesRead, get(contacts::list)),
            )
            .route(
                "/v1/contacts/{id}",
                self.scope(ProfilesRead, get(contacts::show)),
            )
            .route(
                "/v1/companies",
                self.scope(ProfilesRead, get(companies::list)),
            )
            .route(
                "/v1/companies/{id}",
                self.scope(ProfilesRead, get(companies::show)),
            )
            .route("/v1/changes", self.scope(ProfilesRead, get(changes::list)))
    }

    fn conversation_routes(&self) -> Router<Api> {
        Router::new()
            .route(
                "/v1/contacts/{id}/conversations",
                self.scope(ConversationsRead, get(contacts::conversations)),
            )
            .route(
                "/v1/conversations",
                self.scope(ConversationsRead, get(conversations::list)),
            )
            .route(
                "/v1/conversations/{id}",
                self.scope(ConversationsRead, get(conversations::show)),
            )
            .route(
                "/v1/conversations/{id}/parts",
                self.scope(ConversationsRead, get(conversations::parts)),
            )
    }

    fn key(&self, access: Access, methods: MethodRouter<Api>) -> MethodRouter<Api> {
        methods.route_layer(from_fn_with_state((self.0.clone(), access), gate))
    }

    fn scope(&self, scope: KeyScope, methods: MethodRouter<Api>) -> MethodRouter<Api> {
        self.key(Access::Scope(scope), methods)
    }
}
