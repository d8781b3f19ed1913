//! Tickets: texts in Redis, which other programs may have written.

use shared::{
    domain::{ConnectionId, Stream, TenantId},
    queue::Ticket,
};
use uuid::Uuid;

/// What is read as a ticket is written as the same text: the text is its identity.
#[test]
fn ticket() {
    check!().for_each(|bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        if let Ok(ticket) = text.parse::<Ticket>() {
            assert_eq!(ticket.to_string(), text);
        }
    });
}

/// Every ticket reads back as itself.
#[test]
fn ticket_round_trip() {
    check!()
        .with_type::<(u128, u128, u8)>()
        .for_each(|(tenant, connection, stream)| {
            let stream = Stream::ALL[usize::from(*stream) % Stream::ALL.len()];
            let ticket = Ticket::new(
                TenantId(Uuid::from_u128(*tenant)),
                ConnectionId(Uuid::from_u128(*connection)),
                stream,
            );
            assert_eq!(ticket.to_string().parse(), Ok(ticket));
        });
}
