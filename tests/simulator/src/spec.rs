//! What a workspace is made from: sizes, shares, and which of Intercom's undocumented or
//! disputed behaviours it shows.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// A recipe for one workspace. Equal recipes give equal workspaces, relative to the
/// simulator's clock at the time of adding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkspaceSpec {
    /// The workspace id (`app.id_code` of `GET /me`). `None` derives one from the seed.
    pub id_code: Option<String>,
    /// The workspace's name.
    pub name: String,
    /// `US`, `EU` or `AU`. Outside the US conversation ids have 15 digits.
    pub region: String,
    /// IANA time zone. Contact search up to 2.16 truncates to its days.
    pub timezone: String,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Live contacts (users and leads).
    pub contacts: u32,
    /// Live companies.
    pub companies: u32,
    /// Live conversations.
    pub conversations: u32,
    /// Mean parts per conversation. A fifth of the conversations have none.
    pub parts: f64,
    /// How many of the conversations get 501 to 700 parts, more than the API shows.
    pub conversations_over_500: u32,
    /// Teammates, beside a former one to which objects still refer.
    pub admins: u32,
    /// Teams.
    pub teams: u32,
    /// Tags.
    pub tags: u32,
    /// Segments.
    pub segments: u32,
    /// Days that the history spans.
    pub history_days: u32,
    /// `false`: conversations answer 403 `api_plan_restricted`.
    pub conversations_plan: bool,
    /// Requests per 10-second window.
    pub limit_per_window: u32,
    /// Scopes that the app was not granted.
    pub missing_scopes: Vec<Scope>,
    /// How a missing scope is answered. Both are seen in the wild.
    pub missing_scope_answer: MissingScope,
    /// Share of companies that no contact belongs to.
    pub companies_without_users: f64,
    /// Share of contacts that are leads.
    pub leads: f64,
    /// Share of the leads that have no e-mail address.
    pub leads_without_email: f64,
    /// Share of contacts in more than ten companies.
    pub contacts_over_10_companies: f64,
    /// Share of contacts with more than ten tags.
    pub contacts_over_10_tags: f64,
    /// Leads already merged into a user.
    pub merged_contacts: u32,
    /// Contacts already deleted.
    pub deleted_contacts: u32,
    /// Contacts already archived.
    pub archived_contacts: u32,
    /// Conversations already deleted.
    pub deleted_conversations: u32,
    /// How a company scroll ends.
    pub scroll_end: ScrollEnd,
    /// Whether the scroll shows companies without users (Intercom's text is silent).
    pub scroll_includes_userless: bool,
    /// Largest `per_page` of the company lists. 60 is what connectors use.
    pub company_list_max_per_page: u32,
    /// Seconds until a new contact can be found by search ("a few minutes" in the API text).
    pub index_delay_seconds: u32,
    /// Contacts updated within this many seconds of a UTC midnight are never returned by a
    /// date-filtered search, as Fivetran reports.
    pub midnight_blind_seconds: u32,
    /// Contact search counts in days of the workspace also from 2.17 on, though its text says seconds.
    pub contact_search_by_days: bool,
    /// Whether the survivor's `updated_at` moves on a merge.
    pub survivor_moves: bool,
    /// Seconds after which a search cursor answers 400. `None` for never.
    pub cursor_ttl_seconds: Option<u32>,
    /// Whether `>` and `<` on conversation dates include the bound (the text is ambiguous).
    pub conversation_bounds_inclusive: bool,
    /// What a conversation search does that asks for an order by `created_at` (no list of sort fields is published).
    pub sort_by_created_at: SortByCreation,
    /// `true`: `conversation_parts.total_count` counts parts beyond the newest 500 too.
    pub parts_total_is_full: bool,
    /// `true`: an archived contact still answers `GET` by id.
    pub archived_get_found: bool,
    /// Send `Retry-After` with a 429.
    pub retry_after: bool,
    /// Leave the rate headers out of every n-th answer.
    pub omit_rate_headers_every: Option<u32>,
}

impl Default for WorkspaceSpec {
    fn default() -> Self {
        Self {
            id_code: None,
            name: "Acme".to_owned(),
            region: "US".to_owned(),
            timezone: "America/Los_Angeles".to_owned(),
            seed: 1,
            contacts: 200,
            companies: 40,
            conversations: 120,
            parts: 6.0,
            conversations_over_500: 0,
            admins: 8,
            teams: 3,
            tags: 24,
            segments: 6,
            history_days: 1095,
            conversations_plan: true,
            limit_per_window: 167,
            missing_scopes: Vec::new(),
            missing_scope_answer: MissingScope::Forbidden403,
            companies_without_users: 0.05,
            leads: 0.2,
            leads_without_email: 0.5,
            contacts_over_10_companies: 0.01,
            contacts_over_10_tags: 0.01,
            merged_contacts: 0,
            deleted_contacts: 0,
            archived_contacts: 0,
            deleted_conversations: 0,
            scroll_end: ScrollEnd::EmptyPage,
            scroll_includes_userless: true,
            company_list_max_per_page: 60,
            index_delay_seconds: 0,
            midnight_blind_seconds: 0,
            contact_search_by_days: false,
            survivor_moves: true,
            cursor_ttl_seconds: None,
            conversation_bounds_inclusive: false,
            sort_by_created_at: SortByCreation::Served,
            parts_total_is_full: true,
            archived_get_found: false,
            retry_after: false,
            omit_rate_headers_every: None,
        }
    }
}

impl WorkspaceSpec {
    /// Says whether a workspace can be made from this.
    ///
    /// # Errors
    /// A field that no workspace can have, by name.
    pub fn check(&self) -> Result<(), SpecError> {
        self.tz()?;
        if !matches!(self.region.as_str(), "US" | "EU" | "AU") {
            return Err(SpecError::Region(self.region.clone()));
        }
        let shares = [
            ("companies_without_users", self.companies_without_users),
            ("leads", self.leads),
            ("leads_without_email", self.leads_without_email),
            (
                "contacts_over_10_companies",
                self.contacts_over_10_companies,
            ),
            ("contacts_over_10_tags", self.contacts_over_10_tags),
        ];
        if let Some((name, _)) = shares
            .iter()
            .find(|(_, share)| !(0.0..=1.0).contains(share))
        {
            return Err(SpecError::Share(name));
        }
        if !self.parts.is_finite() || self.parts < 0.0 {
            return Err(SpecError::Parts(self.parts));
        }
        Ok(())
    }

    pub(crate) fn tz(&self) -> Result<Tz, SpecError> {
        self.timezone
            .parse()
            .map_err(|_| SpecError::TimeZone(self.timezone.clone()))
    }

    /// The id code that this recipe gives.
    pub(crate) fn resolved_id_code(&self) -> String {
        self.id_code.clone().unwrap_or_else(|| {
            let hash = crate::generate::mix(self.seed, 0x6964_636f_6465);
            format!("w{:07x}{:04x}", hash & 0xfff_ffff, self.seed & 0xffff)
        })
    }
}

/// A recipe that no workspace can be made from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// Not an IANA name.
    #[error("time zone {0:?} is not an IANA name; try \"Europe/Dublin\"")]
    TimeZone(String),
    /// Not one of Intercom's regions.
    #[error("region {0:?} is unknown; use US, EU or AU")]
    Region(String),
    /// A share outside 0 to 1.
    #[error("{0} is a share; use 0.0 to 1.0")]
    Share(&'static str),
    /// A mean that is negative or not a number.
    #[error("parts is {0}; use a mean of 0 or more")]
    Parts(f64),
    /// Another workspace has the id code.
    #[error("workspace {0:?} exists already; choose another id_code or seed")]
    Exists(String),
}

/// What an app may read. Names are the machine names seen in API messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Contacts, companies, segments and data attributes.
    ReadUsers,
    /// Conversations and their parts.
    ReadConversations,
    /// Admins, teams and `/me`.
    ReadAdmins,
    /// The tag list.
    ReadTags,
}

impl Scope {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadUsers => "read_users",
            Self::ReadConversations => "read_conversations",
            Self::ReadAdmins => "read_admins",
            Self::ReadTags => "read_tags",
        }
    }
}

/// How a missing scope is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingScope {
    /// 401 `token_unauthorized`.
    Unauthorized401,
    /// 403 `forbidden` naming the scope.
    Forbidden403,
}

/// What a conversation search does that asks for an order by `created_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortByCreation {
    /// Shows this order.
    Served,
    /// Shows the order by `updated_at` instead, newest first.
    Ignored,
    /// Answers 400 `invalid_field`.
    Refused,
}

/// How a company scroll ends. Connectors have recorded both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScrollEnd {
    /// One more page with empty `data`, then 404.
    EmptyPage,
    /// 404 right after the last page with data.
    NotFound,
}
