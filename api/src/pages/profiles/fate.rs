//! What has become of a contact or company, above its profile.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use crate::pages::text::time;

/// `path` is the profile's own address. `is_renamed` says that another id was asked for, which stands for it.
pub(super) fn banners(
    noun: &str,
    path: &str,
    is_renamed: bool,
    deleted_at: Option<DateTime<Utc>>,
) -> Markup {
    html! {
        @if is_renamed {
            p class="banner warn" data-state="merged" {
                "The " (noun) " that you asked for is part of this one. It was merged, or its records have turned out to be of the \
                 same " (noun) ". This one has " a href=(path) { "an address of its own" } "."
            }
        }
        @if let Some(at) = deleted_at {
            p class="banner bad" data-state="deleted" {
                "Every source has deleted this " (noun) ", the last one at " (time(at)) ". This is what was known of it."
            }
        }
    }
}
