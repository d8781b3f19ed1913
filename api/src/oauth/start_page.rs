//! The page behind a start link: whose account receives which data, and one button.
//!
//! A start link can be forwarded. Without this page, an Intercom admin who opens a stranger's link would see only
//! Intercom's own consent page, which does not say where the data goes.

use axum::{http::StatusCode, response::Response};
use htmlize::{escape_attribute, escape_text};

use super::pages::{STYLE, html};

/// The page for a flow. `app_url` is the host of Intercom's consent page, where the button leads.
pub(super) fn start_page(
    tenant_name: &str,
    flow: &str,
    confirmation: &str,
    app_url: &str,
) -> Response {
    // Browsers apply the policy of forms to the redirects behind them as well.
    let form_action = format!("'self' {}", origin(app_url));
    let page = render(tenant_name, flow, confirmation);
    html(StatusCode::OK, &form_action, page)
}

fn origin(url: &str) -> String {
    url.parse::<url::Url>().map_or_else(
        |_| "'none'".to_owned(),
        |url| url.origin().ascii_serialization(),
    )
}

fn render(tenant_name: &str, flow: &str, confirmation: &str) -> String {
    // Customers choose these texts, so none of them may become markup.
    let tenant = escape_text(tenant_name);
    let (flow, confirmation) = (escape_attribute(flow), escape_attribute(confirmation));
    format!(
        r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Connect Intercom</title>
<style>{STYLE}</style></head>
<body>
<h1>Connect Intercom to {tenant}</h1>
<p>You choose an Intercom workspace next. Pathbound then copies its contacts, companies and conversations into the
account of <strong>{tenant}</strong>, and keeps the copy up to date.</p>
<ul>
<li>Everyone with access to the account of <strong>{tenant}</strong> can see the copy.</li>
<li>Pathbound only reads. Nothing in Intercom is changed.</li>
</ul>
<form method="post" action="/oauth/intercom/start">
<input type="hidden" name="flow" value="{flow}">
<input type="hidden" name="confirmation" value="{confirmation}">
<button type="submit">Continue to Intercom</button>
</form>
<p>You do not know {tenant}? Close this page. Nothing has been connected.</p>
</body>
</html>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_page_reads_well_and_shows_no_markup_of_a_name() {
        insta::assert_snapshot!(render("<b>Acme</b> & Sons", "start\"token", "confirmation"));
    }

    #[test]
    fn the_button_leads_to_the_origin_of_the_consent_page() {
        assert_eq!(
            origin("https://app.eu.intercom.com/a/oauth"),
            "https://app.eu.intercom.com"
        );
        assert_eq!(origin("no url"), "'none'");
    }
}
