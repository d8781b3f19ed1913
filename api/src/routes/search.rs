//! Search over contacts, companies and conversations.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    domain::search::SearchKind,
    search::{
        self, FILTER_CHARACTERS, QUERY_CHARACTERS, SearchFilters, SearchHit, SearchPosition,
        SearchRequest,
    },
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::NoQuery;
use crate::{
    Api,
    caller::{CallerScopes, CallerTenant, KeyScope},
    error::ApiError,
    extract::{JsonBody, Params, whole},
    openapi::words,
    page::Pager,
};

/// What is searched for.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SearchBody)]
pub(crate) struct SearchBody {
    /// Any text. All words have to be there, in any order. Those in quotation marks are a phrase. An address, a phone
    /// number, an id or a conversation's number finds what it names first. Without words, everything that the filters let
    /// through is found, the newest first.
    #[schema(max_length = 1000, example = "refund INV-2026-000123")]
    q: String,
    /// The kinds of objects. All that the key may read if left out.
    #[schema(value_type = Option<Vec<words::SearchType>>, min_items = 1, max_items = 3, nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    types: Option<Vec<String>>,
    #[serde(default)]
    #[schema(inline = false)]
    filters: FiltersBody,
    /// Items on a page.
    #[schema(minimum = 1, maximum = 200, default = 50, nullable = false)]
    #[serde(
        default,
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    limit: Option<u32>,
    /// The `next_cursor` of the page before, with the same query.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Qualities that every item has.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = SearchFilters)]
struct FiltersBody {
    /// Conversations in this state, such as `open`, `closed` or `snoozed`.
    #[schema(max_length = 200, nullable = false, example = "open")]
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// Contacts of this role: `user` or `lead`.
    #[schema(max_length = 200, nullable = false, example = "user")]
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// What has a tag of this name.
    #[schema(max_length = 200, nullable = false, example = "billing")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    /// What this person or team is in charge of, by name.
    #[schema(max_length = 200, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// Conversations in which this contact takes part.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_id: Option<Uuid>,
    /// Contacts of this company, and conversations that show it.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    company_id: Option<Uuid>,
    /// What has changed at its source at this time or later.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    active_since: Option<DateTime<Utc>>,
    /// What has last changed at its source before this time.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    active_before: Option<DateTime<Utc>>,
}

/// A page of what was found, best first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchResults)]
pub(crate) struct SearchView {
    #[schema(max_items = 200)]
    items: Vec<HitView>,
    /// For the next page. Absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
    /// Items on all pages.
    total: usize,
    /// Whether these are all matches. If not, only the newest thousand were ranked. Add words or filters to see others.
    complete: bool,
    /// `all` if the items have all words of the query. `any` if nothing has, so that these have some of them.
    #[schema(value_type = words::SearchMatch)]
    matched: &'static str,
    /// Whether everything that is stored is searched. A change is searched a few seconds later.
    caught_up: bool,
    /// Changes up to this time are searched. Absent if none are yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    indexed_until: Option<DateTime<Utc>>,
}

/// One object that was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchItem)]
struct HitView {
    #[schema(value_type = words::SearchType)]
    r#type: &'static str,
    id: Uuid,
    /// Its name, or what comes nearest to one.
    title: String,
    /// Plain text around the first word that was found.
    snippet: String,
    /// From 0 to 1. An object that the query names has 1.
    #[schema(minimum = 0, maximum = 1)]
    score: f32,
    /// When it last changed here.
    updated_at: DateTime<Utc>,
}

/// A cursor's content. The score as its bits, so that it stays exactly what it is.
type Mark = (u32, DateTime<Utc>, Uuid);

/// Search
///
/// Finds contacts, companies and conversations by any of their words, without regard to case and accents, and by how words
/// begin. Conversations are found by their messages too, if the key has the scope `conversations:read`.
#[utoipa::path(
    post,
    path = "/v1/search",
    operation_id = "search",
    tag = "Search",
    request_body = SearchBody,
    responses((status = 200, description = "A page of what was found.", body = SearchView)),
)]
pub(crate) async fn search(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Extension(scopes): Extension<CallerScopes>,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody<SearchBody>,
) -> Result<Response, ApiError> {
    let has_conversations = scopes.has(KeyScope::ConversationsRead);
    let kinds = kinds(body.types.as_deref(), has_conversations)?;
    body.check()?;
    let selects = format!("search?{}", body.selects(&kinds)?);
    let pager = Pager::new(&api.vault, tenant, &selects, body.limit)?;
    let after = pager.position::<Mark>(body.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let mut filters = SearchFilters::from(body.filters);
    // An id that stands for another one is that one. An unknown one finds nothing.
    if let Some(contact) = &mut filters.contact {
        *contact = tx.resolve_contact(*contact).await?.unwrap_or(*contact);
    }
    if let Some(company) = &mut filters.company {
        *company = tx.resolve_company(*company).await?.unwrap_or(*company);
    }
    let request = SearchRequest {
        text: body.q,
        kinds,
        filters,
    };
    let after = after.map(|(score, active_at, id)| SearchPosition {
        score: f32::from_bits(score),
        active_at,
        id,
    });
    let matches = search::find(&mut tx, &request).await?;
    let (items, next) = matches.page(&mut tx, after, pager.limit()).await?;
    let next_cursor = next
        .map(|last| pager.cursor(&(last.score.to_bits(), last.active_at, last.id)))
        .transpose()?;
    let progress = matches.progress.as_ref();
    Ok(Json(SearchView {
        items: items.into_iter().map(HitView::from).collect(),
        next_cursor,
        total: matches.total(),
        complete: matches.is_complete,
        matched: if matches.matches_any { "any" } else { "all" },
        caught_up: progress.is_some_and(|progress| progress.is_current),
        indexed_until: progress.map(|progress| progress.indexed_until),
    })
    .into_response())
}

/// The kinds that are asked for.
fn kinds(types: Option<&[String]>, has_conversations: bool) -> Result<Vec<SearchKind>, ApiError> {
    let may_read = |kind: &SearchKind| *kind != SearchKind::Conversation || has_conversations;
    let Some(types) = types else {
        return Ok(SearchKind::ALL.into_iter().filter(may_read).collect());
    };
    let mut kinds = Vec::new();
    for name in types {
        let named = |kind: &SearchKind| kind.as_str() == name;
        let kind = SearchKind::ALL.into_iter().find(named).ok_or_else(|| {
            ApiError::invalid("types", "must be `contact`, `company` or `conversation`")
        })?;
        if !may_read(&kind) {
            return Err(ApiError::missing_scope(KeyScope::ConversationsRead));
        }
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    if kinds.is_empty() {
        return Err(ApiError::invalid(
            "types",
            "must name a type, or be left out",
        ));
    }
    Ok(kinds)
}

impl SearchBody {
    fn check(&self) -> Result<(), ApiError> {
        if self.q.chars().count() > QUERY_CHARACTERS {
            let detail = format!("must have at most {QUERY_CHARACTERS} characters");
            return Err(ApiError::invalid("q", detail));
        }
        let filters = &self.filters;
        for (field, value) in [
            ("filters.state", &filters.state),
            ("filters.role", &filters.role),
            ("filters.tag", &filters.tag),
            ("filters.owner", &filters.owner),
        ] {
            let length = value.as_ref().map_or(0, |value| value.chars().count());
            if length > FILTER_CHARACTERS {
                let detail = format!("must have at most {FILTER_CHARACTERS} characters");
                return Err(ApiError::invalid(field, detail));
            }
        }
        Ok(())
    }

    /// Everything that selects what is found, so that a cursor does not open with another query.
    fn selects(&self, kinds: &[SearchKind]) -> Result<String, ApiError> {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        serde_json::to_string(&(&self.q, kinds, &self.filters)).map_err(|_| ApiError::internal())
    }
}

impl From<FiltersBody> for SearchFilters {
    fn from(body: FiltersBody) -> Self {
        Self {
            state: body.state,
            role: body.role,
            tag: body.tag,
            owner: body.owner,
            contact: body.contact_id,
            company: body.company_id,
            active_since: body.active_since,
            active_before: body.active_before,
        }
    }
}

impl From<SearchHit> for HitView {
    fn from(hit: SearchHit) -> Self {
        let document = hit.document;
        Self {
            r#type: document.kind.as_str(),
            id: document.id,
            title: document.title,
            snippet: hit.snippet,
            score: hit.score,
            updated_at: document.updated_at,
        }
    }
}
