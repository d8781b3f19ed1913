//! The last check before a call: whether its sender may still make calls. It comes after the permit.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;

type IsOpen = dyn Fn() -> BoxFuture<'static, bool> + Send + Sync;

/// A check that a [`Workspace`](super::Workspace) makes before each call. If the gate is closed, the
/// call ends as [`Error::Closed`](super::Error::Closed). Cheap to clone.
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
