//! `pathbound keys`: which keys seal what is stored, and sealing the tokens anew with the first key.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    config::{Config, ProcessRole},
    domain::{ConnectionId, TenantId},
    store::{OauthStore, OperatorStore, SealingKey},
    sync::{CONCURRENCY, Rotated, rotate_keys},
    vault::KeyRing,
};

use crate::{
    cli::KeysCommand,
    failure::Failure,
    output::{self, Format, Table, counted},
};

/// A key, and what it has sealed.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct KeyView {
    kid: String,
    state: KeyState,
    tokens: i64,
    answers: i64,
}

/// What a rotation has done, or would do.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct RotatedKeys {
    /// The first key, which seals.
    kid: String,
    resealed: i64,
    unreadable: Vec<UnreadableView>,
    dry_run: bool,
}

/// A token that none of the keys opens.
#[derive(Debug, JsonSchema, Serialize)]
struct UnreadableView {
    #[schemars(with = "uuid::Uuid")]
    tenant_id: TenantId,
    #[schemars(with = "uuid::Uuid")]
    connection_id: ConnectionId,
    reason: String,
}

/// What a key of the list does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyState {
    /// The first of `encryption_keys`, which seals.
    First,
    /// Another of `encryption_keys`, which opens.
    Other,
    /// Not among them, so what it has sealed cannot be opened.
    Missing,
}

/// Shows or rotates. It makes no call to a running process, but works in the database itself.
///
/// # Errors
/// If Postgres cannot be reached, a key is missing, or a token cannot be opened.
pub async fn run(file: Option<&Path>, format: Format, command: KeysCommand) -> Result<(), Failure> {
    // A worker's configuration has the keys and the database, and nothing that only a listener needs.
    let config = super::load(file, ProcessRole::Worker)?;
    let ring = KeyRing::parse(config.encryption_keys.expose())
        .map_err(|error| Failure::Setting(error.to_string()))?;
    let operator = OperatorStore::connect(&config.database, 1).await?;
    match command {
        KeysCommand::Status => status(&operator, &ring, format).await,
        KeysCommand::Rotate { dry_run } => rotate(&config, &operator, &ring, format, dry_run).await,
    }
}

async fn status(operator: &OperatorStore, ring: &KeyRing, format: Format) -> Result<(), Failure> {
    let keys = keys_of(ring, operator.sealing_keys().await?);
    let mut table = Table::new(&["key", "state", "tokens", "stored answers"]);
    for key in &keys {
        table.row([
            key.kid.clone(),
            match key.state {
                KeyState::First => "first, seals".to_owned(),
                KeyState::Other => "opens".to_owned(),
                KeyState::Missing => "missing".to_owned(),
            },
            key.tokens.to_string(),
            key.answers.to_string(),
        ]);
    }
    output::show(format, &table, &keys)?;
    let missing = keys.iter().filter(|key| key.state == KeyState::Missing);
    let kids: Vec<&str> = missing.map(|key| key.kid.as_str()).collect();
    if kids.is_empty() {
        return Ok(());
    }
    Err(Failure::because(format!(
        "what was sealed with {} cannot be opened, so add the key to encryption_keys again",
        kids.join(", ")
    )))
}

/// The keys of the ring in their order, then those that are missing.
fn keys_of(ring: &KeyRing, stored: Vec<SealingKey>) -> Vec<KeyView> {
    let mut keys: Vec<KeyView> = ring
        .kids()
        .enumerate()
        .map(|(number, kid)| KeyView {
            kid: kid.to_owned(),
            state: if number == 0 {
                KeyState::First
            } else {
                KeyState::Other
            },
            tokens: 0,
            answers: 0,
        })
        .collect();
    for SealingKey {
        kid,
        tokens,
        answers,
    } in stored
    {
        match keys.iter_mut().find(|key| key.kid == kid) {
            Some(key) => (key.tokens, key.answers) = (tokens, answers),
            None => keys.push(KeyView {
                kid,
                state: KeyState::Missing,
                tokens,
                answers,
            }),
        }
    }
    keys
}

async fn rotate(
    config: &Config,
    operator: &OperatorStore,
    ring: &KeyRing,
    format: Format,
    dry_run: bool,
) -> Result<(), Failure> {
    let sessions = u32::try_from(CONCURRENCY).unwrap_or(1);
    let oauth = OauthStore::connect(&config.database, sessions).await?;
    let Rotated {
        resealed,
        unreadable,
    } = rotate_keys(operator, &oauth, ring, dry_run)
        .await
        .map_err(|error| Failure::failed("the rotation ended early, so run it again", error))?;
    let mut table = Table::new(&[
        "first key",
        if dry_run {
            "would be sealed"
        } else {
            "sealed anew"
        },
        "unreadable",
    ]);
    table.row([
        ring.primary().to_owned(),
        resealed.to_string(),
        unreadable.len().to_string(),
    ]);
    let left = unreadable.iter().map(|token| UnreadableView {
        tenant_id: token.tenant,
        connection_id: token.connection,
        reason: token.error.to_string(),
    });
    let rotated = RotatedKeys {
        kid: ring.primary().to_owned(),
        resealed: i64::try_from(resealed).unwrap_or(i64::MAX),
        unreadable: left.collect(),
        dry_run,
    };
    output::show(format, &table, &rotated)?;
    for token in &unreadable {
        eprintln!(
            "tenant {}, connection {}: {}",
            token.tenant, token.connection, token.error
        );
    }
    if unreadable.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(unreadable.len()).unwrap_or(i64::MAX);
    Err(Failure::Partly(format!(
        "{} cannot be opened, so add the missing key, or let their tenants connect again",
        counted(count, "token")
    )))
}
