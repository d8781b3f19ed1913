//! Answers of tools, and how much they may hold.
//!
//! Clients cut what is too long wherever they like, so an answer is cut here, between two items, and says how many are
//! left and which call shows them. Some clients pass on the text and others the structured content, so each of the two
//! has all facts.

use rmcp::model::{CallToolResult, ContentBlock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{refusal::Refusal, render};
use crate::error::ApiError;

/// Bytes of a token, at the least: English has four, and other scripts have more.
const BYTES_PER_TOKEN: usize = 3;

/// Bytes of text and structured content together. Clients refuse larger answers as a whole.
const MAX_BYTES: usize = 64 << 10;

/// How much an answer shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Detail {
    /// What matters first, at most about 2,000 tokens.
    #[default]
    Concise,
    /// Everything, at most about 20,000 tokens.
    Detailed,
}

/// The call that shows what is left.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct NextCall {
    /// The name of the tool.
    tool: &'static str,
    /// Exactly as they must be sent.
    arguments: Map<String, Value>,
}

/// What a tool answers.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) text: String,
    structured: Value,
}

impl Detail {
    /// Bytes of the text, and of the structured content.
    const fn budget(self) -> usize {
        match self {
            Self::Concise => 2_000 * BYTES_PER_TOKEN,
            Self::Detailed => 20_000 * BYTES_PER_TOKEN,
        }
    }

    /// Bytes of one value, such as a name.
    pub(super) const fn value(self) -> usize {
        match self {
            Self::Concise => 120,
            Self::Detailed => 255,
        }
    }

    /// Bytes of a longer value, such as that of an attribute.
    pub(super) const fn long_value(self) -> usize {
        match self {
            Self::Concise => 240,
            Self::Detailed => 1_000,
        }
    }

    /// Items of a list inside an item, such as the addresses of a contact.
    pub(super) const fn items(self) -> usize {
        match self {
            Self::Concise => 3,
            Self::Detailed => 10,
        }
    }

    /// Items that are read for one answer. More never fit.
    pub(super) const fn page(self) -> usize {
        match self {
            Self::Concise => 30,
            Self::Detailed => 200,
        }
    }
}

impl NextCall {
    /// A call with these arguments, without those that are null.
    pub(super) fn new<const N: usize>(
        tool: &'static str,
        arguments: [(&'static str, Value); N],
    ) -> Self {
        Self::with(tool, arguments.into_iter())
    }

    /// The call with these arguments, which was answered with a page, for the page behind it.
    pub(super) fn following(
        tool: &'static str,
        arguments: &[(&'static str, Value)],
        cursor: String,
    ) -> Self {
        let cursor = ("cursor", Value::from(cursor));
        Self::with(tool, arguments.iter().cloned().chain([cursor]))
    }

    fn with(tool: &'static str, arguments: impl Iterator<Item = (&'static str, Value)>) -> Self {
        let arguments = arguments.filter(|(_, value)| !value.is_null());
        Self {
            tool,
            arguments: arguments
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }
}

impl Answer {
    /// The answer with as many of `count` items as fit. `shape` gives the answer with so many.
    ///
    /// At least one item is shown if there is any, so that each call comes further. No item is larger than a part of the
    /// budget, because the values in it are bounded.
    ///
    /// # Errors
    /// If `shape` fails, or if its answer cannot be written as JSON.
    pub(super) fn fitting<A: Serialize>(
        detail: Detail,
        count: usize,
        shape: impl Fn(usize) -> Result<A, Refusal>,
    ) -> Result<Self, Refusal> {
        let with = |items: usize| Self::of(&shape(items)?);
        let all = with(count)?;
        if count <= 1 || all.fits(detail) {
            return Ok(all);
        }
        let (mut fits, mut too_many) = (1, count);
        let mut best = with(fits)?;
        while too_many - fits > 1 {
            let middle = fits.midpoint(too_many);
            let tried = with(middle)?;
            if tried.fits(detail) {
                (fits, best) = (middle, tried);
            } else {
                too_many = middle;
            }
        }
        Ok(best)
    }

    fn of(answer: &impl Serialize) -> Result<Self, Refusal> {
        let written = || {
            let json = serde_json::to_string(answer)?;
            let (text, structured) = (render::text(&json)?, serde_json::from_str(&json)?);
            Ok(Self { text, structured })
        };
        written().map_err(|_: serde_json::Error| ApiError::internal().into())
    }

    fn fits(&self, detail: Detail) -> bool {
        let structured = self.structured.to_string().len();
        let larger = structured.max(self.text.len());
        larger <= detail.budget() && structured + self.text.len() <= MAX_BYTES
    }

    pub(super) fn into_result(self) -> CallToolResult {
        let mut result = CallToolResult::success(vec![ContentBlock::text(self.text)]);
        result.structured_content = Some(self.structured);
        result
    }
}

/// As many items of a list as an answer of this detail shows, and how many it leaves out.
pub(super) fn first<T>(mut items: Vec<T>, detail: Detail) -> (Vec<T>, usize) {
    let left_out = items.len().saturating_sub(detail.items());
    items.truncate(detail.items());
    (items, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sizes: &[usize], detail: Detail) -> usize {
        let answer = Answer::fitting(detail, sizes.len(), |items| {
            let texts: Vec<String> = sizes[..items]
                .iter()
                .map(|size| "x".repeat(*size))
                .collect();
            Ok(serde_json::json!({"items": texts}))
        });
        answer.unwrap().structured["items"]
            .as_array()
            .unwrap()
            .len()
    }

    #[test]
    fn an_answer_is_cut_between_items() {
        assert_eq!(of(&[], Detail::Concise), 0);
        assert_eq!(of(&[100; 10], Detail::Concise), 10);
        assert_eq!(of(&[1_000; 10], Detail::Concise), 5);
        // Text and structured content together are the limit here.
        assert_eq!(of(&[1_000; 200], Detail::Detailed), 32);
        assert_eq!(of(&[10_000, 1, 1], Detail::Concise), 1);
    }
}
