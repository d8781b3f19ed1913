//! Seals the access tokens of all tenants anew with the first key of the ring, while everything runs.
//!
//! A blob names its key, and each process opens with any key of the ring, so a token works before, during and after. A
//! run that ends early leaves tokens of both keys, and the next run goes on with what is left.

use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    domain::{ConnectionId, TenantId},
    store::{OauthStore, OperatorStore, StoreError},
    vault::{KeyRing, OpenError, SealContext, SealError},
};

/// Connections that are listed at once.
const PAGE: i32 = 500;
/// Transactions at once. Each holds a session for a moment.
pub const CONCURRENCY: usize = 4;

/// What a rotation has done.
#[derive(Debug, Default)]
pub struct Rotated {
    /// Tokens that the first key seals now.
    pub resealed: u64,
    /// Tokens that cannot be opened. They are left as they are, and their connections have to be connected again.
    pub unreadable: Vec<UnreadableToken>,
}

/// A token that no key of the ring opens.
#[derive(Debug)]
pub struct UnreadableToken {
    pub tenant: TenantId,
    pub connection: ConnectionId,
    pub error: OpenError,
}

/// Why a rotation ended early. What was sealed anew stays so.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Seals every token that another key sealed. `rehearsed` opens and seals, and stores nothing.
///
/// # Errors
/// If Postgres cannot be reached, or nothing can be sealed.
pub async fn rotate_keys(
    operator: &OperatorStore,
    oauth: &OauthStore,
    vault: &KeyRing,
    rehearsed: bool,
) -> Result<Rotated, RotateError> {
    let mut rotated = Rotated::default();
    let mut after = None;
    loop {
        let page = operator
            .tokens_of_other_keys(vault.primary(), after, PAGE)
            .await?;
        let Some(last) = page.last() else {
            break;
        };
        after = Some(*last);
        let mut page = stream::iter(page)
            .map(|(tenant, connection)| reseal(oauth, vault, tenant, connection, rehearsed))
            .buffer_unordered(CONCURRENCY);
        while let Some(resealed) = page.try_next().await? {
            match resealed {
                Resealed::Done => rotated.resealed += 1,
                Resealed::Gone => {}
                Resealed::Unreadable(token) => rotated.unreadable.push(token),
            }
        }
    }
    Ok(rotated)
}

enum Resealed {
    Done,
    /// The connection has ended, or was connected again meanwhile.
    Gone,
    Unreadable(UnreadableToken),
}

async fn reseal(
    oauth: &OauthStore,
    vault: &KeyRing,
    tenant: TenantId,
    connection: ConnectionId,
    rehearsed: bool,
) -> Result<Resealed, RotateError> {
    let mut tx = oauth.begin(tenant).await?;
    // Locked, because a person may connect the workspace again at this moment, and the newer token must stay.
    let Some(sealed) = tx.lock_access_token(connection).await? else {
        return Ok(Resealed::Gone);
    };
    let context = SealContext::access_token(tenant, connection);
    let token = match vault.open(&context, &sealed) {
        Ok(token) => token,
        Err(error) => {
            return Ok(Resealed::Unreadable(UnreadableToken {
                tenant,
                connection,
                error,
            }));
        }
    };
    let sealed = vault.seal(&context, &token)?;
    if !rehearsed {
        tx.put_access_token(connection, &sealed).await?;
        tx.commit().await?;
    }
    Ok(Resealed::Done)
}
