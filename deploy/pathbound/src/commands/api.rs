//! `pathbound api`: serves REST and the pages that connect a workspace.

use std::path::Path;

use shared::config::ProcessRole;

use crate::failure::Failure;

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
/// If it cannot start, or ends on its own.
pub async fn run(file: Option<&Path>) -> Result<(), Failure> {
    super::serve(file, ProcessRole::Api).await
}
