//! An answer before it is HTTP: status, headers, bytes, and how the bytes reach the wire.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use tokio::time::Sleep;

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
}

impl Reply {
    pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "application/json; charset=utf-8", body)
    }

    pub(crate) fn html(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/html; charset=utf-8", body)
    }

    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.into(), delivery: Delivery::Whole }
    }

    /// 303 to `location`.
    pub(crate) fn see_other(location: &str) -> Self {
        Self::html(303, "").header("location", location)
    }

    /// With a header; one that HTTP cannot carry is left out.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

/// A body that can be cut short or delivered slowly.
#[derive(Debug)]
pub(crate) struct Payload {
    rest: Bytes,
    delivery: Delivery,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Payload {
    pub(crate) fn new(body: Bytes, delivery: Delivery) -> Self {
        Self { rest: body, delivery, pause: None }
    }
}

/// The simulator ended the connection on purpose.
#[derive(Debug, thiserror::Error)]
#[error("connection ended by an injected fault")]
pub(crate) struct Broken;

impl Body for Payload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.delivery {
            Delivery::Whole => {
                let all = std::mem::take(&mut self.rest);
                Poll::Ready((!all.is_empty()).then(|| Ok(Frame::data(all))))
            }
            Delivery::Cut(0) | Delivery::Reset => Poll::Ready(Some(Err(Broken))),
            Delivery::Cut(keep) => {
                let keep = keep.min(self.rest.len().saturating_sub(1));
                self.delivery = Delivery::Cut(0);
                Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(keep)))))
            }
            Delivery::Drip(size, pause) => {
                if self.rest.is_empty() {
                    return Poll::Ready(None);
                }
                let sleep = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
                match sleep.as_mut().poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => {
                        self.pause = None;
                        let size = size.clamp(1, self.rest.len());
                        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.delivery == Delivery::Whole && self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.delivery {
            Delivery::Whole | Delivery::Drip(..) => SizeHint::with_exact(self.rest.len() as u64),
            Delivery::Cut(_) | Delivery::Reset => SizeHint::default(),
        }
    }
}
