//! Access tokens and OAuth codes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use serde::{Deserialize, Serialize};

use crate::errors::ApiError;
use crate::generate::mix;
use crate::rate::lock;
use crate::workspace::Inner;

/// What a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It works.
    Valid,
    /// 401 `token_revoked`: the user uninstalled the app.
    Revoked,
    /// 401 `token_expired`.
    Expired,
    /// 401 `token_suspended`: the app is suspended.
    Suspended,
    /// 401 `token_blocked`: the app is blocked.
    Blocked,
    /// 401 `token_not_found`.
    NotFound,
}

impl TokenState {
    fn error(self) -> Option<ApiError> {
        let (code, message) = match self {
            Self::Valid => return None,
            Self::Revoked => ("token_revoked", "Token revoked"),
            Self::Expired => ("token_expired", "Token expired"),
            Self::Suspended => ("token_suspended", "suspended application"),
            Self::Blocked => ("token_blocked", "Token blocked"),
            Self::NotFound => ("token_not_found", "Token not found"),
        };
        Some(ApiError::new(401, code, message))
    }
}

/// Seconds that an OAuth code lives.
const CODE_LIFE: i64 = 300;

/// All tokens and codes of a simulator.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    tokens: RwLock<HashMap<String, Token>>,
    codes: Mutex<HashMap<String, Code>>,
    issued: Mutex<u64>,
}

#[derive(Debug, Clone)]
struct Token {
    workspace: Arc<Inner>,
    state: TokenState,
}

#[derive(Debug)]
struct Code {
    workspace: Arc<Inner>,
    made_at: i64,
}

impl Keys {
    /// A new valid token of a workspace.
    pub(crate) fn issue(&self, workspace: &Arc<Inner>) -> String {
        let mut issued = lock(&self.issued);
        *issued += 1;
        let tag = workspace.world.tag;
        let text = format!(
            "dG9rOm{:016x}{:016x}",
            mix(tag, *issued),
            mix(tag ^ 0x5eed, *issued)
        );
        self.write().insert(
            text.clone(),
            Token {
                workspace: Arc::clone(workspace),
                state: TokenState::Valid,
            },
        );
        text
    }

    /// Sets the state of all tokens that a workspace has so far.
    pub(crate) fn set_state(&self, workspace: &Arc<Inner>, state: TokenState) {
        for token in self.write().values_mut() {
            if Arc::ptr_eq(&token.workspace, workspace) {
                token.state = state;
            }
        }
    }

    /// The workspace of an `Authorization` header, and what is wrong with the token, if
    /// anything is.
    pub(crate) fn look_up(&self, header: Option<&str>) -> (Option<Arc<Inner>>, Option<ApiError>) {
        let unknown = || ApiError::new(401, "unauthorized", "Access Token Invalid");
        let Some(header) = header else {
            let missing = ApiError::new(401, "missing_authorization", "Authorization missing");
            return (None, Some(missing));
        };
        let Some(text) = header.strip_prefix("Bearer ") else {
            return (None, Some(unknown()));
        };
        let tokens = self.tokens.read();
        match tokens.get(text.trim()) {
            Some(token) => (Some(Arc::clone(&token.workspace)), token.state.error()),
            None => (None, Some(unknown())),
        }
    }

    /// A code that can be exchanged once within five minutes.
    pub(crate) fn issue_code(&self, workspace: &Arc<Inner>, now: i64) -> String {
        let mut issued = lock(&self.issued);
        *issued += 1;
        let text = format!("{:016x}{:016x}", mix(0xc0de, *issued), mix(*issued, 0xc0de));
        lock(&self.codes).insert(
            text.clone(),
            Code {
                workspace: Arc::clone(workspace),
                made_at: now,
            },
        );
        text
    }

    /// Takes a code. `None`: unknown, used or too old.
    pub(crate) fn redeem(&self, code: &str, now: i64) -> Option<Arc<Inner>> {
        let code = lock(&self.codes).remove(code)?;
        (now - code.made_at <= CODE_LIFE).then_some(code.workspace)
    }

    fn write(&self) -> parking_lot::RwLockWriteGuard<'_, HashMap<String, Token>> {
        self.tokens.write()
    }
}
