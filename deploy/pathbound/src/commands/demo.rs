//! `pathbound demo`: the whole product in one process, against a simulated Intercom.

use std::time::Instant;

use crate::{cli::DemoArgs, demo, failure::Failure};

/// # Errors
/// When something could not start, or is not as expected at the end.
pub async fn run(args: DemoArgs, started: Instant) -> Result<(), Failure> {
    demo::run(args, started).await
}
