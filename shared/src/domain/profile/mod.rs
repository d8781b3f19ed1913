//! Unified profiles: which records are one person or company, and what their profile shows. Pure functions of sets of
//! records, so that nothing depends on the order in which records came.

mod block_reason;
mod blocked_values;
mod company_domain;
mod email_address;
pub mod fold;
pub mod identity;
mod identity_link;
mod identity_record;
mod identity_rules;
mod identity_value;
mod merge_rules;
mod phone_number;
mod placeholder;
mod profile_fields;
mod profile_record;
mod provenance;
mod source;
mod source_record;
mod split;

pub use block_reason::BlockReason;
pub use blocked_values::{BlockedValueError, BlockedValues};
pub use company_domain::website_host;
pub use fold::{fold_company, fold_company_values, fold_contact, fold_contact_values};
pub use identity::{Identities, Profile, resolve};
pub use identity_link::{Link, LinkStatus, Refusal};
pub use identity_record::IdentityRecord;
pub use identity_rules::{DEFAULT_MAX_HOLDERS, IdentityRules, SharedValues, Split};
pub use identity_value::{IdentityKind, IdentityValue};
pub use merge_rules::{MergeRules, MergeRulesError, ObjectRules, SourceOrder};
pub use profile_fields::{CompanyProfileFields, Consent, ContactProfileFields};
pub use profile_record::{CompanyRecord, ContactRecord, ProfileRecord};
pub use provenance::{Origin, Provenance};
pub use source::{RecordKey, Source};
pub use source_record::{
    SourceRecord, SourceRecordError, read_source_company, read_source_contact, read_source_event,
};
pub use split::{SplitError, split};
