//! The scope that a call needs and its token lacks.
//!
//! Whether a call needs one is known to the tool alone. A client can sign in again for more, and learns of it only from a
//! 403 (RFC 6750), so it gets that in place of the tool's sentence. A key has no sign-in, and its caller reads the
//! sentence.

use std::sync::{Arc, OnceLock};

use crate::caller::KeyScope;

/// Shared by the gate and the call behind it. A request with a key has none.
#[derive(Clone, Debug, Default)]
pub(super) struct LackedScope(Arc<OnceLock<KeyScope>>);

impl LackedScope {
    pub(super) fn note(&self, scope: KeyScope) {
        // The first one is asked for. A call that lacks two is refused once more.
        let _ = self.0.set(scope);
    }

    pub(super) fn get(&self) -> Option<KeyScope> {
        self.0.get().copied()
    }
}
