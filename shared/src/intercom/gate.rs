//! Whether a call may still be made: asked when its permit is there, right before it is sent.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;

type IsOpen = dyn Fn() -> BoxFuture<'static, bool> + Send + Sync;

/// What a [`Workspace`](super::Workspace) asks before each call; where it says no, the call ends as
/// [`Error::Closed`](super::Error::Closed). Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<IsOpen>);

impl Gate {
    #[must_use]
    pub fn new(is_open: impl Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_open))
    }

    pub(super) async fn is_open(&self) -> bool {
        (self.0)().await
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}
