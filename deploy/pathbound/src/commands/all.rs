//! `pathbound all`: API, scheduler and worker in one process, for small installations.

use std::path::Path;

use shared::config::ProcessRole;

use crate::failure::Failure;

/// Runs until SIGTERM or Ctrl-C. When one of the three ends, the others do.
///
/// # Errors
/// When one cannot start, or ends by itself.
pub async fn run(file: Option<&Path>) -> Result<(), Failure> {
    super::serve(file, ProcessRole::All).await
}
