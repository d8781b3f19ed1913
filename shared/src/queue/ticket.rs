//! Tickets: each names the work of one connection and stream.

use std::{fmt, str::FromStr};

use crate::domain::{Class, ConnectionId, Stream, TenantId};

/// The version of a ticket's text. A reader refuses other versions.
const VERSION: u32 = 1;

/// A longer text is not a ticket.
const MAX_TICKET_BYTES: usize = 160;

/// The name of the work of one connection and stream. It has ids only, so that a stale, doubled or forged ticket
/// can do no more than make a worker read Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub tenant: TenantId,
    pub connection: ConnectionId,
    pub stream: Stream,
}

impl From<(TenantId, ConnectionId, Stream)> for Ticket {
    fn from((tenant, connection, stream): (TenantId, ConnectionId, Stream)) -> Self {
        Self::new(tenant, connection, stream)
    }
}

impl Ticket {
    #[must_use]
    pub const fn new(tenant: TenantId, connection: ConnectionId, stream: Stream) -> Self {
        Self {
            tenant,
            connection,
            stream,
        }
    }

    #[must_use]
    pub const fn class(&self) -> Class {
        self.stream.class()
    }
}

/// `version/class/tenant/connection/stream`. This text is the ticket's identity in Redis, so that one connection
/// and stream has at most one live ticket.
impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{VERSION}/{}/{}/{}/{}",
            self.class(),
            self.tenant,
            self.connection,
            self.stream
        )
    }
}

impl FromStr for Ticket {
    type Err = BadTicket;

    fn from_str(text: &str) -> Result<Self, BadTicket> {
        if text.len() > MAX_TICKET_BYTES {
            return Err(BadTicket::TooLong);
        }
        let mut parts = text.split('/');
        let mut part = || parts.next().ok_or(BadTicket::Garbled);
        let version: u32 = part()?.parse().map_err(|_| BadTicket::Garbled)?;
        if version != VERSION {
            return Err(BadTicket::Version(version));
        }
        let class: Class = part()?.parse().map_err(|_| BadTicket::Garbled)?;
        let ticket = Self {
            tenant: part()?.parse().map_err(|_| BadTicket::Garbled)?,
            connection: part()?.parse().map_err(|_| BadTicket::Garbled)?,
            stream: part()?.parse().map_err(|_| BadTicket::Garbled)?,
        };
        // The text is the ticket's identity in Redis, so another spelling of the same ids would be another ticket.
        if parts.next().is_some() || class != ticket.class() || ticket.to_string() != text {
            return Err(BadTicket::Garbled);
        }
        Ok(ticket)
    }
}

/// Why a text is not a ticket.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadTicket {
    #[error("the ticket is longer than {MAX_TICKET_BYTES} bytes")]
    TooLong,
    #[error("the ticket has version {0}, this build reads {VERSION}")]
    Version(u32),
    #[error("the ticket cannot be read")]
    Garbled,
}

impl BadTicket {
    /// The label of `pathbound_tickets_refused_total{reason}`. The scripts use the same labels, and `foreign` for a
    /// good ticket in a place where no script puts it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong => "oversized",
            Self::Version(_) => "version",
            Self::Garbled => "garbled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_reads_back_and_holds_ids_only() {
        for stream in Stream::ALL {
            let ticket = Ticket::new(TenantId::new(), ConnectionId::new(), *stream);
            assert_eq!(ticket.to_string().parse(), Ok(ticket));
        }
    }

    #[test]
    fn a_text_that_is_no_ticket_is_refused() {
        let good = Ticket::new(TenantId::new(), ConnectionId::new(), Stream::Threads).to_string();
        assert_eq!(
            good.replacen('1', "2", 1).parse::<Ticket>(),
            Err(BadTicket::Version(2))
        );
        assert_eq!("x".repeat(161).parse::<Ticket>(), Err(BadTicket::TooLong));
        for bad in [
            "",
            "1",
            "garbage",
            &good.replace("backfill", "fresh"),
            &format!("{good}/more"),
            &good[..good.len() - 1],
            &format!("+{good}"),
            &good
                .to_uppercase()
                .replace("BACKFILL", "backfill")
                .replace("THREADS", "threads"),
        ] {
            assert_eq!(bad.parse::<Ticket>(), Err(BadTicket::Garbled), "{bad}");
        }
    }
}
