//! `pathbound all`: API, scheduler and worker in one process, for small installations.

use std::path::Path;

use shared::config::ProcessRole;

use crate::failure::Failure;

/// Runs until SIGTERM or Ctrl-C. If one of the three ends, the others end too.
///
/// # Errors
/// If one cannot start, or ends on its own.
pub async fn run(file: Option<&Path>) -> Result<(), Failure> {
    super::serve(file, ProcessRole::All).await
}
