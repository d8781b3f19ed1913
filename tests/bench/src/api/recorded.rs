//! What the API asks Postgres for, read from the log of the server, so that the baseline is never another statement.

use std::collections::HashMap;

use serde::Deserialize;
use shared::domain::TenantId;

use crate::report::Failure;

/// Names a request in the log, before its statements and behind those of the request before.
const MARK: &str = "SELECT 'request ";

/// The statements of some requests.
#[derive(Debug, Default)]
pub(super) struct Recording {
    /// Every statement once.
    pub(super) texts: Vec<String>,
    /// What each request did for its tenant.
    pub(super) requests: Vec<Vec<Recorded>>,
    /// Round trips of all requests before their answers. Those that prove the key are among them.
    pub(super) round_trips: usize,
}

/// One transaction, from its beginning to its last statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) begin: String,
    pub(super) steps: Vec<Step>,
}

/// One statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Its number among the texts.
    pub(super) text: usize,
    pub(super) parameters: Vec<Option<String>>,
}

/// A line of the log.
#[derive(Deserialize)]
struct Line {
    session_id: String,
    message: String,
    detail: Option<String>,
}

/// Marks in the log that the next statements are of this request.
pub(super) fn mark(request: usize) -> String {
    format!("{MARK}{request}'")
}

impl Recording {
    /// The same without those that prove the key.
    pub(super) fn bare_round_trips(&self) -> usize {
        let transactions = self.requests.iter().flatten();
        transactions
            .map(|transaction| transaction.steps.len() + 1)
            .sum()
    }

    /// Reads a log in which each request is marked. `tenants` are those of the requests.
    pub(super) fn read(log: &str, tenants: &[TenantId]) -> Result<Self, Failure> {
        let mut read = Self::default();
        let mut numbers = HashMap::new();
        // The session that is in a transaction of the request's tenant.
        let mut session = None;
        for line in log.lines() {
            let line: Line = serde_json::from_str(line)?;
            if let Some(text) = line.message.strip_prefix("statement: ") {
                if text.starts_with(MARK) {
                    read.requests.push(Vec::new());
                    session = None;
                    continue;
                }
                if read.requests.is_empty() || text == "ROLLBACK" {
                    continue;
                }
                read.round_trips += 1;
                if text.starts_with("BEGIN;") {
                    let number = read.requests.len() - 1;
                    let tenant = tenants.get(number);
                    let setting = tenant.map(|tenant| format!("'app.tenant_id', '{tenant}'"));
                    if setting.is_some_and(|setting| text.contains(&setting)) {
                        read.requests[number].push(Recorded {
                            begin: text.to_owned(),
                            steps: Vec::new(),
                        });
                        session = Some(line.session_id);
                    }
                }
                continue;
            }
            let executed = line.message.strip_prefix("execute ");
            let Some((_, text)) = executed.and_then(|executed| executed.split_once(": ")) else {
                continue;
            };
            let Some(request) = read.requests.last_mut() else {
                continue;
            };
            read.round_trips += 1;
            if session.as_ref() == Some(&line.session_id)
                && let Some(transaction) = request.last_mut()
            {
                let text = *numbers.entry(text.to_owned()).or_insert_with(|| {
                    read.texts.push(text.to_owned());
                    read.texts.len() - 1
                });
                transaction.steps.push(Step {
                    text,
                    parameters: parameters(line.detail.as_deref().unwrap_or_default())?,
                });
            }
        }
        Ok(read)
    }
}

/// Reads `Parameters: $1 = 'a', $2 = NULL`. A quote in a value is doubled.
fn parameters(detail: &str) -> Result<Vec<Option<String>>, Failure> {
    let mut read = Vec::new();
    let mut left = detail;
    while let Some((_, value)) = left.split_once(" = ") {
        if let Some(behind) = value.strip_prefix("NULL") {
            read.push(None);
            left = behind;
            continue;
        }
        let quoted = value
            .strip_prefix('\'')
            .ok_or("a parameter is not quoted")?;
        let mut text = String::new();
        let mut letters = quoted.char_indices().peekable();
        left = loop {
            match letters.next().ok_or("a parameter does not end")? {
                (_, '\'') if letters.next_if(|(_, next)| *next == '\'').is_some() => {
                    text.push('\'');
                }
                (at, '\'') => break &quoted[at + 1..],
                (_, letter) => text.push(letter),
            }
        };
        read.push(Some(text));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_read_as_they_were_sent() {
        let detail = "Parameters: $1 = 'it''s, $2 = x', $2 = NULL, $3 = '', $4 = '{a,\"b c\"}'";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            parameters(detail).unwrap(),
            [some("it's, $2 = x"), None, some(""), some("{a,\"b c\"}")]
        );
        assert!(parameters("").unwrap().is_empty());
        assert!(parameters("Parameters: $1 = 'cut").is_err());
    }

    #[test]
    fn only_the_transactions_of_the_tenant_are_kept() {
        let tenant = TenantId::new();
        let begin = format!("BEGIN; SELECT set_config('app.tenant_id', '{tenant}', true)");
        let lines = [
            (
                "a",
                "statement: BEGIN; SELECT set_config('app.tenant_id', '', true)".to_owned(),
            ),
            ("a", mark_line()),
            (
                "b",
                "statement: BEGIN; SELECT set_config('app.tenant_id', '', true)".to_owned(),
            ),
            ("b", "execute sqlx_s_1: SELECT key".to_owned()),
            ("b", format!("statement: {begin}")),
            ("a", "execute sqlx_s_4: SELECT other".to_owned()),
            ("b", "execute sqlx_s_2: SELECT one".to_owned()),
            ("b", "execute sqlx_s_3: SELECT two".to_owned()),
            ("b", "statement: ROLLBACK".to_owned()),
        ];
        let log: Vec<String> = lines
            .into_iter()
            .map(|(session, message)| {
                json!({"session_id": session, "message": message, "pid": 1}).to_string()
            })
            .collect();
        let read = Recording::read(&log.join("\n"), &[tenant]).unwrap();
        assert_eq!(read.texts, ["SELECT one", "SELECT two"]);
        let step = |text| Step {
            text,
            parameters: Vec::new(),
        };
        let transaction = Recorded {
            begin,
            steps: vec![step(0), step(1)],
        };
        assert_eq!(read.requests, [[transaction]]);
    }

    fn mark_line() -> String {
        format!("statement: {}", mark(0))
    }
}
