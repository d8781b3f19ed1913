//! Dead letters: list, show, retry and drop, one by its id or all that match a filter.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use shared::{
    domain::{Stream, TenantId},
    queue::Ticket,
    store::{DeadLetterCause, DeadLetterFilter, OperatorChannel},
};
use uuid::Uuid;

use super::{
    bounded::{COUNT_CAP, bounded},
    fleet_views::{CauseView, CausesView},
    operator::Operator,
    paging::{limit, next_cursor},
    views::{ChangedView, DeadLetterView, DeadLettersView},
};
use crate::{
    error::ApiError,
    extract::{JsonBody, Params, id},
};

/// Letters that one transaction changes. A filter may match any number, and short transactions keep
/// its locks short.
const BATCH_SIZE: i32 = 500;
/// Causes that are listed.
const CAUSES: i32 = 50;

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLettersQuery {
    pub(super) tenant_id: Option<TenantId>,
    pub(super) stream: Option<Stream>,
    pub(super) cause: Option<String>,
    /// The last letter of the page before.
    pub(super) cursor: Option<Uuid>,
    pub(super) limit: Option<i32>,
}

/// The body of a retry or a drop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRequest {
    pub(super) tenant_id: Option<TenantId>,
    pub(super) stream: Option<Stream>,
    pub(super) cause: Option<String>,
    /// Count only.
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// `GET /ops/dead`: oldest first, with the number of letters that match in all.
pub(super) async fn list(
    State(operator): State<Operator>,
    Params(query): Params<DeadLettersQuery>,
) -> Result<Json<DeadLettersView>, ApiError> {
    read(&operator, query).await.map(Json)
}

/// A page of dead letters.
///
/// # Errors
/// If the query has a fault, or Postgres does not answer.
pub(super) async fn read(
    operator: &Operator,
    query: DeadLettersQuery,
) -> Result<DeadLettersView, ApiError> {
    bounded(async {
        let limit = limit(query.limit)?;
        let filter = DeadLetterFilter {
            id: None,
            tenant: query.tenant_id,
            stream: query.stream,
            cause: query.cause,
        };
        let letters = operator
            .store
            .dead_letters(&filter, query.cursor, limit)
            .await?;
        let next_cursor = next_cursor(&letters, limit, |letter| letter.id);
        Ok(DeadLettersView {
            count: operator.store.count_dead_letters(&filter).await?,
            items: letters.into_iter().map(DeadLetterView::from).collect(),
            next_cursor,
        })
    })
    .await
}

/// `GET /ops/dead/causes`: the most frequent first.
pub(super) async fn list_causes(
    State(operator): State<Operator>,
) -> Result<Json<CausesView>, ApiError> {
    causes(&operator).await.map(Json)
}

/// Open dead letters by their cause.
///
/// # Errors
/// If Postgres does not answer.
pub(super) async fn causes(operator: &Operator) -> Result<CausesView, ApiError> {
    bounded(async {
        let store = &operator.store;
        let causes = store.dead_letter_causes(COUNT_CAP, CAUSES).await?;
        Ok(CausesView {
            items: causes.into_iter().map(CauseView::from).collect(),
        })
    })
    .await
}

/// `GET /ops/dead/{id}`
pub(super) async fn show(
    State(operator): State<Operator>,
    Path(letter): Path<String>,
) -> Result<Json<DeadLetterView>, ApiError> {
    let found = operator
        .store
        .dead_letters(&only(&letter)?, None, 1)
        .await?;
    found
        .into_iter()
        .next()
        .map(|letter| Json(letter.into()))
        .ok_or_else(ApiError::not_found)
}

/// `POST /ops/dead/{id}/retry`
pub(super) async fn retry_one(
    State(operator): State<Operator>,
    Path(letter): Path<String>,
) -> Result<Json<ChangedView>, ApiError> {
    Change::Retry
        .one(&operator, OperatorChannel::Key, &letter)
        .await
        .map(Json)
}

/// `POST /ops/dead/{id}/drop`
pub(super) async fn drop_one(
    State(operator): State<Operator>,
    Path(letter): Path<String>,
) -> Result<Json<ChangedView>, ApiError> {
    Change::Drop
        .one(&operator, OperatorChannel::Key, &letter)
        .await
        .map(Json)
}

/// `POST /ops/dead/retry {tenant_id?, stream?, cause?, dry_run?}`
pub(super) async fn retry_all(
    State(operator): State<Operator>,
    JsonBody(request): JsonBody<ChangeRequest>,
) -> Result<Json<ChangedView>, ApiError> {
    Change::Retry
        .all(&operator, OperatorChannel::Key, request)
        .await
        .map(Json)
}

/// `POST /ops/dead/drop {tenant_id?, stream?, cause?, dry_run?}`
pub(super) async fn drop_all(
    State(operator): State<Operator>,
    JsonBody(request): JsonBody<ChangeRequest>,
) -> Result<Json<ChangedView>, ApiError> {
    Change::Drop
        .all(&operator, OperatorChannel::Key, request)
        .await
        .map(Json)
}

/// What an operator may do with dead letters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Retry,
    Drop,
}

impl Change {
    /// Changes one letter.
    pub(super) async fn one(
        self,
        operator: &Operator,
        channel: OperatorChannel,
        letter: &str,
    ) -> Result<ChangedView, ApiError> {
        let filter = only(letter)?;
        // Without this look, a letter that does not exist would be a success with a count of 0.
        if operator.store.count_dead_letters(&filter).await? == 0 {
            return Err(ApiError::not_found());
        }
        let changed = self.apply(operator, channel, &filter).await?;
        Ok(self.view(changed))
    }

    /// Changes all letters that match a filter, or only counts them.
    pub(super) async fn all(
        self,
        operator: &Operator,
        channel: OperatorChannel,
        request: ChangeRequest,
    ) -> Result<ChangedView, ApiError> {
        let (dry_run, filter) = (request.dry_run, DeadLetterFilter::from(request));
        // Counted before the change, because a dropped letter matches no filter any more.
        let count = operator.store.count_dead_letters(&filter).await?;
        let changed = if dry_run {
            0
        } else {
            self.apply(operator, channel, &filter).await?
        };
        Ok(ChangedView {
            count: Some(count),
            dry_run: Some(dry_run),
            ..self.view(changed)
        })
    }

    /// Changes every letter that matches, in batches. A crash between two batches leaves the rest as
    /// it was, so the same call can be made again.
    async fn apply(
        self,
        operator: &Operator,
        channel: OperatorChannel,
        filter: &DeadLetterFilter,
    ) -> Result<i64, ApiError> {
        let mut changed = 0;
        loop {
            let batch = match self {
                Self::Retry => retry_batch(operator, channel, filter).await?,
                Self::Drop => {
                    let store = &operator.store;
                    store.drop_dead_letters(channel, filter, BATCH_SIZE).await?
                }
            };
            changed += batch;
            if batch < i64::from(BATCH_SIZE) {
                operator.snapshot.forget_fleet().await;
                return Ok(changed);
            }
        }
    }

    fn view(self, changed: i64) -> ChangedView {
        let mut view = ChangedView::default();
        match self {
            Self::Retry => view.retried = Some(changed),
            Self::Drop => view.dropped = Some(changed),
        }
        view
    }
}

async fn retry_batch(
    operator: &Operator,
    channel: OperatorChannel,
    filter: &DeadLetterFilter,
) -> Result<i64, ApiError> {
    let due = operator
        .store
        .retry_dead_letters(channel, filter, BATCH_SIZE)
        .await?;
    let tickets: Vec<Ticket> = due.iter().copied().map(Ticket::from).collect();
    // The streams are due in Postgres, so the scheduler makes the tickets if this push is lost.
    operator.queue.push_due_tickets(&tickets).await;
    Ok(due.len() as i64)
}

impl From<DeadLetterCause> for CauseView {
    fn from(cause: DeadLetterCause) -> Self {
        Self {
            cause: cause.cause,
            letters: cause.letters,
            tenants: cause.tenants,
            first_died_at: cause.first_died_at,
            last_died_at: cause.last_died_at,
        }
    }
}

fn only(letter: &str) -> Result<DeadLetterFilter, ApiError> {
    Ok(DeadLetterFilter {
        id: Some(id(letter)?),
        ..DeadLetterFilter::default()
    })
}

impl From<ChangeRequest> for DeadLetterFilter {
    fn from(request: ChangeRequest) -> Self {
        Self {
            id: None,
            tenant: request.tenant_id,
            stream: request.stream,
            cause: request.cause,
        }
    }
}
