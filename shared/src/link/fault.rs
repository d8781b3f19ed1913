//! Which answers say that a connection is of no use any more.

use redis::{RedisError, Value};

/// What an answer says about the connection that it came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionFault {
    None,
    /// The call got no answer in time. One such call may only be slow.
    Silent,
    /// The connection is broken.
    Lost,
    /// The server lives and cannot do its work. Another server may have taken over its address meanwhile, and this
    /// connection would stay with the old one.
    Misplaced,
}

/// Codes of a server that is not, or not yet, what it was. A server that is full (`OOM`) or that denies a command
/// (`NOPERM`) is the right one.
const MISPLACED: [&str; 7] = [
    "READONLY",
    "MASTERDOWN",
    "LOADING",
    "MISCONF",
    "NOREPLICAS",
    "CLUSTERDOWN",
    "NOAUTH",
];

impl ConnectionFault {
    pub(super) fn of_error(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::Silent;
        }
        if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error() {
            return Self::Lost;
        }
        Self::of_code(error.code())
    }

    /// A server's refusal may be the value of an answer.
    pub(super) fn of_value(value: &Value) -> Self {
        match value {
            Value::ServerError(error) => Self::of_code(Some(error.code())),
            _ => Self::None,
        }
    }

    fn of_code(code: Option<&str>) -> Self {
        match code {
            Some(code) if MISPLACED.contains(&code) => Self::Misplaced,
            _ => Self::None,
        }
    }
}

/// What calls answer with.
pub(super) trait ServerReply {
    fn fault(&self) -> ConnectionFault;
}

impl ServerReply for Value {
    fn fault(&self) -> ConnectionFault {
        ConnectionFault::of_value(self)
    }
}

impl ServerReply for Vec<Value> {
    fn fault(&self) -> ConnectionFault {
        let faults = self.iter().map(ConnectionFault::of_value);
        let mut faults = faults.filter(|fault| *fault != ConnectionFault::None);
        faults.next().unwrap_or(ConnectionFault::None)
    }
}

impl<T: ServerReply> ServerReply for Result<T, RedisError> {
    fn fault(&self) -> ConnectionFault {
        match self {
            Ok(value) => value.fault(),
            Err(error) => ConnectionFault::of_error(error),
        }
    }
}
