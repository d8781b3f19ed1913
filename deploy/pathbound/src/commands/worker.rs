//! `pathbound worker`: syncs the streams that are queued.

use std::path::Path;

use shared::config::ProcessRole;

use crate::failure::Failure;

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
/// If it cannot start, or ends on its own.
pub async fn run(file: Option<&Path>) -> Result<(), Failure> {
    super::serve(file, ProcessRole::Worker).await
}
