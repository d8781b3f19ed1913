//! Faults: which calls they hit and what they do to the answer.

mod garble;

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

pub use garble::Garble;

use crate::rate::lock;
use crate::reply::{Delivery, Reply};

/// Breaks calls that match. A call must match everything that is set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only calls with a token of this workspace.
    #[serde(default)]
    pub workspace: Option<String>,
    /// Only this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only this path (without query); `*` stands for any run of characters.
    #[serde(default)]
    pub path: Option<String>,
    /// Only this operation, such as `search_contacts` (see [`crate::LedgerRow::operation`]).
    #[serde(default)]
    pub operation: Option<String>,
    /// Let this many matching calls pass first.
    #[serde(default)]
    pub skip: u64,
    /// Then hit this many; `None`: all that follow.
    #[serde(default)]
    pub times: Option<u64>,
    /// What happens to the call.
    pub action: FaultAction,
}

/// What happens to a call. Calls that a fault hits still count against the rate limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultAction {
    /// Answer this instead.
    Status {
        /// HTTP status.
        status: u16,
        /// Body; `None`: an error list with code `server_error`.
        #[serde(default)]
        body: Option<String>,
        /// Further headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
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
    /// The right answer with one object (or part) in it broken.
    Garble {
        /// How.
        how: Garble,
        /// Which object, by id; `None`: by place.
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

/// Names an injected fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FaultId(pub u64);

impl Fault {
    /// `action` on every call, until narrowed.
    pub fn new(action: FaultAction) -> Self {
        Self { workspace: None, method: None, path: None, operation: None, skip: 0, times: None, action }
    }

    /// A bare status with an error list.
    pub fn status(status: u16) -> Self {
        Self::new(FaultAction::Status { status, body: None, headers: Vec::new() })
    }

    /// Only calls of this workspace.
    #[must_use]
    pub fn workspace(mut self, id_code: impl Into<String>) -> Self {
        self.workspace = Some(id_code.into());
        self
    }

    /// Only this method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only this path; `*` stands for anything.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Only this operation.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Let `calls` pass first.
    #[must_use]
    pub fn skip(mut self, calls: u64) -> Self {
        self.skip = calls;
        self
    }

    /// Hit this many calls only.
    #[must_use]
    pub fn times(mut self, calls: u64) -> Self {
        self.times = Some(calls);
        self
    }

    fn matches(&self, call: &Target<'_>) -> bool {
        let is = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        is(&self.method, call.method)
            && is(&self.operation, call.operation)
            && is(&self.workspace, call.workspace.unwrap_or_default())
            && self.path.as_deref().is_none_or(|path| glob(path, call.path))
    }
}

/// What faults are matched against.
#[derive(Debug)]
pub(crate) struct Target<'c> {
    pub(crate) workspace: Option<&'c str>,
    pub(crate) method: &'c str,
    pub(crate) path: &'c str,
    pub(crate) operation: &'static str,
}

/// Injected faults with their counts.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    all: Mutex<Vec<Armed>>,
}

#[derive(Debug)]
struct Armed {
    id: FaultId,
    fault: Fault,
    seen: u64,
    hits: u64,
    removed: bool,
}

impl Faults {
    pub(crate) fn inject(&self, fault: Fault) -> FaultId {
        let mut all = lock(&self.all);
        let id = FaultId(all.len() as u64 + 1);
        all.push(Armed { id, fault, seen: 0, hits: 0, removed: false });
        id
    }

    pub(crate) fn hits(&self, id: FaultId) -> u64 {
        lock(&self.all).iter().find(|armed| armed.id == id).map_or(0, |armed| armed.hits)
    }

    /// Removes one fault, or all. Their counts stay readable.
    pub(crate) fn clear(&self, id: Option<FaultId>) {
        for armed in lock(&self.all).iter_mut() {
            armed.removed |= id.is_none_or(|id| id == armed.id);
        }
    }

    /// The first fault that hits this call. Only that one is counted as hit.
    pub(crate) fn strike(&self, call: &Target<'_>) -> Option<FaultAction> {
        let mut all = lock(&self.all);
        for armed in all.iter_mut().filter(|armed| !armed.removed) {
            if !armed.fault.matches(call) {
                continue;
            }
            armed.seen += 1;
            let fault = &armed.fault;
            if armed.seen > fault.skip && fault.times.is_none_or(|times| armed.hits < times) {
                armed.hits += 1;
                return Some(fault.action.clone());
            }
        }
        None
    }
}

impl FaultAction {
    /// The answer that replaces the right one, where the right one is not needed.
    pub(crate) fn instead(&self) -> Option<Reply> {
        match self {
            Self::Status { status, body, headers } => {
                let body = body.clone().unwrap_or_else(|| {
                    json!({
                        "type": "error.list",
                        "request_id": crate::errors::request_id(),
                        "errors": [{"code": "server_error", "message": "Something went wrong."}],
                    })
                    .to_string()
                });
                let mut reply = Reply::json(*status, body);
                for (name, value) in headers {
                    let name = hyper::header::HeaderName::try_from(name.as_str());
                    let value = hyper::header::HeaderValue::try_from(value.as_str());
                    if let (Ok(name), Ok(value)) = (name, value) {
                        reply.headers.push((name, value));
                    }
                }
                Some(reply)
            }
            Self::Reset => Some(Reply { delivery: Delivery::Reset, ..Reply::json(200, "{}") }),
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
    pub(crate) fn spoil(&self, mut reply: Reply) -> Reply {
        match self {
            Self::Truncate { keep } => reply.delivery = Delivery::Cut(*keep),
            Self::Drip { bytes, millis } => {
                reply.delivery = Delivery::Drip(*bytes, Duration::from_millis(*millis));
            }
            Self::Choke { id, status } if holds(&reply.body, id) => {
                let body = json!({
                    "type": "error.list",
                    "request_id": crate::errors::request_id(),
                    "errors": [{"code": "not_found", "message": "Conversation not found. Message deleted."}],
                });
                reply.status = *status;
                reply.body = body.to_string().into();
            }
            Self::Garble { how, id, place, part } => {
                if let Some(body) = how.apply(&reply.body, id.as_deref(), *place, *part) {
                    reply.body = body;
                }
            }
            _ => {}
        }
        reply
    }

    /// How much later the answer comes.
    pub(crate) fn delay(&self) -> Option<Duration> {
        match self {
            Self::Delay { millis } => Some(Duration::from_millis(*millis)),
            _ => None,
        }
    }
}

/// Whether one of the page's objects has this id.
fn holds(body: &[u8], id: &str) -> bool {
    let Ok(page) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    ["data", "conversations"]
        .iter()
        .filter_map(|list| page[*list].as_array())
        .flatten()
        .any(|object| object["id"] == id)
}

/// Whether `pattern`, in which `*` stands for anything, describes all of `text`.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|n| rest.is_char_boundary(*n)).any(|n| glob(after, &rest[n..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        assert!(glob("/contacts/*/tags", "/contacts/6762/tags"));
        assert!(!glob("/contacts/*/tags", "/contacts/6762"));
        assert!(glob("*", ""));
    }
}
