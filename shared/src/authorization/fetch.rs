//! What an authorization server gives to everybody.

use reqwest::{Client, StatusCode, header::ACCEPT};

use crate::egress::{BodyFault, body_within};

/// Servers have a handful of keys, with certificates a few kilobytes each.
const MAX_BYTES: usize = 256 << 10;

/// What the server answers at an address.
///
/// # Errors
/// What is wrong with the answer.
pub(super) async fn get(http: &Client, url: &str) -> Result<Vec<u8>, &'static str> {
    let call = http.get(url).header(ACCEPT, "application/json");
    let answer = call.send().await.map_err(|_| "it does not answer")?;
    if answer.status() != StatusCode::OK {
        return Err("it does not answer with 200");
    }
    body_within(answer, MAX_BYTES)
        .await
        .map_err(|fault| match fault {
            BodyFault::BreaksOff(_) => "its answer breaks off",
            BodyFault::TooLong => "its answer is larger than 256 KiB",
        })
}
