//! Why a tool gives no answer: a sentence that says what is wrong and what to call instead.
//!
//! With `isError` some clients pass on the text alone, so the text is complete.

use rmcp::model::{CallToolResult, ContentBlock};
use shared::store::StoreError;

use super::untrusted::plain;
use crate::{caller::KeyScope, error::ApiError};

/// Bytes of a sentence of a library that is quoted.
const MAX_QUOTE: usize = 300;

/// The sentence.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

impl Refusal {
    /// One argument is wrong. `fix` follows the argument's name, as in "must be a contact's id".
    pub(super) fn argument(name: &str, fix: &str) -> Self {
        Self(format!(
            "The argument `{}` {}.",
            plain(name, MAX_QUOTE),
            plain(fix, MAX_QUOTE)
        ))
    }

    /// The tenant has no such object, or another tenant has it.
    pub(super) fn unknown(what: &str, fix: &str) -> Self {
        Self(format!("There is no {what}. {fix}"))
    }

    /// The key may not read this.
    pub(super) fn missing_scope(scope: KeyScope) -> Self {
        Self(format!(
            "The key or token lacks the scope `{scope}`, so this cannot be read with it. Use one that has it."
        ))
    }

    pub(super) fn into_result(self) -> CallToolResult {
        CallToolResult::error(vec![ContentBlock::text(self.0)])
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let problem = error.into_problem();
        let mut text = problem.detail;
        for fault in problem.errors {
            text.push_str(&format!(" `{}`: {}.", fault.field, fault.detail));
        }
        Self(text)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}
