//! What the sync may touch.

use std::sync::Arc;

use crate::{
    config::Config, intercom::Intercom, shutdown::Shutdown, store::WorkerStore, vault::KeyRing,
};

/// What a slice may touch, and nothing else. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    pub store: WorkerStore,
    pub vault: Arc<KeyRing>,
    pub intercom: Intercom,
    pub config: Arc<Config>,
    /// The process is ending: begin nothing that can wait for another.
    pub stopping: Shutdown,
}
