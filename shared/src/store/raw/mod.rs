//! Raw source records as they are stored: compressed with a dictionary of Intercom's forms.
//!
//! A record is small and mostly keys. zstd alone finds few repetitions in it, and Postgres compresses no row below two
//! kilobytes at all. A dictionary that holds the keys already makes a part 3.5 times smaller and a contact 6 times, for
//! about two microseconds per part and five per contact.
//!
//! The first byte of a stored record is its format.
//!
//! | first byte | what follows |
//! |---|---|
//! | 0 | the record as it was sent |
//! | 1 and more | a zstd frame that needs the dictionary of that number, with the record's size in its header |
//!
//! An empty record is stored as no bytes. A format that was released is readable for ever, so its dictionary never
//! changes. A better dictionary gets the next number (see `dictionaries.rs`).

mod codec;
mod dictionaries;
mod kind;
#[cfg(test)]
mod tests;

use std::io;

pub use kind::RawKind;

use super::StoreError;

/// The format of a record that no dictionary makes smaller.
const PLAIN: u8 = 0;

/// Records above this size are stored as they are, and a stored record that claims more is not read. An answer has at
/// most 32 MiB, and the repair of its text may triple that.
const MAX_BYTES: u64 = 96 << 20;

/// A block of zstd has at least four bytes and stands for at most this many.
const BLOCK_BYTES: u64 = 128 << 10;

/// Stored bytes that are no record.
#[derive(Debug, thiserror::Error)]
pub enum RawError {
    #[error(
        "raw record has format {0}, which this build does not know, so read it with a newer build"
    )]
    UnknownFormat(u8),
    #[error("raw record claims {claimed} bytes, which its {stored} stored bytes cannot hold")]
    Impossible { claimed: u64, stored: usize },
    #[error("raw record is no zstd frame of its size")]
    Corrupt(#[source] io::Error),
}

/// A record as it is stored, for what only some readers need of it.
#[derive(Clone, Debug, Default)]
pub struct PackedRaw(pub(super) Vec<u8>);

impl PackedRaw {
    /// The record as text.
    ///
    /// # Errors
    /// See [`unpack`].
    pub fn text(&self) -> Result<String, RawError> {
        let raw = unpack(&self.0)?;
        Ok(String::from_utf8(raw)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

/// The form in which a record is stored.
#[must_use]
pub fn pack(kind: RawKind, raw: &[u8]) -> Vec<u8> {
    if raw.is_empty() {
        return Vec::new();
    }
    // A failure to compress is no reason to lose a record.
    let packed = if raw.len() as u64 <= MAX_BYTES {
        codec::compress(dictionaries::newest(kind), raw).ok()
    } else {
        None
    };
    packed
        .filter(|packed| packed.len() <= raw.len())
        .unwrap_or_else(|| [&[PLAIN], raw].concat())
}

/// The record, exactly as it was sent. It takes memory for what the stored bytes can hold, whatever they claim.
///
/// # Errors
/// When the bytes are damaged, or a newer build has written them. Damage may also give other bytes, because there is
/// no checksum: Postgres has one for each page.
pub fn unpack(stored: &[u8]) -> Result<Vec<u8>, RawError> {
    let Some((&format, frame)) = stored.split_first() else {
        return Ok(Vec::new());
    };
    if format == PLAIN {
        return Ok(frame.to_vec());
    }
    let dictionary = dictionaries::of(format).ok_or(RawError::UnknownFormat(format))?;
    codec::decompress(dictionary, frame, claimed_bytes(frame)?).map_err(RawError::Corrupt)
}

/// The record in a row of this table.
pub(super) fn read(table: &'static str, stored: &[u8]) -> Result<Vec<u8>, StoreError> {
    unpack(stored).map_err(|error| StoreError::Inconsistent {
        table,
        what: error.to_string(),
    })
}

/// The size in the frame's header, if the frame can hold so much.
fn claimed_bytes(frame: &[u8]) -> Result<usize, RawError> {
    let claimed = codec::content_size(frame).map_err(RawError::Corrupt)?;
    let possible = (frame.len() as u64 / 4 + 1).saturating_mul(BLOCK_BYTES);
    match usize::try_from(claimed) {
        Ok(bytes) if claimed <= possible.min(MAX_BYTES) => Ok(bytes),
        _ => Err(RawError::Impossible {
            claimed,
            stored: frame.len(),
        }),
    }
}
