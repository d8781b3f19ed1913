//! Trains the dictionaries of raw records: `make dictionaries` writes one file per kind to `target/dictionaries`.
//!
//! The samples are the simulator's records with their texts disguised, so that a dictionary learns Intercom's keys,
//! forms and words, and none of the simulator's texts. Figures that are measured with the simulator therefore hold for
//! texts that no dictionary has seen. Equal seeds give equal files, whenever they are made.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use intercom_simulator::{Kind, Options, Simulator, WorkspaceSpec};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use serde_json::value::RawValue;

const SEED: u64 = 20_261_129;
/// Larger dictionaries save nothing more: the keys of a kind have about two kilobytes.
const DICTIONARY_BYTES: usize = 8 << 10;
/// Samples of a kind. zstd asks for a hundred times the dictionary's size.
const SAMPLES: usize = 3_000;
/// Shorter numbers are counts, which are typical. Longer ones are times and ids.
const LONG_NUMBER: usize = 6;
/// Ids of contacts, companies and segments are hexadecimal, and longer than such a word.
const ID_LEN: usize = 16;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("name the folder for the dictionaries")?;
    std::fs::create_dir_all(&folder)?;
    for (kind, records) in records().await? {
        let mut rng = SmallRng::seed_from_u64(SEED);
        let samples: Vec<String> = records
            .iter()
            .take(SAMPLES)
            .map(|record| disguise(record, &mut rng))
            .collect();
        let dictionary = zstd::dict::from_samples(&samples, DICTIONARY_BYTES)?;
        let file = Path::new(&folder).join(format!("{kind}.zdict"));
        std::fs::write(&file, &dictionary)?;
        println!(
            "{}: {} bytes from {} records",
            file.display(),
            dictionary.len(),
            samples.len()
        );
    }
    Ok(())
}

/// The records of a generated workspace, by kind.
async fn records() -> Result<BTreeMap<&'static str, Vec<String>>, Box<dyn Error>> {
    let simulator = Simulator::start(Options::default()).await?;
    let workspace = simulator.add_workspace(WorkspaceSpec {
        seed: SEED,
        contacts: 3_000,
        companies: 3_000,
        conversations: 3_000,
        parts: 1.0,
        ..WorkspaceSpec::default()
    });
    let mut records: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in workspace.truth() {
        let object = line.object.get();
        let kind = match line.kind {
            Kind::Contact => "contact",
            Kind::Company => "company",
            Kind::Conversation => "conversation",
            Kind::Part => "part",
            _ => continue,
        };
        records.entry(kind).or_default().push(object.to_owned());
        // The first message of a conversation is stored as a part.
        if let Some(message) = first_message(object) {
            records.entry("part").or_default().push(message);
        }
    }
    simulator.stop().await;
    Ok(records)
}

fn first_message(conversation: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Conversation<'a> {
        #[serde(borrow)]
        source: &'a RawValue,
    }
    let conversation: Conversation<'_> = serde_json::from_str(conversation).ok()?;
    Some(conversation.source.get().to_owned())
}

/// The record with the same form and other texts, times and ids.
fn disguise(record: &str, rng: &mut SmallRng) -> String {
    let mut disguised = String::with_capacity(record.len());
    let mut rest = record;
    while let Some(quote) = rest.find('"') {
        let (before, text) = rest.split_at(quote + 1);
        disguised.push_str(&other_numbers(before, rng));
        let (text, after) = text.split_at(text_len(text));
        // A key stays if it is one of Intercom's. The customer's attributes have other names.
        if after.starts_with("\":") && is_intercoms(text) {
            disguised.push_str(text);
        } else {
            disguised.push_str(&other_text(text, rng));
        }
        disguised.push('"');
        rest = &after[1..];
    }
    disguised + &other_numbers(rest, rng)
}

/// Bytes up to the quote that ends the text.
fn text_len(text: &str) -> usize {
    let mut escaped = false;
    text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
    .unwrap_or(text.len())
}

/// Words like `conversation_part`, `tag.list` and `https:`.
fn is_intercoms(word: &str) -> bool {
    word.chars()
        .all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.' | ':'))
}

/// Replaces letters and digits, and leaves markup, Intercom's words, and such words between slashes.
fn other_text(text: &str, rng: &mut SmallRng) -> String {
    let mut other = String::with_capacity(text.len());
    for piece in text.split_inclusive('>') {
        let (words, tag) = piece.split_at(piece.find('<').unwrap_or(piece.len()));
        let words = words.split('/').map(|word| other_word(word, rng));
        other.push_str(&words.collect::<Vec<String>>().join("/"));
        other.push_str(tag);
    }
    other
}

fn other_word(word: &str, rng: &mut SmallRng) -> String {
    if is_intercoms(word) {
        return word.to_owned();
    }
    // Which digits of an id are letters depends on the time in it.
    let is_id = word.len() >= ID_LEN && word.bytes().all(|c| c.is_ascii_hexdigit());
    let mut escaped = false;
    let other = |c: char| {
        let kept = escaped;
        escaped = c == '\\' && !escaped;
        match c {
            c if kept => c,
            _ if is_id => char::from_digit(rng.random_range(0..16), 16).unwrap_or(c),
            c => other_char(c, rng),
        }
    };
    word.chars().map(other).collect()
}

fn other_char(c: char, rng: &mut SmallRng) -> char {
    let range = match c {
        '0'..='9' => b'0'..=b'9',
        'A'..='Z' => b'A'..=b'Z',
        c if c.is_alphabetic() => b'a'..=b'z',
        _ => return c,
    };
    char::from(rng.random_range(range))
}

/// Replaces all but the first digit of long numbers.
fn other_numbers(json: &str, rng: &mut SmallRng) -> String {
    let mut other = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        let digits = number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(number.len());
        let (number, after) = number.split_at(digits);
        other.push_str(before);
        let kept = if digits < LONG_NUMBER { digits } else { 1 };
        other.push_str(&number[..kept]);
        other.extend(number[kept..].chars().map(|c| other_char(c, rng)));
        rest = after;
    }
    other + rest
}
