//! The page behind a start link: whose account receives which data, and one button.
//!
//! A start link can be forwarded. Without this page, an Intercom admin who opens a stranger's link would see only
//! Intercom's own consent page, which does not say where the data goes.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use crate::pages::Page;

/// The page for a flow. `app_origin` is that of Intercom's consent page, where the button leads.
pub(super) fn start_page(
    tenant_name: &str,
    flow: &str,
    confirmation: &str,
    app_origin: String,
) -> Response {
    Page {
        status: StatusCode::OK,
        title: "Connect Intercom",
        code: "oauth_start",
        visitor: None,
        form_targets: &[app_origin],
        is_live: false,
        content: render(tenant_name, flow, confirmation),
    }
    .into_response()
}

fn render(tenant_name: &str, flow: &str, confirmation: &str) -> Markup {
    html! {
        div class="notice" {
            h1 { "Connect Intercom to " bdi { (tenant_name) } }
            p { "You choose an Intercom workspace next. Pathbound then copies its contacts, companies and conversations into the \
                 account of " strong { bdi { (tenant_name) } } ", and keeps the copy up to date." }
            ul {
                li { "Everyone with access to the account of " strong { bdi { (tenant_name) } } " can see the copy." }
                li { "Pathbound only reads. Nothing in Intercom is changed." }
            }
            form method="post" action="/oauth/intercom/start" {
                input type="hidden" name="flow" value=(flow);
                input type="hidden" name="confirmation" value=(confirmation);
                button type="submit" { "Continue to Intercom" }
            }
            p { "You do not know " bdi { (tenant_name) } "? Close this page. Nothing has been connected." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_page_reads_well_and_shows_no_markup_of_a_name() {
        let page = render("<b>Acme</b> & Sons", "start\"token", "confirmation");
        insta::assert_snapshot!(page.into_string());
    }
}
