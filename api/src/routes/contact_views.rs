//! What a contact uses, and whether it may be written to.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::domain::{
    profile::Consent,
    records::{Browser, Device, Platform},
};
use utoipa::ToSchema;

/// A browser. At least one member is not null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Browser)]
pub(crate) struct BrowserView {
    #[schema(required, example = "chrome")]
    name: Option<String>,
    #[schema(required)]
    version: Option<String>,
    #[schema(required)]
    language: Option<String>,
    #[schema(required)]
    os: Option<String>,
}

/// A phone or tablet on which the contact uses an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
pub(crate) struct DeviceView {
    /// `android` or `ios`.
    #[schema(example = "ios")]
    platform: &'static str,
    #[schema(required)]
    app_name: Option<String>,
    #[schema(required)]
    app_version: Option<String>,
    #[schema(required)]
    device: Option<String>,
    #[schema(required)]
    os_version: Option<String>,
    #[schema(required)]
    last_seen_at: Option<DateTime<Utc>>,
}

/// Whether the contact may be written to. A restriction holds if any source states it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Consent)]
pub(crate) struct ConsentView {
    unsubscribed: bool,
    marked_as_spam: bool,
    hard_bounced: bool,
    unsubscribed_from_sms: bool,
    /// No source forbids it, and none of the first three holds.
    may_email: bool,
}

impl From<Browser> for BrowserView {
    fn from(browser: Browser) -> Self {
        Self {
            name: browser.name,
            version: browser.version,
            language: browser.language,
            os: browser.os,
        }
    }
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        Self {
            platform: match device.platform {
                Platform::Android => "android",
                Platform::Ios => "ios",
            },
            app_name: device.app_name,
            app_version: device.app_version,
            device: device.device,
            os_version: device.os_version,
            last_seen_at: device.last_seen_at,
        }
    }
}

impl From<Consent> for ConsentView {
    fn from(consent: Consent) -> Self {
        Self {
            unsubscribed: consent.unsubscribed,
            marked_as_spam: consent.marked_as_spam,
            hard_bounced: consent.hard_bounced,
            unsubscribed_from_sms: consent.unsubscribed_from_sms,
            may_email: consent.may_email,
        }
    }
}
