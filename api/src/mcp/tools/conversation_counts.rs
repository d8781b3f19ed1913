//! How many of the conversations that were found there are of each kind.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{Datelike as _, TimeDelta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    profiles,
    store::{ApiTx, reads::ConversationRecord},
};
use uuid::Uuid;

use crate::mcp::{
    answer::Detail,
    refusal::Refusal,
    untrusted::{Untrusted, plain},
};

/// Kinds that are told apart. The others are counted together.
const KINDS: [usize; 2] = [15, 60];

/// What conversations are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CountBy {
    /// The week in which they began, by its Monday, in UTC.
    Week,
    /// Each of their tags.
    Tag,
    State,
    /// The teammate or team that they are assigned to.
    Owner,
    /// Each company of their people, and the one that they are about.
    Company,
}

/// Counts of all matches. A conversation with several tags or companies counts for each.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Counts {
    by: CountBy,
    /// Weeks with the last one first, and everything else with the largest count first.
    groups: Vec<Group>,
    /// Conversations that have no such value.
    without: u32,
    /// How many further groups there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_groups: Option<usize>,
}

/// Conversations that have one value.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Group {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    company_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_company: Option<Untrusted>,
    conversations: u32,
}

impl Counts {
    /// Counts conversations by their ids.
    pub(super) async fn read(
        tx: &mut ApiTx,
        by: CountBy,
        ids: &[Uuid],
        detail: Detail,
    ) -> Result<Self, Refusal> {
        let conversations = tx.conversations_by_id(ids).await?;
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let mut without = 0;
        for conversation in &conversations {
            let values = values(by, conversation);
            without += u32::from(values.is_empty());
            for value in values {
                *counts.entry(value).or_default() += 1;
            }
        }
        let mut counts: Vec<(String, u32)> = counts.into_iter().rev().collect();
        if by != CountBy::Week {
            // Stable, so that equal counts are in the order of their names.
            counts.reverse();
            counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        }
        let kinds = KINDS[usize::from(detail == Detail::Detailed)];
        let more = counts.len().saturating_sub(kinds);
        counts.truncate(kinds);
        let groups = match by {
            CountBy::Company => company_groups(tx, counts, detail).await?,
            _ => counts
                .into_iter()
                .map(|(value, conversations)| Group {
                    value: Some(plain(&value, detail.value())),
                    company_id: None,
                    untrusted_company: None,
                    conversations,
                })
                .collect(),
        };
        Ok(Self {
            by,
            groups,
            without,
            more_groups: (more > 0).then_some(more),
        })
    }
}

/// The values of a conversation, each once.
fn values(by: CountBy, conversation: &ConversationRecord) -> BTreeSet<String> {
    match by {
        CountBy::Week => {
            let began = conversation.source_created_at.date_naive();
            let days = began.weekday().num_days_from_monday();
            let monday = began - TimeDelta::days(i64::from(days));
            BTreeSet::from([monday.to_string()])
        }
        CountBy::Tag => conversation.tags.iter().cloned().collect(),
        CountBy::State => conversation.state.iter().cloned().collect(),
        CountBy::Owner => {
            let assignee = conversation.assignee.iter();
            let name = assignee.map(|one| one.name.clone().unwrap_or_else(|| one.id.clone()));
            name.collect()
        }
        CountBy::Company => {
            let companies = conversation.company_ids.iter();
            companies.map(Uuid::to_string).collect()
        }
    }
}

async fn company_groups(
    tx: &mut ApiTx,
    counts: Vec<(String, u32)>,
    detail: Detail,
) -> Result<Vec<Group>, Refusal> {
    let ids: Vec<Uuid> = counts
        .iter()
        .filter_map(|(id, _)| Uuid::try_parse(id).ok())
        .collect();
    let companies = profiles::companies_by_id(tx, &ids).await?;
    let names: HashMap<Uuid, Option<String>> = companies
        .into_iter()
        .map(|company| (company.id, company.fields.name.or(company.fields.domain)))
        .collect();
    let group = |(id, count): (Uuid, u32)| Group {
        value: None,
        company_id: Some(id),
        untrusted_company: names
            .get(&id)
            .and_then(Option::as_deref)
            .map(|name| Untrusted::of(name, detail.value())),
        conversations: count,
    };
    let counted = ids
        .into_iter()
        .zip(counts.into_iter().map(|(_, count)| count));
    Ok(counted.map(group).collect())
}
