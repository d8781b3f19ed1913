//! The pages for people, made on the server. They work without script, and with it the page of
//! integrations keeps itself up to date (`live.js`).
//!
//! | file | what |
//! |---|---|
//! | `integrations/` | the page of integrations |
//! | `profiles/` | the pages of contacts and companies |
//! | `sign_in.rs` | signing in with a link of the product backend, and signing out |
//! | `visitor.rs` | the browser that asks, if it is signed in |
//! | `form.rs` | a form, accepted only from the browser that was shown it |
//! | `origin.rs` | where a form was sent from |
//! | `cookie.rs` | the cookies |
//! | `return_to.rs` | where a sign-in may lead |
//! | `notice.rs` | pages that say one thing, and every refusal |
//! | `frame.rs` | the frame and the headers of every page |
//! | `fragment.rs` | the part of a page that changes by itself |
//! | `text.rs` | text, numbers and times as people read them |
//! | `assets.rs` | what pages load |
//!
//! A form changes something only if three things agree: the session's cookie, the token that the page carried
//! (`Visitor::has_sent`), and the origin that the browser names. The token is a code of the key ring for the session, so any
//! replica accepts it.

mod assets;
mod cookie;
mod form;
mod fragment;
mod frame;
mod integrations;
mod notice;
mod origin;
mod profiles;
pub(crate) mod return_to;
mod sign_in;
mod text;
mod visitor;

use axum::{
    Router,
    routing::{get, post},
};
use maud::{Markup, html};

pub(crate) use assets::asset;
pub(crate) use form::fields;
pub(crate) use fragment::{etag, fragment};
pub(crate) use frame::{Page, see_other, with_cookies};
pub(crate) use notice::page as notice_page;
pub(crate) use origin::of_url as origin_of_url;
pub(crate) use sign_in::sign_in_url;
pub(crate) use text::{counted, number, shown, span};
pub(crate) use visitor::Visitor;

use crate::Api;

/// Every page. A browser has no key, so none of them is behind the gate.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/integrations", get(integrations::show))
        .route("/integrations/live", get(integrations::live))
        .route(
            "/integrations/intercom/connect",
            post(integrations::connect),
        )
        .route(
            "/integrations/intercom/{id}/resync",
            post(integrations::resync),
        )
        .route(
            "/integrations/intercom/{id}/disconnect",
            get(integrations::confirm).post(integrations::disconnect),
        )
        .route("/contacts", get(profiles::contacts))
        .route("/contacts/{id}", get(profiles::contact))
        .route("/companies/{id}", get(profiles::company))
        .route("/conversations/{id}", get(profiles::conversation))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/assets/{name}", get(assets::asset))
}

/// A form that leads to Intercom, around its fields and button.
pub(crate) fn connect_form(visitor: &Visitor, fields: &Markup) -> Markup {
    html! {
        form method="post" action="/integrations/intercom/connect" {
            (frame::form_token(visitor))
            (fields)
        }
    }
}
