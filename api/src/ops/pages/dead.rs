//! Dead letters by cause, and the question before a drop.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use maud::{Markup, html};
use serde::Deserialize;
use shared::{domain::TenantId, store::DeadLetterFilter};

use super::{OpsPage, bulk, foreign, form_token, notice::Refused, session::OpsVisitor, time};
use crate::{
    error::ApiError,
    ops::{
        bounded::bounded,
        dead_letters::{self, ChangeRequest},
        fleet_views::CauseView,
        operator::Operator,
    },
    pages::{counted, fields, number},
};

/// Which letters a form means: those of a tenant, with a cause, or both.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct LettersForm {
    #[serde(default)]
    cause: String,
    /// The cause in a form, where its text could turn the direction of the page's.
    #[serde(default)]
    encoded_cause: String,
    #[serde(default)]
    pub(super) tenant_id: String,
    /// What was typed to confirm a drop.
    #[serde(default)]
    pub(super) count: String,
}

impl LettersForm {
    /// The filter that it stands for.
    ///
    /// # Errors
    /// If it names nothing, or a tenant by something that is no id.
    pub(super) fn request(&self) -> Result<ChangeRequest, ApiError> {
        let tenant: Option<TenantId> = match self.tenant_id.as_str() {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_| ApiError::invalid("tenant_id", "is no id"))?,
            ),
        };
        // A form without a condition would mean every letter there is.
        let cause = self.cause();
        if tenant.is_none() && cause.is_empty() {
            return Err(ApiError::invalid(
                "cause",
                "is missing, so name a cause or a tenant",
            ));
        }
        Ok(ChangeRequest {
            tenant_id: tenant,
            stream: None,
            // This cause alone, because the letters of a cause that contains it have a row of their own.
            cause: Some(cause)
                .filter(|cause| !cause.is_empty())
                .map(|cause| format!("={cause}")),
            dry_run: false,
        })
    }

    /// Empty if the form names none.
    fn cause(&self) -> String {
        let decoded = URL_SAFE_NO_PAD.decode(&self.encoded_cause);
        let decoded = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        decoded
            .filter(|cause| !cause.is_empty())
            .unwrap_or_else(|| self.cause.clone())
    }

    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("cause", &self.cause()), ("tenant_id", &self.tenant_id)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    /// The same choice in another form.
    fn inputs(&self) -> Markup {
        html! {
            @if !self.cause().is_empty() {
                input type="hidden" name="encoded_cause" value=(URL_SAFE_NO_PAD.encode(self.cause()));
            }
            @if !self.tenant_id.is_empty() { input type="hidden" name="tenant_id" value=(self.tenant_id); }
        }
    }
}

/// `GET /ops/dead`
pub(super) async fn show(
    State(operator): State<Operator>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = OpsVisitor::of(&operator, &headers).ok_or(Refused::SignedOut)?;
    let reader = operator.clone();
    let content = async move {
        let causes = dead_letters::causes(&reader).await?;
        let recent = bulk::recent(&reader).await?;
        Ok(html! { (list(&causes.items, &visitor)) (recent) })
    };
    let page = OpsPage {
        at: "/ops/dead",
        title: "Dead letters",
        code: "ops_dead",
        is_live: false,
    };
    page.answer(&operator, &uri, &headers, content).await
}

fn list(causes: &[CauseView], visitor: &OpsVisitor) -> Markup {
    html! {
        h1 { "Dead letters" }
        p { "A dead letter is a stream that failed too often. It is still retried, rarely. A retry makes it due now and forgets its \
             attempts. It spends no more of a rate limit than any other work. Many letters are worked in batches: the next batch \
             begins when a worker has taken over every stream of the last one." }
        table {
            caption { "Open ones, by their cause" }
            thead { tr {
                th scope="col" { "Cause" } th scope="col" { "How many" } th scope="col" { "First and last" }
                @if visitor.may_act() { th scope="col" { "What to do" } }
            } }
            tbody {
                @if causes.is_empty() { tr { td colspan="4" { "There is no open dead letter." } } }
                @for cause in causes { (row(cause, visitor)) }
            }
        }
    }
}

fn row(cause: &CauseView, visitor: &OpsVisitor) -> Markup {
    let form = LettersForm {
        cause: cause.cause.clone(),
        ..LettersForm::default()
    };
    html! {
        tr {
            th scope="row" { (foreign(&cause.cause)) }
            td { (counted(cause.letters, "letter", "letters")) " of " (counted(cause.tenants, "tenant", "tenants")) }
            td { (time(cause.first_died_at)) br; (time(cause.last_died_at)) }
            @if visitor.may_act() { td {
                div class="actions" {
                    form method="post" action="/ops/dead/retry" {
                        (form_token(visitor)) (form.inputs())
                        button type="submit" { "Retry" }
                    }
                    a class="button quiet" href=(format!("/ops/dead/drop?{}", form.query())) { "Drop" }
                }
            } }
        }
    }
}

/// `GET /ops/dead/drop`: what a drop means, and how many it would be.
pub(super) async fn confirm(
    State(operator): State<Operator>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = OpsVisitor::of(&operator, &headers).ok_or(Refused::SignedOut)?;
    if !visitor.may_act() {
        return Err(Refused::Viewer);
    }
    let form: LettersForm = fields(query.unwrap_or_default().as_bytes());
    let count = count(&operator, form.request()?).await?;
    Ok(question(&visitor, &form, count, StatusCode::OK))
}

/// How many letters a request means.
///
/// # Errors
/// If Postgres does not answer.
pub(super) async fn count(operator: &Operator, request: ChangeRequest) -> Result<i64, ApiError> {
    let filter = DeadLetterFilter::from(request);
    bounded(async { Ok(operator.store.count_dead_letters(&filter).await?) }).await
}

/// The question before a drop. With an error status, the count that was typed was not right.
pub(super) fn question(
    visitor: &OpsVisitor,
    form: &LettersForm,
    count: i64,
    status: StatusCode,
) -> Response {
    let content = html! {
        h1 { "Drop " (counted(count, "dead letter", "dead letters")) "?" }
        @if !status.is_success() {
            p class="banner bad" role="alert" { "The number is not the same, so nothing was done. It may have changed meanwhile." }
        }
        dl {
            @if !form.cause().is_empty() { dt { "Cause" } dd { (foreign(&form.cause())) } }
            @if !form.tenant_id.is_empty() { dt { "Tenant" } dd { code { (foreign(&form.tenant_id)) } } }
        }
        p { "A drop closes the letters and discards the walks that failed. The streams go on with their next regular walks. This \
             cannot be undone." }
        p { a class="button" href="/ops/dead" { "Back, change nothing" } }
        form method="post" action="/ops/dead/drop" {
            (form_token(visitor)) (form.inputs())
            p {
                label for="count" { "To confirm, type the number " strong { (count) } }
                br;
                input id="count" type="text" name="count" inputmode="numeric" autocomplete="off" required;
            }
            button class="danger" type="submit" { "Drop " (number(count)) }
        }
    };
    let page = OpsPage {
        at: "/ops/dead",
        title: "Drop dead letters",
        code: if status.is_success() {
            "ops_drop"
        } else {
            "count_differs"
        },
        is_live: false,
    };
    page.of(visitor, status, &content)
}
