//! Whether Intercom refuses single threads, or the threads as a whole.
//!
//! Threads have no list that could be refused. One refused thread is set aside like any other failure. If several are
//! refused and none is served, a thread that is already stored is asked for: if Intercom serves it, the refusals are of
//! those threads alone.

use uuid::Uuid;

use super::{SliceError, record_faults::stops_all, slice::SliceContext};
use crate::intercom::{Endpoint, Error, Refusal};

/// So many different threads have to be refused before anything is concluded about the others.
pub(super) const SEVERAL: usize = 3;

/// What one slice has met so far.
#[derive(Default)]
pub(super) struct ThreadDoubt {
    refused: usize,
    served: bool,
    first: Option<Error>,
}

impl ThreadDoubt {
    pub(super) fn note_served(&mut self) {
        self.served = true;
    }

    /// Notes an error. Only a refusal that could be one of all threads counts.
    pub(super) fn note(&mut self, error: &Error) {
        let Error::Refused {
            status,
            code,
            refusal,
            endpoint,
        } = error
        else {
            return;
        };
        if matches!(
            refusal,
            Refusal::Unauthorized
                | Refusal::AppSuspended
                | Refusal::MissingScope
                | Refusal::PlanRestricted
        ) {
            self.refused += 1;
            self.first.get_or_insert_with(|| Error::Refused {
                status: *status,
                code: code.clone(),
                refusal: refusal.clone(),
                endpoint,
            });
        }
    }

    pub(super) const fn is_served(&self) -> bool {
        self.served
    }

    /// Whether no further thread should be requested, because it would be refused as well.
    pub(super) const fn is_of_all(&self) -> bool {
        self.refused >= SEVERAL && !self.served
    }

    /// The refusal, if it may be one of all threads. In a blocked stream every refusal is.
    pub(super) fn into_refusal(self, is_blocked: bool) -> Option<Error> {
        let doubted = self.is_of_all() || is_blocked && !self.served;
        self.first.filter(|_| doubted)
    }
}

/// Whether Intercom serves a thread that is already stored. False if there is none.
pub(super) async fn another_is_served(cx: &SliceContext<'_>) -> Result<bool, SliceError> {
    let mut tx = cx.begin().await?;
    let mut known = tx
        .sample_threads(cx.key.connection, Uuid::new_v4(), 1)
        .await?;
    if known.is_empty() {
        // The random id was past the last one.
        known = tx.sample_threads(cx.key.connection, Uuid::nil(), 1).await?;
    }
    // The call may take seconds, so it holds no transaction.
    tx.commit().await?;
    let Some(known) = known.pop() else {
        return Ok(false);
    };
    let read = Endpoint::Conversation {
        id: &known.source_id,
    };
    match cx.workspace.read(&read).await {
        Ok(_) => Ok(true),
        Err(error) if stops_all(&error) => Err(error.into()),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(refusal: Refusal) -> Error {
        Error::Refused {
            status: 403,
            code: "forbidden".to_owned(),
            refusal,
            endpoint: "conversation",
        }
    }

    #[test]
    fn several_refusals_and_no_served_thread_are_one_of_all() {
        let mut doubt = ThreadDoubt::default();
        for _ in 1..SEVERAL {
            doubt.note(&refused(Refusal::MissingScope));
            doubt.note(&refused(Refusal::NotFound));
            doubt.note(&Error::Unavailable("status 500".to_owned()));
        }
        assert!(!doubt.is_of_all());
        doubt.note(&refused(Refusal::MissingScope));
        assert!(doubt.is_of_all());
        doubt.note_served();
        assert!(!doubt.is_of_all());
        assert!(doubt.into_refusal(true).is_none());
    }

    #[test]
    fn one_refusal_keeps_a_block() {
        let mut doubt = ThreadDoubt::default();
        assert!(ThreadDoubt::default().into_refusal(true).is_none());
        doubt.note(&refused(Refusal::PlanRestricted));
        assert!(doubt.into_refusal(true).is_some());
    }
}
