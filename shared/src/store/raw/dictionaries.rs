//! The dictionaries, one per kind of record, by their number.
//!
//! A file that was released stays as it is, because stored records need it. To replace a dictionary, run
//! `make dictionaries`, add the new file under the next free number to `FILES`, and let [`newest`] return that number.
//! Old records are read with the old dictionary until they change.

use std::sync::LazyLock;

use zstd::dict::{DecoderDictionary, EncoderDictionary};

use super::kind::RawKind;

/// By number, which is the first byte of a stored record, with the level of zstd. Level 3 makes contacts 14 % and
/// conversations 8 % smaller. Parts gain 2 % for a third more time, and there are most of them.
const FILES: [(u8, i32, &[u8]); 4] = [
    (1, 3, include_bytes!("dictionaries/1-contact.zdict")),
    (2, 1, include_bytes!("dictionaries/2-company.zdict")),
    (3, 3, include_bytes!("dictionaries/3-conversation.zdict")),
    (4, 1, include_bytes!("dictionaries/4-part.zdict")),
];

/// Prepared once for all threads, which costs as much as packing some hundred records.
static PREPARED: LazyLock<Vec<Dictionary>> = LazyLock::new(|| {
    let prepare = |(number, level, bytes): (u8, i32, &[u8])| Dictionary {
        number,
        encoder: EncoderDictionary::copy(bytes, level),
        decoder: DecoderDictionary::copy(bytes),
    };
    FILES.into_iter().map(prepare).collect()
});

/// A dictionary, prepared for both directions.
pub(super) struct Dictionary {
    pub(super) number: u8,
    pub(super) encoder: EncoderDictionary<'static>,
    pub(super) decoder: DecoderDictionary<'static>,
}

/// The dictionary that new records of a kind are stored with.
pub(super) fn newest(kind: RawKind) -> &'static Dictionary {
    let number = match kind {
        RawKind::Contact => 1,
        RawKind::Company => 2,
        RawKind::Conversation => 3,
        RawKind::Part => 4,
    };
    of(number).expect("a kind names one of the files above")
}

/// The dictionary of this number.
pub(super) fn of(number: u8) -> Option<&'static Dictionary> {
    PREPARED.iter().find(|entry| entry.number == number)
}
