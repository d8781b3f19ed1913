//! How the sessions of a process are divided among its parts.
//!
//! Each part has a few sessions that no other part can take, so that work in the background stops no request and no
//! check. The API and the worker also take from the rest, which they share.
//!
//! A part may wait for a session only while it holds none. One session for each part is therefore enough to work.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::roles::{Api, DbRole as _, Oauth, Operator, Scheduler, Sources, Worker};
use crate::config::ProcessRole;

/// Below this size, every small part has one session.
const ROOMY: usize = 16;
/// The API and the worker each have this part of what the small parts leave.
const KEPT_PART: usize = 4;

/// The sessions that one part of a process may use at once.
#[derive(Clone, Debug)]
pub(super) struct Share {
    own: Arc<Semaphore>,
    /// What it may take beside its own.
    common: Option<Arc<Semaphore>>,
}

/// The right to use one session. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct SessionTurn {
    _permit: OwnedSemaphorePermit,
}

impl Share {
    /// All of a pool of this size, for a pool that has one user.
    pub(super) fn whole(sessions: usize) -> Self {
        Self {
            own: Arc::new(Semaphore::new(sessions)),
            common: None,
        }
    }

    /// Waits for its turn, in the order of the callers.
    pub(super) async fn turn(&self) -> SessionTurn {
        let permit = match &self.common {
            None => permit(&self.own).await,
            Some(common) => tokio::select! {
                // Its own first, so that the others have more of the common ones.
                biased;
                permit = permit(&self.own) => permit,
                permit = permit(common) => permit,
            },
        };
        SessionTurn { _permit: permit }
    }
}

async fn permit(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_owned().await {
        Ok(permit) => permit,
        // Semaphores here are never closed.
        Err(_) => std::future::pending().await,
    }
}

/// The shares of a process.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    checks: Share,
    /// By the word of the part's role.
    parts: Vec<(&'static str, Share)>,
    common: Arc<Semaphore>,
}

impl Shares {
    /// Divides the sessions of a process. The configuration refuses fewer than
    /// [`ProcessRole::fewest_sessions`], so that each part has one and one is left over.
    pub(super) fn divide(sessions: usize, role: ProcessRole, has_operators: bool) -> Self {
        let small = if sessions < ROOMY { 1 } else { 2 };
        let mut left = sessions.saturating_sub(1);
        let mut fixed = Vec::new();
        for (word, runs, size) in [
            (Scheduler::WORD, role.runs_scheduler(), 1),
            (Operator::WORD, has_operators, small),
            (Oauth::WORD, role.runs_api(), small),
        ] {
            if runs {
                left = left.saturating_sub(size);
                fixed.push((word, Share::whole(size)));
            }
        }
        let kept = (left / KEPT_PART).max(1);
        let growing = [
            (Api::WORD, role.runs_api()),
            (Worker::WORD, role.runs_worker()),
        ];
        let growing = growing.into_iter().filter(|(_, runs)| *runs);
        let kept_by_all = kept * growing.clone().count();
        let common = Arc::new(Semaphore::new(left.saturating_sub(kept_by_all)));
        let growing = growing.map(|(word, _)| {
            let common = Some(Arc::clone(&common));
            (
                word,
                Share {
                    common,
                    ..Share::whole(kept)
                },
            )
        });
        Self {
            checks: Share::whole(1),
            parts: fixed.into_iter().chain(growing).collect(),
            common,
        }
    }

    pub(super) fn checks(&self) -> Share {
        self.checks.clone()
    }

    /// The share of a role. One that is no part of the process has only the common sessions.
    pub(super) fn of(&self, word: &str) -> Share {
        // Records of other sources come in by requests as well.
        let word = if word == Sources::WORD {
            Api::WORD
        } else {
            word
        };
        let part = self.parts.iter().find(|(part, _)| *part == word);
        part.map_or_else(
            || Share {
                own: Arc::clone(&self.common),
                common: None,
            },
            |(_, share)| share.clone(),
        )
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn all_at_once(share: &Share) -> Vec<SessionTurn> {
        std::iter::from_fn(|| share.turn().now_or_never()).collect()
    }

    #[test]
    fn the_parts_never_take_more_than_there_is() {
        let serving = |role: &ProcessRole| *role != ProcessRole::Migrate;
        for role in ProcessRole::ALL.into_iter().filter(serving) {
            for has_operators in [false, true] {
                let fewest = role.fewest_sessions(has_operators) as usize;
                for sessions in fewest..64 {
                    let shares = Shares::divide(sessions, role, has_operators);
                    let of = |(_, share): &(_, Share)| share.own.available_permits();
                    let parts: usize = shares.parts.iter().map(of).sum();
                    let common = shares.common.available_permits();
                    assert_eq!(1 + parts + common, sessions, "{role} with {sessions}");
                    assert!(common > 0, "{role} with {sessions}");
                }
            }
        }
    }

    #[test]
    fn a_busy_part_leaves_each_other_its_own() {
        let shares = Shares::divide(16, ProcessRole::All, true);
        let worker = all_at_once(&shares.of(Worker::WORD));
        let api = all_at_once(&shares.of(Api::WORD));
        assert_eq!((worker.len(), api.len()), (8, 2));
        for word in [Scheduler::WORD, Operator::WORD, Oauth::WORD] {
            assert!(!all_at_once(&shares.of(word)).is_empty(), "{word}");
        }
        assert_eq!(all_at_once(&shares.checks()).len(), 1);
        drop(worker);
        assert_eq!(all_at_once(&shares.of(Api::WORD)).len(), 6);
    }
}
