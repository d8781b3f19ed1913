//! Faults: which calls they hit.

mod action;
mod garble;

use parking_lot::Mutex;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use action::FaultAction;
pub(crate) use action::Late;
pub use garble::Garble;

use crate::rate::lock;

/// Breaks calls that match. A call must match everything that is set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only calls with a token of this workspace.
    #[serde(default)]
    pub workspace: Option<String>,
    /// Only this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only this path (without query). `*` stands for any run of characters.
    #[serde(default)]
    pub path: Option<String>,
    /// Only this operation, such as `search_contacts` (see [`crate::LedgerRow::operation`]).
    #[serde(default)]
    pub operation: Option<String>,
    /// Let this many matching calls pass first.
    #[serde(default)]
    pub skip: u64,
    /// Then hit this many calls. `None` hits all that follow.
    #[serde(default)]
    pub times: Option<u64>,
    /// What happens to the call.
    pub action: FaultAction,
}

/// Names an injected fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FaultId(pub u64);

impl Fault {
    /// `action` on every call, until narrowed.
    pub fn new(action: FaultAction) -> Self {
        Self {
            workspace: None,
            method: None,
            path: None,
            operation: None,
            skip: 0,
            times: None,
            action,
        }
    }

    /// A bare status with an error list.
    pub fn status(status: u16) -> Self {
        Self::new(FaultAction::Status {
            status,
            body: None,
            headers: Vec::new(),
        })
    }

    /// Only calls of this workspace.
    #[must_use]
    pub fn workspace(mut self, id_code: impl Into<String>) -> Self {
        self.workspace = Some(id_code.into());
        self
    }

    /// Only this method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only this path. `*` stands for anything.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Only this operation.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Let `calls` pass first.
    #[must_use]
    pub fn skip(mut self, calls: u64) -> Self {
        self.skip = calls;
        self
    }

    /// Hit this many calls only.
    #[must_use]
    pub fn times(mut self, calls: u64) -> Self {
        self.times = Some(calls);
        self
    }

    fn matches(&self, call: &Target<'_>) -> bool {
        let is = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        is(&self.method, call.method)
            && is(&self.operation, call.operation)
            && is(&self.workspace, call.workspace.unwrap_or_default())
            && self
                .path
                .as_deref()
                .is_none_or(|path| glob(path, call.path))
    }
}

/// What faults are matched against.
#[derive(Debug)]
pub(crate) struct Target<'c> {
    pub(crate) workspace: Option<&'c str>,
    pub(crate) method: &'c str,
    pub(crate) path: &'c str,
    pub(crate) operation: &'static str,
}

/// Injected faults with their counts.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    all: Mutex<Vec<Armed>>,
    /// Told whenever some are taken away.
    cleared: watch::Sender<()>,
}

#[derive(Debug)]
struct Armed {
    id: FaultId,
    fault: Fault,
    seen: u64,
    hits: u64,
    /// Hits whose calls are decided and in the ledger.
    noted: u64,
    removed: bool,
}

impl Faults {
    pub(crate) fn inject(&self, fault: Fault) -> FaultId {
        let mut all = lock(&self.all);
        let id = FaultId(all.len() as u64 + 1);
        all.push(Armed {
            id,
            fault,
            seen: 0,
            hits: 0,
            noted: 0,
            removed: false,
        });
        id
    }

    pub(crate) fn hits(&self, id: FaultId) -> u64 {
        lock(&self.all)
            .iter()
            .find(|armed| armed.id == id)
            .map_or(0, |armed| armed.noted)
    }

    /// Shows a hit, once its call is decided and in the ledger: what a test changes after it saw the hit is not in the
    /// answer.
    pub(crate) fn note_hit(&self, id: FaultId) {
        for armed in lock(&self.all).iter_mut().filter(|armed| armed.id == id) {
            armed.noted += 1;
        }
    }

    /// Removes one fault, or all. Their counts stay readable.
    pub(crate) fn clear(&self, id: Option<FaultId>) {
        for armed in lock(&self.all).iter_mut() {
            armed.removed |= id.is_none_or(|id| id == armed.id);
        }
        self.cleared.send_replace(());
    }

    /// Waits until a fault is taken away.
    pub(crate) async fn until_cleared(&self, id: FaultId) {
        let mut cleared = self.cleared.subscribe();
        while lock(&self.all)
            .iter()
            .any(|armed| armed.id == id && !armed.removed)
        {
            // Its sender is `self`.
            let _ = cleared.changed().await;
        }
    }

    /// The first fault that hits this call. Only that one is counted as hit. [`Faults::note_hit`] then shows the hit.
    pub(crate) fn strike(&self, call: &Target<'_>) -> Option<(FaultId, FaultAction)> {
        let mut all = lock(&self.all);
        for armed in all.iter_mut().filter(|armed| !armed.removed) {
            if !armed.fault.matches(call) {
                continue;
            }
            armed.seen += 1;
            let fault = &armed.fault;
            if armed.seen > fault.skip && fault.times.is_none_or(|times| armed.hits < times) {
                armed.hits += 1;
                return Some((armed.id, fault.action.clone()));
            }
        }
        None
    }
}

/// Whether `pattern`, in which `*` stands for anything, describes all of `text`.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|n| rest.is_char_boundary(*n))
                .any(|n| glob(after, &rest[n..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        assert!(glob("/contacts/*/tags", "/contacts/6762/tags"));
        assert!(!glob("/contacts/*/tags", "/contacts/6762"));
        assert!(glob("*", ""));
    }
}
