//! A contact: a user or a lead.

use serde::{Deserialize, Serialize};

use super::{Attributes, SubList, Text};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Contact {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) external_id: Option<String>,
    pub(crate) role: Text,
    pub(crate) email: Option<String>,
    pub(crate) email_domain: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) avatar: Option<Avatar>,
    pub(crate) owner_id: Option<String>,
    pub(crate) social_profiles: SocialProfiles,
    pub(crate) has_hard_bounced: bool,
    pub(crate) marked_email_as_spam: bool,
    pub(crate) unsubscribed_from_emails: bool,
    pub(crate) unsubscribed_from_sms: bool,
    pub(crate) sms_consent: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) signed_up_at: Option<i64>,
    pub(crate) last_seen_at: Option<i64>,
    pub(crate) last_replied_at: Option<i64>,
    pub(crate) last_contacted_at: Option<i64>,
    pub(crate) last_email_opened_at: Option<i64>,
    pub(crate) last_email_clicked_at: Option<i64>,
    pub(crate) language_override: Option<Text>,
    pub(crate) browser: Option<Text>,
    pub(crate) browser_version: Option<Text>,
    pub(crate) browser_language: Option<Text>,
    pub(crate) os: Option<Text>,
    pub(crate) location: Location,
    pub(crate) android_app_name: Option<Text>,
    pub(crate) android_app_version: Option<Text>,
    pub(crate) android_device: Option<Text>,
    pub(crate) android_os_version: Option<Text>,
    pub(crate) android_sdk_version: Option<Text>,
    pub(crate) android_last_seen_at: Option<i64>,
    pub(crate) ios_app_name: Option<Text>,
    pub(crate) ios_app_version: Option<Text>,
    pub(crate) ios_device: Option<Text>,
    pub(crate) ios_os_version: Option<Text>,
    pub(crate) ios_sdk_version: Option<Text>,
    pub(crate) ios_last_seen_at: Option<i64>,
    pub(crate) custom_attributes: Attributes,
    pub(crate) tags: SubList,
    pub(crate) notes: SubList,
    pub(crate) companies: SubList,
    pub(crate) opted_out_subscription_types: SubList,
    pub(crate) opted_in_subscription_types: SubList,
    pub(crate) utm_campaign: Option<Text>,
    pub(crate) utm_content: Option<Text>,
    pub(crate) utm_medium: Option<Text>,
    pub(crate) utm_source: Option<Text>,
    pub(crate) utm_term: Option<Text>,
    pub(crate) referrer: Option<Text>,
    pub(crate) enabled_push_messaging: Option<bool>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Avatar {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) image_url: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Location {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) country: Option<Text>,
    pub(crate) region: Option<Text>,
    pub(crate) city: Option<Text>,
    pub(crate) country_code: Option<Text>,
    pub(crate) continent_code: Option<Text>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SocialProfiles {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) data: Vec<SocialProfile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SocialProfile {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) name: Text,
    pub(crate) url: String,
}

impl SocialProfiles {
    /// No profile, or one of the kind that Intercom finds by itself.
    pub(crate) fn new(handle: Option<String>) -> Self {
        Self {
            kind: "list".into(),
            data: handle
                .into_iter()
                .map(|handle| SocialProfile {
                    kind: "social_profile".into(),
                    name: "Twitter".into(),
                    url: format!("http://twitter.com/{handle}"),
                })
                .collect(),
        }
    }
}
