//! The story, from the browser's first click to the last part read back.

#![expect(clippy::unwrap_used, reason = "tests")]

mod first_sync;
mod world;
