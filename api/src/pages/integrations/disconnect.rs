//! The end of a connection, on a page of its own: what it means, and two buttons.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use shared::{
    domain::ConnectionId,
    store::{AfterDisconnect, Connection, ConnectionState},
};

use super::view::workspace_name;
use crate::{
    Api,
    extract::id,
    pages::{
        form,
        frame::{Page, form_token, see_other},
        notice::Refusal,
        text::shown,
        visitor::Visitor,
    },
    routes::connections::end_connection,
};

/// A longer name is not typed, but the workspace's id.
const TYPED_NAME: usize = 60;

#[derive(Default, Deserialize)]
struct DisconnectForm {
    #[serde(default)]
    data: String,
    #[serde(default)]
    confirmation: String,
}

/// A connection that can be ended, or whose data can be deleted.
struct Ending {
    connection: Connection,
    /// What is typed to delete the data.
    word: String,
}

/// `GET /integrations/intercom/{id}/disconnect`
pub(crate) async fn show(
    State(api): State<Api>,
    Path(connection): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let visitor = Visitor::of(&api, &headers).await?;
    let visitor = visitor.ok_or(Refusal::SignedOut)?;
    let ending = Ending::find(&api, &visitor, &connection).await?;
    Ok(ending.page(&visitor, StatusCode::OK))
}

/// `POST /integrations/intercom/{id}/disconnect`: ends the connection, and deletes its data if its name was typed.
pub(crate) async fn end(
    State(api): State<Api>,
    Path(connection): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (visitor, form) = form::accepted::<DisconnectForm>(&api, &headers, &body).await?;
    let ending = Ending::find(&api, &visitor, &connection).await?;
    let (data, news) = match form.data.as_str() {
        "retain" => (AfterDisconnect::Retain, "disconnected"),
        "purge" => (AfterDisconnect::Purge, "deleting"),
        _ => return Err(Refusal::Choice),
    };
    if data == AfterDisconnect::Purge && one_line(&form.confirmation) != ending.word {
        return Ok(ending.page(&visitor, StatusCode::UNPROCESSABLE_ENTITY));
    }
    let tenant = visitor.session.tenant;
    end_connection(&api, tenant, visitor.actor(), ending.connection.id, data).await?;
    Ok(see_other(&format!("/integrations?intercom={news}"), &[]))
}

/// A text as a person types it.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

impl Ending {
    async fn find(api: &Api, visitor: &Visitor, connection: &str) -> Result<Self, Refusal> {
        let connection = ConnectionId(id(connection)?);
        let tenant = visitor.session.tenant;
        let connection = api.store.connection(tenant, connection).await?;
        let connection = connection.ok_or(Refusal::NotFound)?;
        let name = one_line(&workspace_name(&connection));
        let word = if name.chars().count() <= TYPED_NAME {
            name
        } else {
            one_line(&shown(&connection.workspace_id, TYPED_NAME))
        };
        Ok(Self { connection, word })
    }

    fn page(&self, visitor: &Visitor, status: StatusCode) -> Response {
        let code = if status.is_success() {
            "disconnect"
        } else {
            "name_differs"
        };
        Page {
            status,
            title: "Disconnect Intercom",
            code,
            visitor: Some(visitor),
            form_targets: &[],
            is_live: false,
            content: self.content(visitor, !status.is_success()),
        }
        .into_response()
    }

    fn content(&self, visitor: &Visitor, differs: bool) -> Markup {
        let has_ended = self.connection.state == ConnectionState::Disconnected;
        html! {
            h1 {
                @if has_ended { "Delete the data of " } @else { "Disconnect " }
                bdi { (workspace_name(&self.connection)) } "?"
            }
            @if differs {
                p class="banner bad" role="alert" { "The name is not the same, so nothing was done. Type it exactly as it is shown." }
            }
            (answers(has_ended))
            p { a class="button" href="/integrations" { "Back, change nothing" } }
            @if !has_ended { (self.keep(visitor)) }
            (self.delete(visitor))
        }
    }

    fn keep(&self, visitor: &Visitor) -> Markup {
        html! {
            h2 { "Disconnect and keep the data" }
            p { "The copy stays readable as it is now, and gets older." }
            form method="post" action=(self.path()) {
                (form_token(visitor))
                input type="hidden" name="data" value="retain";
                button class="quiet" type="submit" { "Disconnect and keep the data" }
            }
        }
    }

    fn delete(&self, visitor: &Visitor) -> Markup {
        html! {
            h2 { "Delete the data as well" }
            p { "This cannot be undone." }
            form method="post" action=(self.path()) {
                (form_token(visitor))
                input type="hidden" name="data" value="purge";
                p {
                    label for="confirmation" { "To confirm, type " strong { bdi { (self.word) } } }
                    br;
                    input id="confirmation" type="text" name="confirmation" autocomplete="off" required;
                }
                button class="danger" type="submit" { "Delete the data for good" }
            }
        }
    }

    fn path(&self) -> String {
        format!("/integrations/intercom/{}/disconnect", self.connection.id)
    }
}

/// The five questions of a person who is about to disconnect.
fn answers(has_ended: bool) -> Markup {
    html! {
        dl class="answers" {
            dt { "What stops now" }
            dd {
                @if has_ended { "Nothing more. The workspace is disconnected already." }
                @else { "The sync. No further call to Intercom begins, and our access token is deleted at once." }
            }
            dt { "What stays" }
            dd { "If you keep the data: every contact, company and conversation that was copied, and the list of recent syncs. What \
                  other systems say of the same people stays in any case." }
            dt { "What is deleted, and when" }
            dd { "Only if you choose it: everything that was copied from this workspace, and its list of syncs, within minutes. A \
                  large workspace may take longer. It disappears from this product at once." }
            dt { "What remains in Intercom" }
            dd { "Everything. We only ever read, so nothing there changes. The app stays on the list of installed apps." }
            dt { "How to revoke the access there" }
            dd { "In Intercom, open Settings, then Integrations and the App Store, choose this app, and uninstall it. Without our token \
                  we have no access either way." }
        }
    }
}
