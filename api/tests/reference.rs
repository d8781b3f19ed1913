//! `deploy/reference/openapi.json`: the committed description of the API. It is what the code describes. `make reference`
//! writes it anew.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

const FILE: &str = "deploy/reference/openapi.json";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

#[test]
fn the_description_is_fresh() {
    let path = root().join(FILE);
    let text = api::openapi::text();
    if std::env::var("REFERENCE").is_ok_and(|mode| mode == "write") {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{FILE} is stale: run `make reference` and commit the result"
    );
}
