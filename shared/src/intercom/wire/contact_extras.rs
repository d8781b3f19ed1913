//! What a contact's profile shows beside the fields that every contact has. Each of these is empty if it cannot be read,
//! because a contact is worth more than its browser.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    extra_list::ExtraList,
    lenient::Lenient,
    scalar::{Seconds, Text},
};
use crate::domain::records::{Browser, ConsentFields, Device, Platform};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ContactExtras {
    signed_up_at: Lenient<Seconds>,
    browser: Lenient<Text>,
    browser_version: Lenient<Text>,
    browser_language: Lenient<Text>,
    os: Lenient<Text>,
    android_app_name: Lenient<Text>,
    android_app_version: Lenient<Text>,
    android_device: Lenient<Text>,
    android_os_version: Lenient<Text>,
    android_last_seen_at: Lenient<Seconds>,
    ios_app_name: Lenient<Text>,
    ios_app_version: Lenient<Text>,
    ios_device: Lenient<Text>,
    ios_os_version: Lenient<Text>,
    ios_last_seen_at: Lenient<Seconds>,
    unsubscribed_from_emails: Lenient<Option<bool>>,
    marked_email_as_spam: Lenient<Option<bool>>,
    has_hard_bounced: Lenient<Option<bool>>,
    unsubscribed_from_sms: Lenient<Option<bool>>,
    tags: Lenient<ExtraList>,
    segments: Lenient<ExtraList>,
}

impl ContactExtras {
    pub(super) const fn signed_up_at(&self) -> Option<DateTime<Utc>> {
        self.signed_up_at.0.0
    }

    pub(super) fn browser(&mut self) -> Option<Browser> {
        let browser = Browser {
            name: text(&mut self.browser),
            version: text(&mut self.browser_version),
            language: text(&mut self.browser_language),
            os: text(&mut self.os),
        };
        (browser != Browser::default()).then_some(browser)
    }

    /// The one device of each platform that Intercom keeps.
    pub(super) fn devices(&mut self) -> Vec<Device> {
        let android = Device {
            platform: Platform::Android,
            app_name: text(&mut self.android_app_name),
            app_version: text(&mut self.android_app_version),
            device: text(&mut self.android_device),
            os_version: text(&mut self.android_os_version),
            last_seen_at: self.android_last_seen_at.0.0,
        };
        let ios = Device {
            platform: Platform::Ios,
            app_name: text(&mut self.ios_app_name),
            app_version: text(&mut self.ios_app_version),
            device: text(&mut self.ios_device),
            os_version: text(&mut self.ios_os_version),
            last_seen_at: self.ios_last_seen_at.0.0,
        };
        let is_used = |device: &Device| *device != nothing(device.platform);
        [android, ios].into_iter().filter(is_used).collect()
    }

    pub(super) const fn consent(&self) -> ConsentFields {
        ConsentFields {
            unsubscribed: self.unsubscribed_from_emails.0,
            marked_as_spam: self.marked_email_as_spam.0,
            hard_bounced: self.has_hard_bounced.0,
            unsubscribed_from_sms: self.unsubscribed_from_sms.0,
            may_email: None,
        }
    }

    pub(super) fn tags(&mut self) -> Vec<String> {
        std::mem::take(&mut self.tags.0).ids()
    }

    pub(super) fn segments(&mut self) -> Vec<String> {
        std::mem::take(&mut self.segments.0).ids()
    }
}

fn text(field: &mut Lenient<Text>) -> Option<String> {
    std::mem::take(&mut field.0).some()
}

/// A device of which nothing is known.
const fn nothing(platform: Platform) -> Device {
    Device {
        platform,
        app_name: None,
        app_version: None,
        device: None,
        os_version: None,
        last_seen_at: None,
    }
}
