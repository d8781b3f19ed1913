//! Bad answers and late ones.

use intercom_simulator::{Fault, FaultAction, Garble};

/// An error, in the words of Intercom's reference.
pub(crate) fn refusal(status: u16, code: &str) -> FaultAction {
    FaultAction::refusal(status, code)
}

/// A page that a proxy or a firewall sends in Intercom's place.
pub(crate) const fn proxy_page(status: u16) -> FaultAction {
    FaultAction::Html { status }
}

/// These bytes, whatever they are.
pub(crate) const fn raw(status: u16, body: Vec<u8>) -> FaultAction {
    FaultAction::Raw {
        status,
        body,
        headers: Vec::new(),
    }
}

/// An object that cannot be read, at this place of a page.
pub(crate) fn garbled(how: Garble, place: usize) -> Fault {
    Fault::new(FaultAction::Garble {
        how,
        id: None,
        place,
        part: false,
    })
}

/// The answer waits until the fault is cleared.
pub(crate) fn held() -> Fault {
    Fault::new(FaultAction::Hold { after: 0 })
}

/// The answer comes long after the time limit of those tests that wait for it.
pub(crate) const fn hang() -> FaultAction {
    FaultAction::Delay { millis: 60_000 }
}

/// The answer begins in time and does not end.
pub(crate) const fn drip() -> FaultAction {
    FaultAction::Drip {
        bytes: 1,
        millis: 200,
    }
}
