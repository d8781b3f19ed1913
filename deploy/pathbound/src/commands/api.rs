//! `pathbound api`: REST, and the browser's side of connecting.

use std::path::Path;

use shared::config::ProcessRole;

use crate::failure::Failure;

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
/// When it cannot start, or ends by itself.
pub async fn run(file: Option<&Path>) -> Result<(), Failure> {
    super::serve(file, ProcessRole::Api).await
}
