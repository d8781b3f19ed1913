//! `pathbound unpack`: raw records as Intercom sent them, from what `psql` shows of their columns.

use std::io::{self, BufRead, Write};

use shared::store::raw;

use crate::failure::Failure;

/// Reads stored records from stdin, one a line in hexadecimal digits, and prints each on a line of its own.
///
/// # Errors
/// If a line is no stored record.
pub fn run() -> Result<(), Failure> {
    print(io::stdin().lock(), io::stdout().lock())
}

fn print(stored: impl BufRead, mut to: impl Write) -> Result<(), Failure> {
    for (number, line) in stored.lines().enumerate() {
        let named = |what: &str| format!("line {} {what}", number + 1);
        let line = line.map_err(|error| Failure::failed("could not read stdin", error))?;
        let bytes = from_hex(line.trim()).ok_or_else(|| {
            Failure::because(named(
                "is not in hexadecimal digits, so select the column itself, with psql -At",
            ))
        })?;
        let record = raw::unpack(&bytes)
            .map_err(|error| Failure::failed(named("could not be unpacked"), error))?;
        to.write_all(&record)
            .and_then(|()| to.write_all(b"\n"))
            .map_err(|error| Failure::failed("could not write to stdout", error))?;
    }
    Ok(())
}

/// `psql` shows `bytea` as `\x` and two digits per byte.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes().chunks(2);
    digits
        .map(|pair| match pair {
            [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use shared::store::raw::{RawKind, pack};

    use super::*;

    fn printed(lines: &str) -> Result<String, String> {
        let mut printed = Vec::new();
        print(lines.as_bytes(), &mut printed).map_err(|failure| failure.line())?;
        Ok(String::from_utf8(printed).unwrap())
    }

    fn shown(record: &str) -> String {
        let stored = pack(RawKind::Part, record.as_bytes());
        let digits: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\\x{digits}\n")
    }

    #[test]
    fn each_line_is_printed_as_it_was_sent() {
        let records = [r#"{"type":"conversation_part","id":"1"}"#, "", "{}"];
        let lines: String = records.iter().map(|record| shown(record)).collect();
        assert_eq!(printed(&lines).unwrap(), records.join("\n") + "\n");
    }

    #[test]
    fn a_line_that_is_no_stored_record_is_named() {
        let good = shown("{}");
        for (bad, fault) in [
            ("{}", "line 2 is not in hexadecimal digits"),
            ("\\x0", "line 2 is not in hexadecimal digits"),
            ("\\x0g", "line 2 is not in hexadecimal digits"),
            (
                "\\xff00",
                "line 2 could not be unpacked: raw record has format 255",
            ),
        ] {
            let failure = printed(&format!("{good}{bad}\n")).unwrap_err();
            assert!(failure.starts_with(fault), "{failure}");
        }
    }
}
