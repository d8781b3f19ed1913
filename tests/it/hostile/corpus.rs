//! The corpus: a file per kind, and the few words by which a short line stands for a large entry.
//!
//! A line of a file is a fate (`# stored`), or the name of an entry and its bytes.
//!
//! | in an entry | stands for |
//! |---|---|
//! | `$hex(C3A9)` | bytes that are not printable text, or end a line |
//! | `$repeat(N,TEXT)` | TEXT, N times |
//! | `$noise(N)` | N letters and digits that nothing compresses |
//! | `$keys(N)` | N members, `"k0":0,"k1":1,…` |
//! | `$ID`, `$NOW`, … | values that the test sets: see [`Hostile::with`] |

use std::{fmt::Write as _, fs, path::Path};

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Hostile {
    pub(super) kind: String,
    /// What the product has to do with it.
    pub(super) fate: String,
    pub(super) name: String,
    bytes: Vec<u8>,
}

/// Every entry of a kind, in the order of their names.
pub(super) fn of(kind: &str) -> Vec<Hostile> {
    let text = fs::read_to_string(folder().join(format!("{kind}.txt"))).unwrap();
    let mut entries = Vec::new();
    let mut fate = "";
    for line in text.lines().filter(|line| !line.is_empty()) {
        // A fate holds for all entries below it.
        if let Some(next) = line.strip_prefix("# ") {
            fate = next;
            continue;
        }
        // An answer without a body is a name alone.
        let (name, bytes) = line.split_once(' ').unwrap_or((line, ""));
        entries.push(Hostile {
            kind: kind.to_owned(),
            fate: fate.to_owned(),
            name: name.to_owned(),
            bytes: unescaped(bytes),
        });
    }
    assert!(entries.len() >= 10, "{} entries of {kind}", entries.len());
    entries
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/it/hostile/corpus"))
}

/// Kinds that have a file.
fn kinds() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap();
    files
        .map(|file| file.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Puts the bytes of every `$hex(…)` in its place.
fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split("$hex(");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, after) = part.split_once(')').expect("a call ends with )");
        bytes.extend(digits.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).expect("text");
            u8::from_str_radix(pair, 16).expect("two hexadecimal digits")
        }));
        bytes.extend_from_slice(after.as_bytes());
    }
    bytes
}

impl Hostile {
    /// The bytes, with values for the names in them, and grown to their size.
    pub(super) fn with(&self, values: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for (name, value) in values {
            bytes = replace(&bytes, name.as_bytes(), value.as_bytes());
        }
        grow(&bytes)
    }
}

fn replace(bytes: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = find(rest, name) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(value);
        rest = &rest[at + name.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn grow(bytes: &[u8]) -> Vec<u8> {
    let mut grown = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        grown.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let call = ["$repeat(", "$noise(", "$keys("]
            .into_iter()
            .find(|call| rest.starts_with(call.as_bytes()));
        let Some(call) = call else {
            // A dollar that begins no call is itself.
            grown.push(b'$');
            rest = &rest[1..];
            continue;
        };
        let end = rest
            .iter()
            .position(|byte| *byte == b')')
            .expect("a call ends with )");
        let arguments = std::str::from_utf8(&rest[call.len()..end]).expect("text");
        let (count, text) = arguments.split_once(',').unwrap_or((arguments, ""));
        let count: usize = count.parse().expect("a number");
        match call {
            "$repeat(" => grown.extend_from_slice(text.repeat(count).as_bytes()),
            "$noise(" => grown.extend(noise(count)),
            _ => grown.extend_from_slice(keys(count).as_bytes()),
        }
        rest = &rest[end + 1..];
    }
    grown.extend_from_slice(rest);
    grown
}

/// Depends on the length alone, and no two lengths begin alike.
fn noise(count: usize) -> impl Iterator<Item = u8> {
    let mut state = count as u64 ^ 0x9e37_79b9_7f4a_7c15;
    (0..count).map(move |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        b"0123456789abcdefghijklmnopqrstuvwxyz"[(state >> 33) as usize % 36]
    })
}

fn keys(count: usize) -> String {
    let mut keys = String::new();
    for n in 0..count {
        let _ = write!(keys, "{}\"k{n}\":{n}", if n == 0 { "" } else { "," });
    }
    keys
}

#[test]
fn the_corpus_has_six_hundred_entries_and_a_line_may_be_large() {
    let count: usize = kinds().iter().map(|kind| of(kind).len()).sum();
    assert!(count >= 600, "{count}");
    assert_eq!(unescaped("a$hex(00ff)$b"), b"a\x00\xff$b");
    let entry = |bytes: &[u8]| Hostile {
        kind: String::new(),
        fate: String::new(),
        name: String::new(),
        bytes: bytes.to_vec(),
    };
    assert_eq!(
        entry(b"$ID$repeat(3,ab)\xff$").with(&[("$ID", "7")]),
        b"7ababab\xff$"
    );
    assert_eq!(entry(b"{$keys(2)}").with(&[]), br#"{"k0":0,"k1":1}"#);
    assert_eq!(entry(b"$noise(9000)").with(&[]).len(), 9000);
}
