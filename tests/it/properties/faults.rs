//! How calls break: drawn, each on an operation that it may befall.

use intercom_simulator::{Fault, FaultAction, Garble};

use simulation::rng::Rng;

use crate::support::{drip, hang, refusal};

/// Every operation that the sync asks Intercom for, and the two of connecting a workspace.
pub(super) const OPERATIONS: &[&str] = &[
    "me",
    "exchange_token",
    "list_admins",
    "list_teams",
    "list_tags",
    "list_segments",
    "data_attributes",
    "conversation_attributes",
    "deleted_conversations",
    "list_contacts",
    "search_contacts",
    "get_contact",
    "contact_companies",
    "scroll_companies",
    "get_company",
    "search_conversations",
    "get_conversation",
];

/// Calls of one operation, or of any. Mostly a few, and now and then all until they are healed.
pub(super) fn fault(rng: &mut Rng) -> Fault {
    let paged = [
        "list_contacts",
        "search_contacts",
        "search_conversations",
        "scroll_companies",
    ];
    let all = [
        &paged[..],
        &[
            "get_conversation",
            "get_company",
            "get_contact",
            "contact_companies",
            "list_tags",
            "deleted_conversations",
        ],
    ]
    .concat();
    let (action, on) = match rng.between(0, 14) {
        0 => (refusal(429, "rate_limit_exceeded"), *rng.pick(&all)),
        1 => (refusal(500, "server_error"), *rng.pick(&all)),
        2 => (refusal(503, "service_unavailable"), *rng.pick(&all)),
        3 => (FaultAction::Html { status: 502 }, *rng.pick(&all)),
        4 => (FaultAction::Empty, *rng.pick(&all)),
        5 => (FaultAction::Reset, *rng.pick(&all)),
        6 => (FaultAction::Truncate { keep: 40 }, *rng.pick(&all)),
        // The cursor is dead.
        7 => (refusal(400, "parameter_invalid"), *rng.pick(&paged[..3])),
        8 => (
            refusal(404, "not_found"),
            *rng.pick(&[
                "scroll_companies",
                "get_company",
                "contact_companies",
                "search_conversations",
            ]),
        ),
        9 => (FaultAction::RepeatCursor, *rng.pick(&paged[..3])),
        10 => (FaultAction::Unsorted, *rng.pick(&paged[..3])),
        11 => (
            refusal(403, "api_plan_restricted"),
            *rng.pick(&["search_conversations", "get_conversation"]),
        ),
        12 => (
            refusal(401, "unauthorized"),
            *rng.pick(&[
                "list_contacts",
                "scroll_companies",
                "search_conversations",
                "list_tags",
            ]),
        ),
        _ => {
            let how = *rng.pick(&[
                Garble::WrongTypes,
                Garble::NotAnObject,
                Garble::NoId,
                Garble::NulCharacter,
            ]);
            let (on, part) = *rng.pick(&[
                ("list_contacts", false),
                ("search_contacts", false),
                ("scroll_companies", false),
                ("search_conversations", false),
                ("get_conversation", true),
            ]);
            (
                FaultAction::Garble {
                    how,
                    id: None,
                    place: rng.between(0, 3) as usize,
                    part,
                },
                on,
            )
        }
    };
    let fault = Fault::new(action).skip(rng.between(0, 4) as u64);
    // A fault without an end lasts until the life heals it.
    let fault = if rng.chance(85) {
        fault.times(rng.between(1, 5) as u64)
    } else {
        fault
    };
    fault.operation(on)
}

/// Answers that do not come in time, of any operation. A few: each costs a life the whole time limit.
pub(super) fn time_out(rng: &mut Rng) -> Fault {
    // Half of them of what every life asks for.
    let often = [
        "list_contacts",
        "scroll_companies",
        "search_conversations",
        "get_conversation",
        "list_tags",
    ];
    let on = *if rng.chance(50) {
        rng.pick(&often)
    } else {
        rng.pick(OPERATIONS)
    };
    let action = if rng.chance(50) { hang() } else { drip() };
    Fault::new(action)
        .operation(on)
        .skip(rng.between(0, 3) as u64)
        .times(rng.between(1, 4) as u64)
}

/// What a life calls the fault, once it was met.
pub(super) const fn name(fault: &Fault) -> &'static str {
    match fault.action {
        FaultAction::Delay { .. } => "never",
        FaultAction::Drip { .. } => "drip",
        FaultAction::Choke { .. } => "choke",
        _ => "fault",
    }
}
