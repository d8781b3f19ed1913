//! From a query to a page of objects.

use std::{cmp::Ordering, collections::HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::search::{Band, SearchKind, SearchQuery, WordScope, is_one_word, snippet},
    store::{ApiTx, FoundDocument, SearchCandidate, SearchProgress, StoreError, WordQuery},
};

/// Characters of a query.
pub const QUERY_CHARACTERS: usize = 1_000;
/// Characters of a filter's value.
pub const FILTER_CHARACTERS: usize = 200;
/// Matches that are ranked, the newest first. More would let one tenant's search keep its neighbours waiting.
const RANKED_LIMIT: usize = 1_000;
/// The score of an object that the query names by an id, an address or a number of its own.
const NAMED: f32 = 1.0;

/// What is searched for.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// Any text. Without words it finds everything that the filters let through, the newest first.
    pub text: String,
    pub kinds: Vec<SearchKind>,
    pub filters: SearchFilters,
}

/// Qualities that every item has. One that a kind does not have leaves out all of that kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchFilters {
    /// Of a conversation.
    pub state: Option<String>,
    /// Of a contact: `user` or `lead`.
    pub role: Option<String>,
    pub tag: Option<String>,
    /// The name of the person in charge. Of conversations also the id.
    pub owner: Option<String>,
    /// A contact's own id: conversations in which it takes part.
    pub contact: Option<Uuid>,
    /// A company's own id: its contacts, and conversations that show it.
    pub company: Option<Uuid>,
    /// When the object last changed at its source.
    pub active_since: Option<DateTime<Utc>>,
    pub active_before: Option<DateTime<Utc>>,
}

/// A place in the order of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchPosition {
    pub score: f32,
    pub active_at: DateTime<Utc>,
    pub id: Uuid,
}

/// One object that was found.
#[derive(Clone, Debug)]
pub struct SearchHit {
    pub document: FoundDocument,
    /// From 0 to 1.
    pub score: f32,
    pub snippet: String,
}

impl SearchFilters {
    fn apply(&self, query: &mut SearchQuery) {
        let contact = self.contact.map(|id| id.to_string());
        let company = self.company.map(|id| id.to_string());
        for (name, value) in [
            ("state", &self.state),
            ("role", &self.role),
            ("tag", &self.tag),
            ("owner", &self.owner),
            ("contact", &contact),
            ("company", &company),
        ] {
            if let Some(value) = value {
                query.filter(name, value);
            }
        }
    }

    fn times(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (
            self.active_since.unwrap_or(DateTime::UNIX_EPOCH),
            self.active_before.unwrap_or(FAR),
        )
    }
}

/// Behind every time that Postgres and chrono both know.
const FAR: DateTime<Utc> = DateTime::from_timestamp_nanos(i64::MAX);

impl SearchHit {
    /// Its place in the order of the search.
    #[must_use]
    pub const fn position(&self) -> SearchPosition {
        SearchPosition {
            score: self.score,
            active_at: self.document.active_at,
            id: self.document.id,
        }
    }
}

impl SearchPosition {
    fn of(candidate: &SearchCandidate) -> Self {
        Self {
            score: candidate.score,
            active_at: candidate.active_at,
            id: candidate.id,
        }
    }

    /// Best first, then newest first.
    fn compare(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score
            .then_with(|| other.active_at.cmp(&self.active_at))
            .then_with(|| other.id.cmp(&self.id))
    }
}

/// Everything that a query matches, best first.
#[derive(Clone, Debug)]
pub struct SearchMatches {
    query: SearchQuery,
    ranked: Vec<SearchCandidate>,
    /// Whether every match was ranked. If not, the total is what was ranked, and only a narrower query shows the others.
    pub is_complete: bool,
    /// No object has all words of the query, so those with any of them are meant.
    pub matches_any: bool,
    /// How far what is stored is searched. `None` if nothing is yet.
    pub progress: Option<SearchProgress>,
}

/// Finds and ranks what a query matches, without what is shown of it.
///
/// # Errors
/// See [`StoreError`].
#[tracing::instrument(name = "search", skip_all)]
pub async fn find(tx: &mut ApiTx, request: &SearchRequest) -> Result<SearchMatches, StoreError> {
    let progress = tx.search_progress().await?;
    let mut query = SearchQuery::read(&request.text);
    request.filters.apply(&mut query);
    let mut ranked = named(tx, request).await?;
    let mut matches_any = false;
    let (mut found, mut is_complete) =
        candidates(tx, &query, request, progress.as_ref(), false).await?;
    if found.is_empty() && ranked.is_empty() && query.has_several_terms() {
        matches_any = true;
        (found, is_complete) = candidates(tx, &query, request, progress.as_ref(), true).await?;
    }
    found.retain(|candidate| ranked.iter().all(|named| named.id != candidate.id));
    ranked.append(&mut found);
    ranked.sort_by(|one, other| SearchPosition::of(one).compare(&SearchPosition::of(other)));
    Ok(SearchMatches {
        query,
        ranked,
        is_complete,
        matches_any,
        progress,
    })
}

impl SearchMatches {
    #[must_use]
    pub const fn total(&self) -> usize {
        self.ranked.len()
    }

    /// The ids of all matches, best first.
    #[must_use]
    pub fn ids(&self) -> Vec<Uuid> {
        self.ranked.iter().map(|candidate| candidate.id).collect()
    }

    /// A page behind a position, and the position of its last item if more follow.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn page(
        &self,
        tx: &mut ApiTx,
        after: Option<SearchPosition>,
        limit: usize,
    ) -> Result<(Vec<SearchHit>, Option<SearchPosition>), StoreError> {
        let begins = after.map_or(0, |after| {
            self.ranked
                .partition_point(|candidate| after.compare(&SearchPosition::of(candidate)).is_ge())
        });
        page(tx, &self.ranked[begins..], &self.query, limit).await
    }
}

/// The first of what is left, with what is shown of each.
async fn page(
    tx: &mut ApiTx,
    left: &[SearchCandidate],
    query: &SearchQuery,
    limit: usize,
) -> Result<(Vec<SearchHit>, Option<SearchPosition>), StoreError> {
    let mut items = Vec::new();
    let mut rest = left;
    // Objects that were removed since they were indexed are left out, so a page may need another look.
    while items.len() < limit && !rest.is_empty() {
        let (taken, behind) = rest.split_at(rest.len().min(limit - items.len()));
        rest = behind;
        let ids: Vec<Uuid> = taken.iter().map(|candidate| candidate.id).collect();
        let mut documents = tx.found_documents(&ids).await?.into_iter().peekable();
        for candidate in taken {
            if let Some(document) = documents.next_if(|document| document.id == candidate.id) {
                items.push(SearchHit {
                    snippet: snippet(&document.body, query),
                    score: candidate.score,
                    document,
                });
            }
        }
    }
    let last = left[..left.len() - rest.len()].last();
    let next = last.filter(|_| !rest.is_empty()).map(SearchPosition::of);
    Ok((items, next))
}

/// Objects that the text names exactly. A query with filters finds them by its words.
async fn named(
    tx: &mut ApiTx,
    request: &SearchRequest,
) -> Result<Vec<SearchCandidate>, StoreError> {
    let text = request.text.trim();
    if request.filters != SearchFilters::default() || !is_one_word(text) {
        return Ok(Vec::new());
    }
    let mut ids = Vec::new();
    if let Ok(id) = Uuid::try_parse(text) {
        ids.extend(tx.resolve_contact(id).await?);
        ids.extend(tx.resolve_company(id).await?);
        ids.push(id);
    }
    ids.extend(tx.named_profiles(text).await?);
    ids.extend(tx.objects_of_source_id(text).await?);
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(*id));
    let documents = tx.found_documents(&ids).await?;
    Ok(documents
        .into_iter()
        .filter(|document| request.kinds.contains(&document.kind))
        .map(|document| SearchCandidate {
            id: document.id,
            active_at: document.active_at,
            score: NAMED,
        })
        .collect())
}

/// The newest matches, and whether these are all.
async fn candidates(
    tx: &mut ApiTx,
    query: &SearchQuery,
    request: &SearchRequest,
    progress: Option<&SearchProgress>,
    any: bool,
) -> Result<(Vec<SearchCandidate>, bool), StoreError> {
    let (since, before) = request.filters.times();
    let Some(progress) = progress else {
        return Ok((Vec::new(), true));
    };
    let bands = Band::of(since)..=Band::of(before);
    let meant =
        |scope: &&WordScope| request.kinds.contains(&scope.kind()) && bands.contains(&scope.band());
    let queries = progress.scopes.iter().filter(meant).map(|scope| WordQuery {
        finds: query.literal(scope, any),
        ranks: query.rank_literal(scope, any),
    });
    let queries = queries.collect();
    let limit = RANKED_LIMIT as i32 + 1;
    let mut found = tx
        .search_candidates(queries, (since, before), limit)
        .await?;
    let is_complete = found.len() <= RANKED_LIMIT;
    found.truncate(RANKED_LIMIT);
    Ok((found, is_complete))
}
