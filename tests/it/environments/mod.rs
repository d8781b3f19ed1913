//! Servers and machines as they are elsewhere: every form of a URL, restricted logins, strict surroundings.

mod drains;
mod process;
mod ready;
mod redis;
mod sentinel;
mod signals;
