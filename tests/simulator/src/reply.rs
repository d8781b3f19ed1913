//! An answer before it is HTTP: status, headers, bytes, and how the bytes reach the wire.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::faults::FaultId;
use crate::simulator::Shared;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    pub(crate) delivery: Delivery,
}

/// How an answer reaches the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// All of it.
    Whole,
    /// Not at all: the connection is reset.
    Reset,
    /// The length is announced, this many bytes come, then the connection ends.
    Cut(usize),
    /// Some bytes at a time, with a pause before each.
    Drip(usize, Duration),
    /// This many bytes, and the rest once the fault is taken away.
    Hold(usize, FaultId),
    /// This many times over, of which one is held.
    Repeat(u64),
}

impl Reply {
    pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "application/json; charset=utf-8", body)
    }

    pub(crate) fn html(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/html; charset=utf-8", body)
    }

    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
            delivery: Delivery::Whole,
        }
    }

    /// 303 to `location`.
    pub(crate) fn see_other(location: &str) -> Self {
        Self::html(303, "").header("location", location)
    }

    /// Adds a header, unless HTTP cannot carry it.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

/// A body that can be cut short or delivered slowly.
pub(crate) struct Payload {
    rest: Bytes,
    delivery: Delivery,
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    shared: Arc<Shared>,
}

impl Payload {
    /// Bytes that have been handed to the connection are counted.
    pub(crate) fn new(body: Bytes, delivery: Delivery, shared: Arc<Shared>) -> Self {
        Self {
            rest: body,
            delivery,
            pause: None,
            shared,
        }
    }

    fn frame(&self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.shared
            .sent
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

/// The simulator ended the connection on purpose.
#[derive(Debug, thiserror::Error)]
#[error("connection ended by an injected fault")]
pub(crate) struct Broken;

impl Body for Payload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.delivery {
            Delivery::Whole => {
                let all = std::mem::take(&mut self.rest);
                if all.is_empty() {
                    Poll::Ready(None)
                } else {
                    self.frame(all)
                }
            }
            Delivery::Repeat(0) => Poll::Ready(None),
            Delivery::Repeat(times) => {
                self.delivery = Delivery::Repeat(times - 1);
                self.frame(self.rest.clone())
            }
            Delivery::Cut(0) | Delivery::Reset => Poll::Ready(Some(Err(Broken))),
            Delivery::Cut(keep) => {
                let keep = keep.min(self.rest.len().saturating_sub(1));
                self.delivery = Delivery::Cut(0);
                let kept = self.rest.split_to(keep);
                self.frame(kept)
            }
            Delivery::Hold(0, fault) => {
                let shared = Arc::clone(&self.shared);
                let pause = self.pause.get_or_insert_with(|| {
                    Box::pin(async move { shared.faults.until_cleared(fault).await })
                });
                if pause.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.delivery = Delivery::Whole;
                let rest = std::mem::take(&mut self.rest);
                if rest.is_empty() {
                    Poll::Ready(None)
                } else {
                    self.frame(rest)
                }
            }
            Delivery::Hold(keep, fault) => {
                let keep = keep.min(self.rest.len());
                self.delivery = Delivery::Hold(0, fault);
                let kept = self.rest.split_to(keep);
                self.frame(kept)
            }
            Delivery::Drip(size, pause) => {
                if self.rest.is_empty() {
                    return Poll::Ready(None);
                }
                let pause = self
                    .pause
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
                match pause.as_mut().poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => {
                        self.pause = None;
                        let size = size.clamp(1, self.rest.len());
                        let next = self.rest.split_to(size);
                        self.frame(next)
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.delivery {
            Delivery::Whole => self.rest.is_empty(),
            Delivery::Repeat(times) => times == 0,
            _ => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.delivery {
            Delivery::Whole | Delivery::Drip(..) | Delivery::Hold(..) => {
                SizeHint::with_exact(self.rest.len() as u64)
            }
            Delivery::Repeat(times) => {
                SizeHint::with_exact(times.saturating_mul(self.rest.len() as u64))
            }
            Delivery::Cut(_) | Delivery::Reset => SizeHint::default(),
        }
    }
}
