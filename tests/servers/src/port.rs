//! Picks a free loopback port.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use crate::Error;

/// Below the range that Linux (32768–60999) and macOS (49152–65535) hand out by
/// themselves. A server that is stopped for a while and started again on its own
/// port must not find it taken by an outgoing connection of another process.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port without a listener, and none that the system gives to connections. Another process may still
/// take it first, so a server that cannot bind it is started again on another one.
///
/// # Errors
/// [`Error::NoPort`]: of many tried, none was free.
pub fn free_port() -> Result<u16, Error> {
    (0..200)
        .map(|_| FIRST + random_below(COUNT))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or(Error::NoPort)
}

/// Each `RandomState` is keyed afresh, which is random enough to spread ports.
fn random_below(bound: u16) -> u16 {
    let number = RandomState::new().hash_one(std::process::id()) % u64::from(bound);
    u16::try_from(number).unwrap_or(0)
}
