//! Streams, classes and modes: the names that tables, tickets, metrics and the API share.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::permission;

/// Declares an enum whose names are the same in Rust, SQL, JSON, Redis and metrics.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in the order in which the data flows.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownName { kind: stringify!($name), text: text.to_owned() }),
                }
            }
        }
    };
}

named! {
    /// One kind of object of one connection, with its own cursor and watermark.
    Stream {
        Reference = "reference",
        Contacts = "contacts",
        Companies = "companies",
        Conversations = "conversations",
        Threads = "threads",
    }
}

named! {
    /// The class in which a ticket competes. Fresh work goes before backfill.
    Class {
        Fresh = "fresh",
        Backfill = "backfill",
    }
}

named! {
    /// Which classes a worker process takes tickets of.
    WorkerPool {
        All = "all",
        Fresh = "fresh",
        Backfill = "backfill",
    }
}

impl WorkerPool {
    #[must_use]
    pub const fn takes(self, class: Class) -> bool {
        match self {
            Self::All => true,
            Self::Fresh => matches!(class, Class::Fresh),
            Self::Backfill => matches!(class, Class::Backfill),
        }
    }
}

named! {
    /// How much a run reads: changes only, everything, or everything to verify and repair.
    Mode {
        Incremental = "incremental",
        Full = "full",
        Reconcile = "reconcile",
    }
}

impl Mode {
    /// Whether a walk of this mode also does what `other` asks for.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self >= other
    }
}

/// What a stream is called and what it needs. A new stream gets its line in each of these.
impl Stream {
    /// One of its objects, as a customer reads it.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Reference => "list item",
            Self::Contacts => "contact",
            Self::Companies => "company",
            Self::Conversations => "conversation",
            Self::Threads => "thread",
        }
    }

    /// All of its objects, as a customer reads them in "may not read …".
    #[must_use]
    pub const fn objects(self) -> &'static str {
        match self {
            Self::Reference => "admins, teams, tags and attributes",
            Self::Contacts => "contacts",
            Self::Companies => "companies",
            Self::Conversations => "conversations",
            Self::Threads => "the messages of conversations",
        }
    }

    /// The permissions that its calls need.
    #[must_use]
    pub const fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Reference => &[permission::READ_ADMINS, permission::READ_TAGS],
            Self::Contacts | Self::Companies => &[permission::READ_CONTACTS],
            Self::Conversations | Self::Threads => &[permission::READ_CONVERSATIONS],
        }
    }

    /// The class of this stream's tickets.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Threads => Class::Backfill,
            Self::Reference | Self::Contacts | Self::Companies | Self::Conversations => {
                Class::Fresh
            }
        }
    }
}

/// A name that is not known. A newer version may have written it.
#[derive(Debug, thiserror::Error)]
#[error("unknown {kind} {text:?}")]
pub struct UnknownName {
    kind: &'static str,
    text: String,
}
