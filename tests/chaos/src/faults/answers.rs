//! Answers of Intercom that mislead: odd pages, broken objects, rate limits.

use intercom_simulator::{FaultAction, Garble};
use rand::{Rng, rngs::StdRng};

/// 200, and nothing that the endpoint gives.
pub(super) fn no_page(rng: &mut StdRng) -> FaultAction {
    let bodies = ["", "{}", "[]", "null", r#"{"type": "list"}"#, "ok"];
    FaultAction::Raw {
        status: 200,
        body: bodies[rng.random_range(0..bodies.len())].into(),
        headers: Vec::new(),
    }
}

pub(super) fn odd_page(rng: &mut StdRng) -> FaultAction {
    match rng.random_range(0..3) {
        0 => FaultAction::RepeatCursor,
        1 => FaultAction::Unsorted,
        _ => FaultAction::CursorInUrl,
    }
}

/// 429. What `Retry-After` says is at most 3 s, if it says anything at all.
pub(super) fn throttled(rng: &mut StdRng) -> FaultAction {
    let waits = ["", "0", "1", "3", "-5", "soon", "99999999999999999999"];
    let wait = waits[rng.random_range(0..waits.len())];
    let headers = [
        ("retry-after", wait),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "0"),
    ];
    FaultAction::Status {
        status: 429,
        body: None,
        headers: headers
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

/// The next full walk reads the object again.
pub(super) fn broken_object(rng: &mut StdRng) -> FaultAction {
    let ways = [
        Garble::WrongTypes,
        Garble::NotAnObject,
        Garble::Null,
        Garble::NoId,
        Garble::NulCharacter,
        Garble::LoneSurrogate,
        Garble::Deep,
        Garble::Huge,
    ];
    FaultAction::Garble {
        how: ways[rng.random_range(0..ways.len())],
        id: None,
        place: rng.random_range(0..5),
        part: false,
    }
}

/// The first contact of a page comes without its companies, or with a list that is none.
pub(super) fn missing_list(rng: &mut StdRng) -> FaultAction {
    let value = match rng.random_range(0..3) {
        0 => None,
        1 => Some(serde_json::Value::Null),
        _ => Some(serde_json::json!({"type": "list"})),
    };
    FaultAction::Edit {
        id: None,
        pointer: "/data/0/companies".to_owned(),
        value,
    }
}
