//! Stored records: bytes in Postgres, which a person or a broken disk may have changed.

use shared::store::raw::{RawKind, pack, unpack as read};

const KINDS: [RawKind; 4] = [
    RawKind::Contact,
    RawKind::Company,
    RawKind::Conversation,
    RawKind::Part,
];

/// No bytes make the reading panic or give more than a frame of their size can hold. A flipped first byte is another
/// dictionary, so each of them is tried.
#[test]
fn unpack() {
    check!().for_each(|stored: &[u8]| {
        let frame = stored.get(1..).unwrap_or_default();
        for format in 0..=u8::try_from(KINDS.len()).unwrap() {
            if let Ok(raw) = read(&[&[format], frame].concat()) {
                assert!(raw.len() <= (frame.len() / 4 + 1) << 17);
                assert_eq!(read(&pack(RawKind::Part, &raw)).unwrap(), raw);
            }
        }
        let _ = read(stored);
    });
}

/// Every record comes back as it was.
#[test]
fn pack_round_trip() {
    check!().for_each(|raw: &[u8]| {
        for kind in KINDS {
            assert_eq!(read(&pack(kind, raw)).unwrap(), raw);
        }
    });
}
