//! As of when an answer is, and whether it is complete: one line on every answer.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    completeness::{self, SyncStatus},
    domain::{ConnectionId, Region},
    store::{ApiTx, Connection},
};

use super::{refusal::Refusal, untrusted::plain};

/// Bytes of the sentence.
const MAX_SENTENCE: usize = 600;

/// How fresh and how complete the copy is that an answer was read from.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Freshness {
    /// Whether everything that Intercom shows is in the copy.
    complete: bool,
    /// Up to when the copy is proven to be complete. Absent if it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<DateTime<Utc>>,
    /// The same for a person, and what is missing.
    sentence: String,
}

/// The workspaces of a tenant, and the judgement of each.
pub(super) struct Workspaces {
    pub(super) judged: Vec<(Connection, SyncStatus)>,
}

impl Workspaces {
    /// Reads and judges every connected workspace.
    pub(super) async fn read(tx: &mut ApiTx) -> Result<Self, Refusal> {
        let mut judged = Vec::new();
        for connection in tx.connections().await? {
            if let Some(facts) = tx.sync_facts(connection.id).await? {
                judged.push((connection, completeness::judge(&facts)));
            }
        }
        Ok(Self { judged })
    }

    /// Of all workspaces together: complete if each is, and as old as the oldest.
    pub(super) fn freshness(&self) -> Freshness {
        let first_incomplete = self.judged.iter().find(|(_, status)| !status.complete);
        let proven = self.judged.iter().map(|(_, status)| status.proven_at);
        let sentence = match (first_incomplete, self.judged.as_slice()) {
            (Some((connection, status)), all) => {
                let synced = connection.last_synced_at.map_or_else(
                    || "never".to_owned(),
                    |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
                );
                let name = match all {
                    [_] => String::new(),
                    _ => format!("Workspace {}: ", connection.workspace_name),
                };
                format!("{name}{} Last synced: {synced}.", status.sentence)
            }
            (None, [(_, status)]) => status.sentence.clone(),
            (None, []) => {
                "No Intercom workspace is connected, so only what other sources have sent is here."
                    .to_owned()
            }
            (None, all) => format!("The copies of all {} workspaces are complete.", all.len()),
        };
        let complete = first_incomplete.is_none() && !self.judged.is_empty();
        Freshness {
            complete,
            as_of: proven.min().flatten().filter(|_| complete),
            sentence: plain(&sentence, MAX_SENTENCE),
        }
    }

    /// Makes links to Intercom's inbox.
    pub(super) fn inbox(&self) -> Inbox {
        let workspaces = self.judged.iter();
        let us = workspaces.filter(|(connection, _)| connection.region == Region::Us);
        Inbox(
            us.map(|(connection, _)| (connection.id, connection.workspace_id.clone()))
                .collect(),
        )
    }
}

/// Workspaces whose inbox has an address that is known. That of other regions than the US is not confirmed.
pub(super) struct Inbox(BTreeMap<ConnectionId, String>);

impl Inbox {
    /// Where a teammate opens a conversation.
    pub(super) fn link(&self, connection: ConnectionId, number: &str) -> Option<String> {
        let workspace = self.0.get(&connection)?;
        let is_word = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        (is_word(workspace) && is_word(number)).then(|| {
            format!("https://app.intercom.com/a/inbox/{workspace}/inbox/conversation/{number}")
        })
    }
}
