//! What a fault does to the answer of a call.

use std::io::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FaultId, Garble, garble};
use crate::errors::ApiError;
use crate::reply::{Delivery, Reply};

/// What happens to a call. Calls that a fault hits still count against the rate limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultAction {
    /// Answer this instead.
    Status {
        /// HTTP status.
        status: u16,
        /// The body. `None` stands for an error list with code `server_error`.
        #[serde(default)]
        body: Option<String>,
        /// Further headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// Answer exactly these bytes, text or not.
    Raw {
        /// HTTP status.
        status: u16,
        /// The body.
        body: Vec<u8>,
        /// Further headers. A content type, a date or rate limit headers replace the right ones.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// 200 and a body that does not end before this many bytes, of which a small part is held.
    Flood {
        /// Bytes, once decoded.
        bytes: u64,
        /// Sent compressed, a thousandth of the size.
        #[serde(default)]
        gzip: bool,
    },
    /// Reset the connection without an answer.
    Reset,
    /// Announce the whole body, send this many bytes, end the connection.
    Truncate {
        /// Bytes that arrive.
        keep: usize,
    },
    /// An HTML page of a proxy.
    Html {
        /// HTTP status.
        status: u16,
    },
    /// 200 with an empty body.
    Empty,
    /// The right answer, late.
    Delay {
        /// How late.
        millis: u64,
    },
    /// The right answer as of now, which waits until the fault is taken away: what a test does meanwhile, happens
    /// meanwhile, however slow the machine is.
    Hold {
        /// The bytes of the body that are sent before the wait. With 0, the head waits too.
        #[serde(default)]
        after: usize,
    },
    /// The right answer, a few bytes at a time.
    Drip {
        /// Bytes at a time.
        bytes: usize,
        /// Pause before each.
        millis: u64,
    },
    /// An error for every answer that would hold this object: one record breaks whatever page it is on.
    Choke {
        /// The object's id.
        id: String,
        /// HTTP status instead.
        status: u16,
    },
    /// The right answer, but its next page is the one that was asked for.
    RepeatCursor,
    /// The right answer, its objects in the opposite order.
    Unsorted,
    /// The right answer with one value in it replaced, or left out.
    Edit {
        /// The object that has the value, alone or in a list. `None` is the answer itself.
        #[serde(default)]
        id: Option<String>,
        /// Where the value is, as a JSON pointer.
        pointer: String,
        /// The value instead. `None` leaves it out.
        #[serde(default)]
        value: Option<Value>,
    },
    /// The right answer with the cursor of its next page inside a URL, which also counts the page.
    CursorInUrl,
    /// The right answer with one object (or part) in it broken.
    Garble {
        /// How.
        how: Garble,
        /// The id of the object. `None` selects it by position.
        #[serde(default)]
        id: Option<String>,
        /// Which object of the page, from 0, where no id is given.
        #[serde(default)]
        place: usize,
        /// Break a conversation part instead of a listed object.
        #[serde(default)]
        part: bool,
    },
}

impl FaultAction {
    /// An error with this code, in the words of Intercom's reference.
    #[must_use]
    pub fn refusal(status: u16, code: &str) -> Self {
        let body = serde_json::json!({"type": "error.list", "request_id": null, "errors": [{"code": code, "message": "no"}]});
        Self::Status {
            status,
            body: Some(body.to_string()),
            headers: Vec::new(),
        }
    }

    /// The answer that replaces the right one, where the right one is not needed.
    pub(crate) fn instead(&self) -> Option<Reply> {
        match self {
            Self::Status {
                status,
                body,
                headers,
            } => {
                let reply = match body {
                    Some(body) => Reply::json(*status, body.clone()),
                    None => ApiError::new(*status, "server_error", "Something went wrong.").reply(),
                };
                Some(with_headers(reply, headers))
            }
            Self::Raw {
                status,
                body,
                headers,
            } => Some(with_headers(Reply::json(*status, body.clone()), headers)),
            Self::Flood { bytes, gzip: false } => {
                Some(flood(vec![b'x'; CHUNK], bytes.div_ceil(CHUNK as u64)))
            }
            Self::Flood { bytes, gzip: true } => {
                let times = usize::try_from(bytes.div_ceil(CHUNK as u64)).unwrap_or(usize::MAX);
                Some(Reply::json(200, compressed(times)).header("content-encoding", "gzip"))
            }
            Self::Reset => Some(Reply {
                delivery: Delivery::Reset,
                ..Reply::json(200, "{}")
            }),
            Self::Html { status } => Some(Reply::html(
                *status,
                "<!doctype html><html><head><title>Bad gateway</title></head><body><h1>Something \
                 went wrong</h1></body></html>",
            )),
            Self::Empty => Some(Reply::json(200, "")),
            _ => None,
        }
    }

    /// Changes the right answer.
    pub(crate) fn spoil(&self, id: FaultId, mut reply: Reply, request: &[u8]) -> Reply {
        match self {
            Self::RepeatCursor => {
                if let Some(body) = garble::repeat_cursor(&reply.body, request) {
                    reply.body = body;
                }
            }
            Self::Unsorted => {
                if let Some(body) = garble::reverse(&reply.body) {
                    reply.body = body;
                }
            }
            Self::Edit { id, pointer, value } => {
                if let Some(body) =
                    garble::edit(&reply.body, id.as_deref(), pointer, value.as_ref())
                {
                    reply.body = body;
                }
            }
            Self::CursorInUrl => {
                if let Some(body) = garble::cursor_in_url(&reply.body) {
                    reply.body = body;
                }
            }
            Self::Truncate { keep } => reply.delivery = Delivery::Cut(*keep),
            Self::Hold { after } if *after > 0 => reply.delivery = Delivery::Hold(*after, id),
            Self::Drip { bytes, millis } => {
                reply.delivery = Delivery::Drip(*bytes, Duration::from_millis(*millis));
            }
            Self::Choke { id, status } if holds(&reply.body, id) => {
                let message = "Conversation not found. Message deleted.";
                let error = ApiError::new(*status, "not_found", message).reply();
                (reply.status, reply.body) = (error.status, error.body);
            }
            Self::Garble {
                how,
                id,
                place,
                part,
            } => {
                if let Some(body) = how.apply(&reply.body, id.as_deref(), *place, *part) {
                    reply.body = body;
                }
            }
            _ => {}
        }
        reply
    }

    /// What the answer waits for.
    pub(crate) fn late(&self, id: FaultId) -> Late {
        match self {
            Self::Delay { millis } => Late::By(Duration::from_millis(*millis)),
            Self::Hold { after: 0 } => Late::Until(id),
            _ => Late::Not,
        }
    }
}

/// What an answer waits for before it leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Late {
    Not,
    By(Duration),
    /// Until this fault is taken away.
    Until(FaultId),
}

/// What a flood repeats, once decoded.
const CHUNK: usize = 1 << 20;

fn flood(chunk: Vec<u8>, times: u64) -> Reply {
    Reply {
        delivery: Delivery::Repeat(times),
        ..Reply::json(200, chunk)
    }
}

/// So many chunks as one gzip stream, of which two are compressed: once flushed, the same bytes come out as the
/// same. It has no end, because no reader gets that far.
fn compressed(times: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut after = || {
        // Writing to memory does not fail.
        let _ = encoder
            .write_all(&[b'x'; CHUNK])
            .and_then(|()| encoder.flush());
        encoder.get_ref().clone()
    };
    let (first, both) = (after(), after());
    let next = both[first.len()..].repeat(times.saturating_sub(1));
    [first, next].concat()
}

/// Adds headers, without those that HTTP cannot carry.
fn with_headers(mut reply: Reply, headers: &[(String, String)]) -> Reply {
    for (name, value) in headers {
        let name = hyper::header::HeaderName::try_from(name.as_str());
        let value = hyper::header::HeaderValue::try_from(value.as_str());
        if let (Ok(name), Ok(value)) = (name, value) {
            reply.headers.push((name, value));
        }
    }
    reply
}

/// Whether one of the page's objects has this id.
fn holds(body: &[u8], id: &str) -> bool {
    let Ok(page) = serde_json::from_slice::<serde_json::Value>(body) else {
        return false;
    };
    ["data", "conversations"]
        .iter()
        .filter_map(|list| page[*list].as_array())
        .flatten()
        .any(|object| object["id"] == id)
}
