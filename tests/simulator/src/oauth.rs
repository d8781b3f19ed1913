//! The OAuth door: the authorize page, its forms, and the token exchange.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use url::{Host, Url};

use crate::api::Query;
use crate::errors::ApiError;
use crate::reply::Reply;
use crate::simulator::Shared;

/// `GET /oauth`: a page with one form per workspace and one to deny. The parameter
/// `auto_workspace=<id_code>` gives the answer of a click at once.
pub(crate) fn page(shared: &Arc<Shared>, query: &Query) -> Reply {
    let redirect = match check(shared, query) {
        Ok(redirect) => redirect,
        Err(reason) => return refuse(&reason),
    };
    if let Some(id_code) = query.get("auto_workspace") {
        return grant(shared, redirect, query.get("state"), id_code);
    }
    let hidden = ["client_id", "state", "redirect_uri"]
        .iter()
        .filter_map(|name| {
            let value = escape(query.get(name)?);
            Some(format!(
                "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"
            ))
        })
        .collect::<String>();
    let forms = shared
        .list()
        .iter()
        .map(|workspace| {
            let id_code = escape(&workspace.id_code());
            format!(
                "<form method=\"post\" action=\"/oauth/authorize\" data-workspace=\"{id_code}\">\
                 {hidden}<input type=\"hidden\" name=\"workspace\" value=\"{id_code}\">\
                 <button type=\"submit\">Connect {} ({id_code})</button></form>\n",
                escape(&workspace.inner.world.spec.name)
            )
        })
        .collect::<String>();
    Reply::html(
        200,
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Authorize \
             access</title></head><body><h1>Authorize access to your workspace</h1>\n{forms}\
             <form method=\"post\" action=\"/oauth/authorize\" id=\"deny\">{hidden}<input \
             type=\"hidden\" name=\"deny\" value=\"1\"><button type=\"submit\">Deny</button>\
             </form></body></html>"
        ),
    )
}

/// `POST /oauth/authorize`: back to the app with a code, or with a denial.
pub(crate) fn decide(shared: &Arc<Shared>, form: &Query) -> Reply {
    let mut redirect = match check(shared, form) {
        Ok(redirect) => redirect,
        Err(reason) => return refuse(&reason),
    };
    if form.get("deny").is_some() {
        redirect
            .query_pairs_mut()
            .append_pair("error", "access_denied");
        append_state(&mut redirect, form.get("state"));
        return Reply::see_other(redirect.as_str());
    }
    grant(
        shared,
        redirect,
        form.get("state"),
        form.get("workspace").unwrap_or_default(),
    )
}

fn grant(shared: &Arc<Shared>, mut redirect: Url, state: Option<&str>, id_code: &str) -> Reply {
    let Some(workspace) = shared.workspace(id_code) else {
        return refuse("unknown workspace");
    };
    let code = shared.keys.issue_code(&workspace.inner, shared.clock.now());
    redirect.query_pairs_mut().append_pair("code", &code);
    append_state(&mut redirect, state);
    Reply::see_other(redirect.as_str())
}

fn append_state(redirect: &mut Url, state: Option<&str>) {
    if let Some(state) = state {
        redirect.query_pairs_mut().append_pair("state", state);
    }
}

/// The redirect target, where client and target are known.
fn check(shared: &Shared, query: &Query) -> Result<Url, String> {
    let options = &shared.options;
    if query.get("client_id") != Some(&options.client_id) {
        return Err("unknown client_id".to_owned());
    }
    let registered = &options.redirect_uris;
    let target = query
        .get("redirect_uri")
        .or_else(|| registered.first().map(String::as_str))
        .ok_or("no redirect_uri")?;
    let url = Url::parse(target).map_err(|_| "redirect_uri is no URL".to_owned())?;
    let known = if registered.is_empty() {
        match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    } else {
        registered.iter().any(|known| known == target)
    };
    if known {
        Ok(url)
    } else {
        Err("redirect_uri is not registered".to_owned())
    }
}

/// `POST /auth/eagle/token`, as a form or as JSON.
pub(crate) fn exchange(shared: &Arc<Shared>, content_type: &str, body: &Bytes) -> Reply {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let fields: [Option<String>; 3] = match kind {
        "application/json" => {
            let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
            ["code", "client_id", "client_secret"]
                .map(|name| json[name].as_str().map(ToOwned::to_owned))
        }
        "application/x-www-form-urlencoded" => {
            let form = Query::parse(std::str::from_utf8(body).ok());
            ["code", "client_id", "client_secret"].map(|name| form.get(name).map(ToOwned::to_owned))
        }
        _ => {
            return ApiError::new(
                415,
                "media_type_not_acceptable",
                "The Content-Type header should be application/json",
            )
            .reply();
        }
    };
    let refused = || ApiError::new(401, "unauthorized", "Invalid code or client").reply();
    let [Some(code), Some(client_id), Some(client_secret)] = fields else {
        return refused();
    };
    // A wrong secret must not burn the code of the rightful client.
    if client_id != shared.options.client_id || client_secret != shared.options.client_secret {
        return refused();
    }
    let Some(workspace) = shared.keys.redeem(&code, shared.clock.now()) else {
        return refused();
    };
    let token = shared.keys.issue(&workspace);
    let body = json!({"token_type": "Bearer", "token": token, "access_token": token});
    Reply::json(200, body.to_string())
}

fn refuse(reason: &str) -> Reply {
    Reply::html(
        400,
        format!("<!doctype html><html><body><h1>Cannot authorize: {reason}</h1></body></html>"),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
