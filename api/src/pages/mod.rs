//! The pages for people, made on the server. They work without script.
//!
//! | file | what |
//! |---|---|
//! | `integrations/` | the page of integrations |
//! | `sign_in.rs` | signing in with a link of the product backend, and signing out |
//! | `visitor.rs` | the browser that asks, if it is signed in |
//! | `origin.rs` | where a form was sent from |
//! | `cookie.rs` | the cookies |
//! | `return_to.rs` | where a sign-in may lead |
//! | `notice.rs` | pages that say one thing, and every refusal |
//! | `frame.rs` | the frame and the headers of every page |
//! | `assets.rs` | what pages load |
//!
//! A form changes something only if three things agree: the session's cookie, the token that the page carried
//! (`Visitor::has_sent`), and the origin that the browser names. The token is a code of the key ring for the session, so any
//! replica accepts it.

mod assets;
mod cookie;
mod frame;
mod integrations;
mod notice;
mod origin;
pub(crate) mod return_to;
mod sign_in;
mod visitor;

use axum::{
    Router,
    routing::{get, post},
};

pub(crate) use sign_in::sign_in_url;

use crate::Api;

/// Every page. A browser has no key, so none of them is behind the gate.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/integrations", get(integrations::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/assets/{name}", get(assets::asset))
}
