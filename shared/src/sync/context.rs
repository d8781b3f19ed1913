//! What the sync may touch.

use std::sync::Arc;

use super::{SliceError, SliceFailures};
use crate::{
    config::Config,
    domain::Secret,
    intercom::Intercom,
    shutdown::Shutdown,
    store::{SliceKey, WorkerStore},
    vault::{KeyRing, SealContext},
};

/// What a slice may touch, and nothing else. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    pub store: WorkerStore,
    pub vault: Arc<KeyRing>,
    pub intercom: Intercom,
    pub config: Arc<Config>,
    /// Cancelled when the process is ending. A slice then starts no work that another worker can do later.
    pub stopping: Shutdown,
    /// What was logged of failures.
    pub failures: Arc<SliceFailures>,
}

impl Context {
    pub(super) fn open_token(&self, key: SliceKey, sealed: &[u8]) -> Result<Secret, SliceError> {
        let token = self
            .vault
            .open(
                &SealContext::access_token(key.tenant, key.connection),
                sealed,
            )
            .map_err(|error| SliceError::Token(error.to_string()))?;
        std::str::from_utf8(&token)
            .map(Secret::new)
            .map_err(|error| SliceError::Token(error.to_string()))
    }
}
