//! Who is in the demo: twenty-five workspaces, most of them ordinary and four of them trouble.

use intercom_simulator::WorkspaceSpec;

/// What a workspace is there to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Play {
    /// Nothing special.
    Ordinary,
    /// Holds as many records as all others together, and must not hold them up.
    Giant,
    /// Its plan does not include conversations: that stream is blocked, the others complete.
    Restricted,
    /// Allowed so few calls that its sync spans several rate windows.
    Throttled,
    /// Its token is revoked after the first sync; asked to sync again, it keeps its data and says what to do.
    Revoked,
}

impl Play {
    /// A word for tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Giant => "giant",
            Self::Restricted => "plan-restricted",
            Self::Throttled => "rate-limited",
            Self::Revoked => "revoked",
        }
    }
}

/// One tenant of the demo.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub play: Play,
    pub spec: WorkspaceSpec,
}

/// Calls per 10-second window of an ordinary workspace: 10,000 a minute.
const ORDINARY_LIMIT: u32 = 1_667;

/// An ordinary workspace: some 420 records.
const CONTACTS: u32 = 105;
const COMPANIES: u32 = 25;
const CONVERSATIONS: u32 = 42;
const PARTS: f64 = 6.0;

/// The giant has the same number of records with fewer conversations among them, as large support teams
/// have longer threads.
const GIANT_CONTACTS: u32 = 115;
const GIANT_COMPANIES: u32 = 20;
const GIANT_CONVERSATIONS: u32 = 38;

/// More threads than one window has calls, so that at least two are needed (a test counts them).
const THROTTLED_CONVERSATIONS: u32 = 108;
const THROTTLED_LIMIT: u32 = 85;

/// Regions and time zones in turn: contact search counts in days of the zone.
const PLACES: [(&str, &str); 7] = [
    ("US", "America/Los_Angeles"),
    ("EU", "Europe/Dublin"),
    ("AU", "Australia/Sydney"),
    ("US", "America/New_York"),
    ("EU", "Asia/Kolkata"),
    ("AU", "Pacific/Auckland"),
    ("US", "Pacific/Honolulu"),
];

/// `count` tenants: the giant first, the trouble next, then ordinary ones. Always the same.
#[must_use]
pub fn cast(count: u32) -> Vec<Member> {
    (0..count).map(|number| member(number, count)).collect()
}

fn member(number: u32, count: u32) -> Member {
    let play = match number {
        0 => Play::Giant,
        1 => Play::Restricted,
        2 => Play::Throttled,
        3 => Play::Revoked,
        _ => Play::Ordinary,
    };
    let (region, timezone) = PLACES[number as usize % PLACES.len()];
    let name = format!("{} {number:02}", play.name());
    let base = WorkspaceSpec {
        name: name.clone(),
        seed: 1_000 + u64::from(number),
        region: region.to_owned(),
        timezone: timezone.to_owned(),
        contacts: CONTACTS,
        companies: COMPANIES,
        conversations: CONVERSATIONS,
        parts: PARTS,
        limit_per_window: ORDINARY_LIMIT,
        // A little of what happens to every workspace.
        merged_contacts: 2,
        deleted_contacts: 2,
        deleted_conversations: 1,
        ..WorkspaceSpec::default()
    };
    let others = count.saturating_sub(1).max(1);
    let spec = match play {
        Play::Giant => WorkspaceSpec {
            contacts: GIANT_CONTACTS * others,
            companies: GIANT_COMPANIES * others,
            conversations: GIANT_CONVERSATIONS * others,
            // Longer than Intercom shows: its thread ends as `truncated`.
            conversations_over_500: 1,
            ..base
        },
        Play::Restricted => WorkspaceSpec {
            conversations_plan: false,
            ..base
        },
        Play::Throttled => WorkspaceSpec {
            conversations: THROTTLED_CONVERSATIONS,
            limit_per_window: THROTTLED_LIMIT,
            ..base
        },
        Play::Revoked | Play::Ordinary => base,
    };
    Member { name, play, spec }
}

#[cfg(test)]
mod tests {
    use intercom_simulator::{Options, Simulator};

    use super::*;
    use crate::demo::floor::Sizes;

    #[tokio::test]
    async fn the_rate_limited_one_needs_more_calls_than_a_window_has() {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let spec = cast(25).remove(2).spec;
        let calls = Sizes::of(&simulator.add_workspace(spec.clone()).truth()).floor(true);
        assert!(
            calls > u64::from(spec.limit_per_window),
            "{calls} calls fit into one window"
        );
        assert!(
            calls < 2 * u64::from(spec.limit_per_window),
            "{calls} calls make the demo long"
        );
    }

    #[test]
    fn one_of_each_trouble_and_every_id_is_its_own() {
        let cast = cast(25);
        assert_eq!(cast.len(), 25);
        for play in [
            Play::Giant,
            Play::Restricted,
            Play::Throttled,
            Play::Revoked,
        ] {
            assert_eq!(
                cast.iter().filter(|member| member.play == play).count(),
                1,
                "{play:?}"
            );
        }
        let mut seeds: Vec<u64> = cast.iter().map(|member| member.spec.seed).collect();
        seeds.dedup();
        assert_eq!(seeds.len(), 25);
        assert!(cast.iter().all(|member| member.spec.check().is_ok()));
    }
}
