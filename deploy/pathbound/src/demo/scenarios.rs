//! The workspaces of the demo: most are ordinary, and four have a special scenario.

use intercom_simulator::WorkspaceSpec;

/// What a workspace demonstrates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing special.
    Ordinary,
    /// Has as many records as all others together, and must not delay them.
    Giant,
    /// Its plan does not include conversations: that stream is blocked, the others complete.
    Restricted,
    /// Allowed so few calls that its sync spans several rate windows.
    Throttled,
    /// Its token is revoked after the first sync. The next sync keeps the data and tells what to do.
    Revoked,
}

impl Scenario {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Ordinary,
        Self::Giant,
        Self::Restricted,
        Self::Throttled,
        Self::Revoked,
    ];

    /// The name in tables.
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
pub struct DemoTenant {
    pub name: String,
    pub scenario: Scenario,
    pub spec: WorkspaceSpec,
}

/// Calls per 10-second window of an ordinary workspace: 10,000 a minute.
const ORDINARY_LIMIT: u32 = 1_667;

/// An ordinary workspace: some 420 records.
const CONTACTS: u32 = 105;
const COMPANIES: u32 = 25;
const CONVERSATIONS: u32 = 42;
const PARTS: f64 = 6.0;

/// The giant has fewer conversations for the same number of records, because large support teams have longer
/// threads.
const GIANT_CONTACTS: u32 = 115;
const GIANT_COMPANIES: u32 = 20;
const GIANT_CONVERSATIONS: u32 = 38;

/// More threads than one window has calls, so that at least two are needed (a test counts them).
const THROTTLED_CONVERSATIONS: u32 = 108;
const THROTTLED_LIMIT: u32 = 85;

/// Regions and time zones in turn: contact search counts in days of the zone.
const REGIONS: [(&str, &str); 7] = [
    ("US", "America/Los_Angeles"),
    ("EU", "Europe/Dublin"),
    ("AU", "Australia/Sydney"),
    ("US", "America/New_York"),
    ("EU", "Asia/Kolkata"),
    ("AU", "Pacific/Auckland"),
    ("US", "Pacific/Honolulu"),
];

/// `count` tenants: the giant, the three special ones, then ordinary ones. Always the same.
#[must_use]
pub fn demo_tenants(count: u32) -> Vec<DemoTenant> {
    (0..count)
        .map(|number| demo_tenant(number, count))
        .collect()
}

fn demo_tenant(number: u32, count: u32) -> DemoTenant {
    let scenario = match number {
        0 => Scenario::Giant,
        1 => Scenario::Restricted,
        2 => Scenario::Throttled,
        3 => Scenario::Revoked,
        _ => Scenario::Ordinary,
    };
    let name = format!("{} {number:02}", scenario.name());
    let base = ordinary(number, name.clone());
    // The giant has as many records as all others together.
    let others = count.saturating_sub(1).max(1);
    let spec = match scenario {
        Scenario::Giant => WorkspaceSpec {
            contacts: GIANT_CONTACTS * others,
            companies: GIANT_COMPANIES * others,
            conversations: GIANT_CONVERSATIONS * others,
            // Longer than Intercom shows: its thread ends as `truncated`.
            conversations_over_500: 1,
            ..base
        },
        Scenario::Restricted => WorkspaceSpec {
            conversations_plan: false,
            ..base
        },
        Scenario::Throttled => WorkspaceSpec {
            conversations: THROTTLED_CONVERSATIONS,
            limit_per_window: THROTTLED_LIMIT,
            ..base
        },
        Scenario::Revoked | Scenario::Ordinary => base,
    };
    DemoTenant {
        name,
        scenario,
        spec,
    }
}

fn ordinary(number: u32, name: String) -> WorkspaceSpec {
    let (region, timezone) = REGIONS[number as usize % REGIONS.len()];
    WorkspaceSpec {
        name,
        seed: 1_000 + u64::from(number),
        region: region.to_owned(),
        timezone: timezone.to_owned(),
        contacts: CONTACTS,
        companies: COMPANIES,
        conversations: CONVERSATIONS,
        parts: PARTS,
        limit_per_window: ORDINARY_LIMIT,
        // Every workspace has some merged and deleted objects.
        merged_contacts: 2,
        deleted_contacts: 2,
        deleted_conversations: 1,
        ..WorkspaceSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use intercom_simulator::{Options, Simulator};

    use super::*;
    use crate::demo::floor::Sizes;

    #[tokio::test]
    async fn the_rate_limited_one_needs_more_calls_than_a_window_has() {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let spec = demo_tenants(25).remove(2).spec;
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
        let demo_tenants = demo_tenants(25);
        assert_eq!(demo_tenants.len(), 25);
        for scenario in [
            Scenario::Giant,
            Scenario::Restricted,
            Scenario::Throttled,
            Scenario::Revoked,
        ] {
            assert_eq!(
                demo_tenants
                    .iter()
                    .filter(|demo_tenant| demo_tenant.scenario == scenario)
                    .count(),
                1,
                "{scenario:?}"
            );
        }
        let mut seeds: Vec<u64> = demo_tenants
            .iter()
            .map(|demo_tenant| demo_tenant.spec.seed)
            .collect();
        seeds.dedup();
        assert_eq!(seeds.len(), 25);
        assert!(
            demo_tenants
                .iter()
                .all(|demo_tenant| demo_tenant.spec.check().is_ok())
        );
    }
}
