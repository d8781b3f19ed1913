//! What is known of a conversation beside its messages.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    domain::conversation_extras::{Attachment, ConversationExtras},
    profiles::{self, CompanyProfile},
    store::{
        ApiTx,
        reads::{ConversationRecord, PartRecord},
    },
};

use super::shapes::{AttributeLine, CompanyLine, LeftOut, attributes, note_left_out, untrusted};
use crate::mcp::{
    answer::Detail,
    refusal::Refusal,
    untrusted::{Untrusted, plain},
};

/// How a conversation came in and went, and whom it is about.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Facts {
    /// Such as `email` or `whatsapp`, by Intercom's names.
    #[serde(skip_serializing_if = "Option::is_none")]
    began_by: Option<String>,
    /// Where it went on, if Intercom says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    continued_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<Rating>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sla: Option<Sla>,
    /// Whether Intercom's AI agent took part.
    ai_participated: bool,
    /// Those of its contacts, and the one that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    companies: Vec<CompanyLine>,
    attribute_total: usize,
    /// Custom attributes of the conversation. Only in detailed answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<AttributeLine>,
}

/// What a contact thought of it.
#[derive(Debug, Serialize, JsonSchema)]
struct Rating {
    /// From 1 to 5.
    rating: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_remark: Option<Untrusted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<DateTime<Utc>>,
}

/// A promised time of reply.
#[derive(Debug, Serialize, JsonSchema)]
struct Sla {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// `hit`, `missed`, `cancelled` or `active`.
    status: String,
}

/// A file that came with a message.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_name: Option<Untrusted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_content_type: Option<Untrusted>,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<i64>,
}

/// What was read of a conversation for its facts.
pub(super) struct ReadFacts {
    extras: ConversationExtras,
    companies: Vec<CompanyProfile>,
    company_total: usize,
}

impl ReadFacts {
    pub(super) async fn of(
        tx: &mut ApiTx,
        conversation: &ConversationRecord,
        detail: Detail,
    ) -> Result<Self, Refusal> {
        let companies = &conversation.company_ids;
        let first = &companies[..companies.len().min(detail.items())];
        Ok(Self {
            extras: profiles::conversation_extras(conversation),
            companies: profiles::companies_by_id(tx, first).await?,
            company_total: companies.len(),
        })
    }

    /// As they are shown. `left_out` gets what is not.
    pub(super) fn shown(&self, detail: Detail, left_out: &mut LeftOut) -> Facts {
        let value = detail.value();
        let extras = &self.extras;
        note_left_out("companies", self.company_total, detail, left_out);
        let (mut lines, attribute_total) = attributes(&extras.attributes, None, detail);
        match detail {
            Detail::Concise => lines.clear(),
            Detail::Detailed => {
                note_left_out("attributes", lines.len(), detail, left_out);
                lines.truncate(detail.items());
            }
        }
        let channel = extras.channel.as_ref();
        let word = |word: Option<&String>| word.map(|word| plain(word, value));
        Facts {
            began_by: word(channel.and_then(|channel| channel.initial.as_ref())),
            continued_by: word(channel.and_then(|channel| channel.current.as_ref())),
            rating: extras.rating.as_ref().map(|rating| Rating {
                rating: rating.rating,
                untrusted_remark: untrusted(rating.remark.as_deref(), detail.long_value()),
                at: rating.updated_at.or(rating.created_at),
            }),
            sla: extras.sla.as_ref().map(|sla| Sla {
                name: word(sla.name.as_ref()),
                status: plain(&sla.status, value),
            }),
            ai_participated: extras.ai_participated,
            companies: self
                .companies
                .iter()
                .map(|company| CompanyLine::of(company, detail))
                .collect(),
            attribute_total,
            attributes: lines,
        }
    }
}

/// The first files of a message.
pub(super) fn files(part: &PartRecord, detail: Detail) -> Vec<File> {
    let file = |file: Attachment| File {
        untrusted_name: untrusted(file.name.as_deref(), detail.value()),
        untrusted_content_type: untrusted(file.content_type.as_deref(), detail.value()),
        size: file.size,
    };
    let files = profiles::attachments(part).into_iter();
    files.take(detail.items()).map(file).collect()
}
