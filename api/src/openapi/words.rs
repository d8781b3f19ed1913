//! Words that a field may have, as schemas. They come from where the words are defined, so that the description cannot
//! offer others.

use std::borrow::Cow;

use shared::{
    completeness::StreamActivity as Activity,
    domain::{
        self, Region as DataRegion,
        audit_event::{Actor, AuditAction as Action},
        profile::{IdentityKind as Identity, Source, SourceRecordError},
        search::SearchKind,
    },
    store::ConnectionState as State,
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::{caller, routes};

/// Declares schemas. They have no values, because the fields themselves are text.
macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident: $words:expr;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug)]
            pub(crate) enum $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new()
                        .schema_type(Type::String)
                        .description(Some(concat!($($doc),+).trim()))
                        .enum_values(Some($words))
                        .into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    stringify!($name).into()
                }
            }
        )+
    };
}

words! {
    /// What a tenant key may do.
    KeyScope: caller::KeyScope::ALL.map(caller::KeyScope::as_str);

    /// Where a workspace's data lives.
    Region: [DataRegion::Us, DataRegion::Eu, DataRegion::Au].map(DataRegion::as_str);

    /// `active` syncs, `reauth_required` waits for the customer, `disconnected` has ended, and `error` cannot go on
    /// for another reason.
    ConnectionState: [State::Active, State::ReauthRequired, State::Disconnected, State::Error].map(State::as_str);

    /// One kind of object of one connection.
    Stream: domain::Stream::ALL.iter().map(|stream| stream.as_str());

    /// How much a run reads: changes only, everything, or everything with a check for deletions.
    Mode: domain::Mode::ALL.iter().map(|mode| mode.as_str());

    /// What became of a run. `partial` has brought a part of its streams.
    RunStatus: ["queued", "running", "succeeded", "partial", "failed", "cancelled"];

    /// What a stream is doing.
    StreamActivity: [
        Activity::Waiting,
        Activity::Running,
        Activity::Idle,
        Activity::Blocked,
        Activity::Failed,
    ]
    .map(Activity::as_str);

    /// How much of a thread is stored. Intercom never showed the older parts of a `truncated` one, and `gone` ones are
    /// no longer there.
    ThreadStatus: ["pending", "complete", "truncated", "gone", "blocked"];

    /// Whether a teammate or a team.
    AssigneeKind: ["admin", "team"];

    /// What is left out unless it is asked for.
    Include: routes::Include::WORDS;

    /// What a disconnect does with the data.
    EndData: ["retain", "purge"];

    /// A source that sends its records by itself.
    SentSource: [Source::Crm, Source::Analytics, Source::Email].map(Source::as_str);

    /// A source of records.
    SourceName: Source::ALL.map(Source::as_str);

    /// What a value is.
    IdentityKind: [
        Identity::Merge,
        Identity::ExternalId,
        Identity::Email,
        Identity::Phone,
        Identity::Domain,
    ]
    .map(Identity::as_str);

    /// What a value does to its records: it joins them, means nobody in particular, contradicts a stronger one, is held by
    /// too many, or is no identity.
    LinkStatus: ["linked", "ambiguous", "refused", "shared", "blocked"];

    /// The records of a call are contacts.
    ContactObject: ["contact"];

    /// The records of a call are companies.
    CompanyObject: ["company"];

    /// The records of a call are events.
    EventObject: ["event"];

    /// What an entry of a timeline is.
    TimelineType: ["conversation", "event"];

    /// What can be found.
    SearchType: SearchKind::ALL.map(SearchKind::as_str);

    /// Whether the items have all words of a query, or only some.
    SearchMatch: ["all", "any"];

    /// Why a record was not taken.
    RecordFault: SourceRecordError::CODES.iter().copied().chain([routes::ERASED]);

    /// How far an erasure is.
    ErasureStatus: ["queued", "running", "finished"];

    /// What was done.
    AuditAction: Action::ALL.iter().map(|action| action.as_str());

    /// Whose an action is: the product backend's, that of a program with a tenant key, that of a browser which is signed in
    /// or came back from Intercom, or that of a process of ours which carries out what was asked for earlier.
    ActorKind: Actor::KINDS;

    /// How the bodies of messages are given.
    BodyFormat: ["text", "html"];
}
