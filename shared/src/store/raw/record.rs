//! Records whose raw bytes are packed before they come to the store.

use xxhash_rust::xxh3::xxh3_64;

use super::{RawKind, pack};
use crate::domain::{
    RawRecord, ThreadPart,
    records::{Company, Contact, Conversation, Part},
};

/// A record that can be packed ahead of its transaction. The store packs what has not been.
pub trait PackRaw {
    fn pack_raw(&mut self);
}

macro_rules! pack_raw {
    ($($record:ident),+) => {
        $(impl PackRaw for $record {
            fn pack_raw(&mut self) {
                pack_record(RawKind::$record, &mut self.raw);
            }
        })+
    };
}

pack_raw!(Contact, Company, Part);

impl PackRaw for Conversation {
    fn pack_raw(&mut self) {
        pack_record(RawKind::Conversation, &mut self.raw);
        if let Some(message) = &mut self.first_message {
            message.pack_raw();
        }
    }
}

impl PackRaw for ThreadPart {
    fn pack_raw(&mut self) {
        // The parts of a giant stay in their answer.
        if let Self::Read(part) = self {
            part.pack_raw();
        }
    }
}

fn pack_record(kind: RawKind, raw: &mut RawRecord) {
    if let RawRecord::Sent(text) = raw {
        *raw = RawRecord::Packed {
            digest: digest_of(text),
            bytes: pack(kind, text.as_bytes()),
        };
    }
}

/// A digest of a record's bytes as they were sent. Versions of a record that differ have different digests.
pub(in crate::store) fn digest(raw: &RawRecord) -> i64 {
    match raw {
        RawRecord::Sent(text) => digest_of(text),
        RawRecord::Packed { digest, .. } => *digest,
    }
}

/// The bytes as they are stored.
pub(in crate::store) fn packed(kind: RawKind, raw: RawRecord) -> Vec<u8> {
    match raw {
        RawRecord::Sent(text) => pack(kind, text.as_bytes()),
        RawRecord::Packed { bytes, .. } => bytes,
    }
}

fn digest_of(text: &str) -> i64 {
    xxh3_64(text.as_bytes()).cast_signed()
}
