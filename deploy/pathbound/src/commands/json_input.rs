//! JSON that a command sends on, from a file or from stdin.

use std::{io::Read, path::Path};

use serde_json::Value;

use crate::failure::Failure;

/// The JSON of a file, or of stdin for `-`.
///
/// # Errors
/// If it cannot be read, or is no JSON.
pub(super) fn read(path: &Path) -> Result<Value, Failure> {
    let unread = |error: std::io::Error| {
        Failure::Setting(format!("{} cannot be read: {error}", path.display()))
    };
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unread)?;
        text
    } else {
        std::fs::read_to_string(path).map_err(unread)?
    };
    serde_json::from_str(&text)
        .map_err(|error| Failure::Setting(format!("{} is no JSON: {error}", path.display())))
}
