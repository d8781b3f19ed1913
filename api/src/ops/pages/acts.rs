//! What the buttons do. Each is one call, made by the same function.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;
use shared::store::BulkKind;

use super::{
    bulk::path,
    dead::{self, LettersForm},
    notice::Refused,
    session::OpsVisitor,
};
use crate::{
    ops::{
        bulk,
        operator::Operator,
        pauses::{class_scope, pause, resume, tenant_scope},
    },
    pages::see_other,
};

#[derive(Default, Deserialize)]
struct PauseForm {
    #[serde(default)]
    reason: String,
}

#[derive(Default, Deserialize)]
struct NoFields {}

impl PauseForm {
    fn reason(self) -> Option<String> {
        Some(self.reason.trim().to_owned()).filter(|reason| !reason.is_empty())
    }
}

/// `POST /ops/queues/{class}/pause`
pub(super) async fn pause_class(
    State(operator): State<Operator>,
    Path(class): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (visitor, form) = OpsVisitor::sent_form::<PauseForm>(&operator, &headers, &body)?;
    let scope = class_scope(&class)?;
    pause(&operator, visitor.origin(), scope, form.reason()).await?;
    Ok(see_other("/ops/", &[]))
}

/// `POST /ops/queues/{class}/resume`
pub(super) async fn resume_class(
    State(operator): State<Operator>,
    Path(class): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (visitor, _) = OpsVisitor::sent_form::<NoFields>(&operator, &headers, &body)?;
    resume(&operator, visitor.origin(), class_scope(&class)?).await?;
    Ok(see_other("/ops/", &[]))
}

/// `POST /ops/tenants/{id}/pause`
pub(super) async fn pause_tenant(
    State(operator): State<Operator>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (visitor, form) = OpsVisitor::sent_form::<PauseForm>(&operator, &headers, &body)?;
    let scope = tenant_scope(&operator, &tenant).await?;
    pause(&operator, visitor.origin(), scope, form.reason()).await?;
    Ok(see_other(&format!("/ops/tenants/{scope}"), &[]))
}

/// `POST /ops/tenants/{id}/resume`
pub(super) async fn resume_tenant(
    State(operator): State<Operator>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (visitor, _) = OpsVisitor::sent_form::<NoFields>(&operator, &headers, &body)?;
    let scope = tenant_scope(&operator, &tenant).await?;
    resume(&operator, visitor.origin(), scope).await?;
    Ok(see_other(&format!("/ops/tenants/{scope}"), &[]))
}

/// `POST /ops/dead/retry`
pub(super) async fn retry_letters(
    State(operator): State<Operator>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (visitor, form) = OpsVisitor::sent_form::<LettersForm>(&operator, &headers, &body)?;
    let request = form.request()?;
    let started = bulk::start(&operator, visitor.origin(), BulkKind::Retry, request).await?;
    Ok(see_other(&path(&started), &[]))
}

/// `POST /ops/dead/drop`: drops the letters if their number was typed.
pub(super) async fn drop_letters(
    State(operator): State<Operator>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (visitor, form) = OpsVisitor::sent_form::<LettersForm>(&operator, &headers, &body)?;
    let count = dead::count(&operator, form.request()?).await?;
    if form.count.trim() != count.to_string() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(dead::question(&visitor, &form, count, status));
    }
    let request = form.request()?;
    let started = bulk::start(&operator, visitor.origin(), BulkKind::Drop, request).await?;
    Ok(see_other(&path(&started), &[]))
}
