//! A contact shows ten of its companies and says that there are more. The others are fetched here.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{SliceError, page_objects::PageObjects, record_faults::stops_all, slice::SliceContext};
use crate::{
    domain::{
        Stream,
        records::{Contact, SubList},
    },
    intercom::{
        Endpoint, Error, Response,
        wire::{self, Page},
    },
    store::{DueRetry, Retry, SetAside, WorkerTx},
};

/// How long the rate budget may delay a page of contacts for the companies of one.
const MAX_GAP: Duration = Duration::from_secs(25);

/// How far a list was read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Progress {
    companies: Vec<String>,
    /// Entries on the pages so far.
    shown: i64,
    /// The last page that was read.
    page: u32,
}

/// The companies of one contact.
enum Companies {
    Read(SubList),
    /// Intercom knows no such contact.
    Gone,
    /// Intercom does not give the list.
    Failed(String, Progress),
    /// There was no time or no budget for the rest. The error says when there is a budget again.
    Unfinished(Progress, Option<Error>),
}

/// Reads the companies of contacts that do not show all of them and that `is_new` says are not stored yet.
///
/// A contact whose list is not read keeps the links that it has. Its list is returned, to be asked for on its own.
///
/// # Errors
/// When the slice has lost its lease.
pub(super) async fn complete(
    cx: &SliceContext<'_>,
    objects: &mut PageObjects<Contact>,
    is_new: impl Fn(&Contact) -> bool,
) -> Result<Vec<SetAside>, SliceError> {
    let asked = objects
        .records
        .iter()
        .enumerate()
        .filter(|(_, contact)| !contact.companies.is_whole() && is_new(contact))
        .map(|(index, contact)| (index, contact.source_id.clone(), Progress::default()));
    let mut set_aside = Vec::new();
    for (index, id, companies) in read_all(cx, asked.collect()).await? {
        match companies {
            Companies::Read(companies) => objects.records[index].companies = companies,
            // The contact was merged or deleted since the page was made.
            Companies::Gone => {}
            unread => set_aside.extend(to_be_continued(id, unread)),
        }
    }
    Ok(set_aside)
}

/// Lists that were asked for on their own.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) read: Vec<(String, SubList)>,
    /// Contacts whose list leaves nothing to ask for.
    pub(super) answered: Vec<String>,
    pub(super) set_aside: Vec<SetAside>,
    /// Why reading stopped. It says nothing of a list.
    pub(super) trouble: Option<Error>,
}

/// Continues lists that were not read to their end.
///
/// # Errors
/// When the slice has lost its lease.
pub(super) async fn resume(
    cx: &SliceContext<'_>,
    retries: Vec<DueRetry>,
) -> Result<Lists, SliceError> {
    let asked = retries.into_iter().enumerate().map(|(index, retry)| {
        let progress = retry
            .progress
            .and_then(|saved| serde_json::from_value(saved).ok());
        (index, retry.source_id, progress.unwrap_or_default())
    });
    let mut lists = Lists::default();
    for (_, id, companies) in read_all(cx, asked.collect()).await? {
        match companies {
            Companies::Read(companies) => {
                lists.answered.push(id.clone());
                lists.read.push((id, companies));
            }
            Companies::Gone => lists.answered.push(id),
            Companies::Unfinished(progress, Some(error)) => {
                let rest = Companies::Unfinished(progress, None);
                lists.set_aside.extend(to_be_continued(id, rest));
                lists.trouble = Some(error);
            }
            unread => lists.set_aside.extend(to_be_continued(id, unread)),
        }
    }
    Ok(lists)
}

fn to_be_continued(source_id: String, companies: Companies) -> Option<SetAside> {
    let (reason, progress, is_unfinished) = match companies {
        Companies::Failed(reason, progress) => (reason, progress, false),
        Companies::Unfinished(progress, _) => {
            ("its list of companies is long".to_owned(), progress, true)
        }
        Companies::Read(_) | Companies::Gone => return None,
    };
    Some(SetAside {
        source_id,
        retry: Retry::List,
        reason,
        progress: serde_json::to_value(progress).ok(),
        is_unfinished,
    })
}

/// Reads lists, several at once, for a bounded time.
async fn read_all(
    cx: &SliceContext<'_>,
    asked: Vec<(usize, String, Progress)>,
) -> Result<Vec<(usize, String, Companies)>, SliceError> {
    // What is left then continues in another slice, because a slice has a time limit.
    let until = Instant::now() + cx.config().intervals.company_lists;
    let answers: Vec<_> = stream::iter(asked)
        .map(|(index, id, progress)| async move {
            let companies = confirmed(cx, &id, progress, until).await;
            companies.map(|companies| (index, id, companies))
        })
        .buffer_unordered(cx.config().conversation_concurrency)
        .collect()
        .await;
    Ok(answers.into_iter().collect::<Result<Vec<_>, Error>>()?)
}

/// The list of one contact. Intercom also answers 404 for living contacts, so a living one is asked for once more.
async fn confirmed(
    cx: &SliceContext<'_>,
    id: &str,
    progress: Progress,
    until: Instant,
) -> Result<Companies, Error> {
    let read = Endpoint::Contact {
        id,
        merge_history: false,
    };
    let companies = continued(cx, id, progress.clone(), until).await?;
    if !matches!(companies, Companies::Gone) {
        return Ok(companies);
    }
    match cx.read_patiently(&read, MAX_GAP).await {
        Err(error) if error.is_gone() => return Ok(Companies::Gone),
        // Only a living contact has an answer of this size.
        Ok(_) | Err(Error::TooLarge(_)) => {}
        Err(error) => return unread(error, progress),
    }
    Ok(match continued(cx, id, progress.clone(), until).await? {
        Companies::Gone => Companies::Failed(
            "intercom shows ten of its companies and does not give the others".to_owned(),
            progress,
        ),
        companies => companies,
    })
}

/// Reads the list from where it was left.
async fn continued(
    cx: &SliceContext<'_>,
    id: &str,
    mut progress: Progress,
    until: Instant,
) -> Result<Companies, Error> {
    loop {
        let page = progress.page + 1;
        // The wait is spent here. Snoozing would drop the page of contacts, and with little budget it would never end.
        let answer = match cx
            .read_patiently(&Endpoint::ContactCompanies { id, page }, MAX_GAP)
            .await
        {
            Err(error) if error.is_gone() => return Ok(Companies::Gone),
            Err(error) => return unread(error, progress),
            Ok(answer) => answer,
        };
        match add_page(&answer, &mut progress) {
            Ok(Some(companies)) => return Ok(Companies::Read(companies)),
            // After a page and not before it, so that every try comes further.
            Ok(None) if Instant::now() >= until => {
                return Ok(Companies::Unfinished(progress, None));
            }
            Ok(None) => {}
            Err(reason) => return Ok(Companies::Failed(reason, progress)),
        }
    }
}

/// Adds a page to the list. Returns the list once it has ended.
fn add_page(answer: &Response, progress: &mut Progress) -> Result<Option<SubList>, String> {
    let list = Page::split(&answer.body).map_err(|error| error.to_string())?;
    let next = list
        .next_number(progress.page + 1)
        .map_err(|error| error.to_string())?;
    progress.companies.extend(wire::company_ids(&list.items)?);
    progress.shown += list.items.len() as i64;
    if let Some(next) = next {
        progress.page = next - 1;
        return Ok(None);
    }
    let companies = std::mem::take(&mut progress.companies);
    // A list that counts more than it shows says nothing of the others.
    let is_whole = list.total_count.is_none_or(|total| total <= progress.shown);
    Ok(Some(if is_whole {
        SubList::Whole(companies)
    } else {
        SubList::Part(companies)
    }))
}

/// What a failed call leaves of a list.
fn unread(error: Error, progress: Progress) -> Result<Companies, Error> {
    match error {
        Error::Closed => Err(error),
        error if stops_all(&error) => Ok(Companies::Unfinished(progress, Some(error))),
        Error::TooLarge(_) => Ok(Companies::Failed(
            "the list of its companies is larger than an answer may be".to_owned(),
            progress,
        )),
        error => Ok(Companies::Failed(
            format!("its list of companies was not read: {error}"),
            progress,
        )),
    }
}

/// Queues all companies that these contacts name. Returns the streams that are due for it.
pub(super) async fn fetch_all(
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
    contacts: &[String],
) -> Result<Vec<Stream>, SliceError> {
    let connection = cx.key.connection;
    let are_queued = !contacts.is_empty() && tx.add_company_fetches(connection, contacts).await?;
    due_if(are_queued, tx, cx).await
}

/// The same for companies that are not stored, of these contacts or, without names, of any.
pub(super) async fn fetch_unknown(
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
    contacts: Option<&[String]>,
) -> Result<Vec<Stream>, SliceError> {
    let connection = cx.key.connection;
    let are_queued = !contacts.is_some_and(<[String]>::is_empty)
        && tx.add_unknown_company_fetches(connection, contacts).await?;
    due_if(are_queued, tx, cx).await
}

async fn due_if(
    are_queued: bool,
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
) -> Result<Vec<Stream>, SliceError> {
    if !are_queued {
        return Ok(Vec::new());
    }
    tx.make_due(cx.key.connection, Stream::Companies).await?;
    Ok(vec![Stream::Companies])
}
