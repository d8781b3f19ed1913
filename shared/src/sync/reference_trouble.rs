//! The parts of the reference data that failed in one slice. None of them stops another.

use super::{SliceError, record_faults::stops_all, reference_walk::ReferenceWalk};
use crate::intercom::{Error, Refusal, wire::ReferenceKind};

/// The first failure of a slice. The others are asked for again with it.
#[derive(Default)]
pub(super) struct Trouble {
    first: Option<SliceError>,
}

impl Trouble {
    /// Notes a failed part.
    ///
    /// # Errors
    /// An error that concerns every part: a wait, a dead token, a lost lease, or Postgres.
    pub(super) fn note(&mut self, part: &'static str, error: SliceError) -> Result<(), SliceError> {
        let SliceError::Intercom(error) = error else {
            return Err(error);
        };
        if concerns_all(&error) {
            return Err(error.into());
        }
        tracing::warn!(part, %error, "a part of the reference data failed, and the others go on");
        self.first.get_or_insert(SliceError::Part { part, error });
        Ok(())
    }

    /// The value of a part. `None` if it failed.
    ///
    /// # Errors
    /// As [`Trouble::note`].
    pub(super) fn of_part<T>(
        &mut self,
        part: &'static str,
        result: Result<T, SliceError>,
    ) -> Result<Option<T>, SliceError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.note(part, error).map(|()| None),
        }
    }

    /// The error of the slice, if a part failed. A refusal comes first, because it is counted until it is believed.
    pub(super) fn into_error(self, walk: &ReferenceWalk) -> Option<SliceError> {
        let mut refused = walk.refused.clone();
        // The `conversations` stream reports a missing plan or scope of its own.
        refused.retain(|kind| *kind != ReferenceKind::ConversationAttribute);
        if refused.is_empty() {
            self.first
        } else {
            Some(SliceError::RefusedLists(refused))
        }
    }
}

fn concerns_all(error: &Error) -> bool {
    stops_all(error)
        || matches!(
            error.refusal(),
            Some(Refusal::Unauthorized | Refusal::AppSuspended)
        )
}
