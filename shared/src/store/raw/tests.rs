use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

const KINDS: [RawKind; 4] = [
    RawKind::Contact,
    RawKind::Company,
    RawKind::Conversation,
    RawKind::Part,
];

const PART: &str = r#"{"type":"conversation_part","id":"71","part_type":"comment","body":"<p>Grüße</p>","created_at":1766960511,"updated_at":1766960511,"notified_at":1766960511,"assigned_to":null,"author":{"type":"admin","id":"49038246","name":"Ada","email":"ada@example.com","from_ai_agent":false,"is_ai_answer":false},"attachments":[],"external_id":null,"redacted":false,"email_message_metadata":null,"metadata":null,"state":"open","tags":[],"event_details":null,"app_package_code":null}"#;

/// Bytes of every nature: records, noise, one byte repeated, and mixtures.
fn any_bytes(rng: &mut StdRng) -> Vec<u8> {
    let pieces = rng.random_range(0..4);
    let mut bytes = Vec::new();
    for _ in 0..pieces {
        let count = rng.random_range(0..3_000);
        match rng.random_range(0..3) {
            0 => bytes.extend_from_slice(&PART.as_bytes()[rng.random_range(0..PART.len())..]),
            1 => bytes.extend((0..count).map(|_| rng.random::<u8>())),
            _ => bytes.resize(bytes.len() + count * 100, rng.random()),
        }
    }
    bytes
}

#[test]
fn any_bytes_come_back_as_they_were() {
    for seed in 0..500 {
        let raw = any_bytes(&mut StdRng::seed_from_u64(seed));
        for kind in KINDS {
            let stored = pack(kind, &raw);
            assert!(stored.len() <= raw.len() + 1, "seed {seed}");
            assert_eq!(unpack(&stored).unwrap(), raw, "seed {seed}, {kind:?}");
        }
    }
}

#[test]
fn an_empty_record_stays_empty() {
    for kind in KINDS {
        assert!(pack(kind, b"").is_empty());
    }
    assert!(unpack(b"").unwrap().is_empty());
}

#[test]
fn a_record_is_stored_in_a_third_of_its_bytes() {
    let stored = pack(RawKind::Part, PART.as_bytes());
    assert!(stored.len() * 3 < PART.len(), "{} bytes", stored.len());
    assert_eq!(stored[0], 4);
}

#[test]
fn a_giant_comes_back_and_so_does_the_record_after_it() {
    let parts = (0..20_000).map(|id| PART.replace("71", &id.to_string()));
    let giant = parts.collect::<String>().into_bytes();
    let stored = pack(RawKind::Part, &giant);
    assert!(stored.len() * 10 < giant.len(), "{} bytes", stored.len());
    assert_eq!(unpack(&stored).unwrap(), giant);
    let small = pack(RawKind::Part, PART.as_bytes());
    assert_eq!(unpack(&small).unwrap(), PART.as_bytes());
}

#[test]
fn a_truncated_record_is_refused() {
    let stored = pack(RawKind::Part, PART.as_bytes());
    for len in 1..stored.len() {
        assert!(unpack(&stored[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_damaged_record_gives_an_error_or_other_bytes_of_its_size() {
    let stored = pack(RawKind::Part, PART.as_bytes());
    let (mut refused, mut other) = (0, 0);
    for bit in 0..stored.len() * 8 {
        let mut damaged = stored.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        match unpack(&damaged) {
            Ok(raw) => {
                // What a flipped length can claim is bounded by what the bytes could hold.
                assert!(raw.len() as u64 <= (stored.len() as u64 / 4 + 1) * BLOCK_BYTES);
                other += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0 && other > 0, "{refused} refused, {other} other");
}

/// A frame's header: the magic number, eight bytes of size, and no dictionary.
fn frame_that_claims(bytes: u64) -> Vec<u8> {
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
    [&[4], &header[..], &bytes.to_le_bytes(), &[1, 0, 0]].concat()
}

#[test]
fn what_the_bytes_cannot_hold_is_refused_before_it_is_allocated() {
    for claimed in [u64::MAX - 2, 1 << 40, MAX_BYTES + 1, 1 << 20] {
        let refused = unpack(&frame_that_claims(claimed));
        assert!(
            matches!(refused, Err(RawError::Impossible { claimed: said, .. }) if said == claimed),
            "{claimed}: {refused:?}"
        );
    }
    // Few enough to be tried, and not there.
    assert!(matches!(
        unpack(&frame_that_claims(1 << 10)),
        Err(RawError::Corrupt(_))
    ));
}

#[test]
fn a_frame_without_a_size_is_refused() {
    let streamed = [4, 0x28, 0xb5, 0x2f, 0xfd, 0, 0x58, 1, 0, 0];
    assert!(matches!(unpack(&streamed), Err(RawError::Corrupt(_))));
}

#[test]
fn a_format_of_a_newer_build_is_named() {
    let refused = unpack(&[200, 1, 2, 3]);
    assert!(matches!(refused, Err(RawError::UnknownFormat(200))));
}

/// What earlier builds have stored. A line is added with each new format, and none is ever changed: if one fails, a
/// released dictionary was changed, and stored records are lost.
#[test]
fn records_of_earlier_builds_are_readable() {
    for line in include_str!("stored_earlier.txt").lines() {
        let (stored, raw) = line.split_once(' ').unwrap();
        assert_eq!(unpack(&from_hex(stored)).unwrap(), raw.as_bytes(), "{line}");
    }
    let formats: Vec<&str> = include_str!("stored_earlier.txt")
        .lines()
        .map(|line| &line[..2])
        .collect();
    assert_eq!(formats, ["00", "01", "02", "03", "04"]);
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = |place| u8::from_str_radix(&text[place..place + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}
