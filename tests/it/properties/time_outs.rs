//! Answers that do not come in time, of each operation in turn: one that never comes, and one that never ends.

use futures::{StreamExt, stream};
use intercom_simulator::{Change, Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use shared::domain::Mode;

use super::{
    faults::{self, OPERATIONS},
    machine::{Wrong, play},
    plan::{Ending, Op, Plan},
    servers,
};
use crate::support::{OBJECTS, drip, hang, play as run, refusal};

/// Calls that get no answer in time: a call, its repetition at once, and the first of the next attempt.
const TIMES: u64 = 3;
/// Lives played at once: they mostly wait for time limits.
const AT_ONCE: usize = 8;

#[test]
fn an_answer_that_times_out_comes_later_for_every_call() {
    run(async {
        let lives = OPERATIONS
            .iter()
            .flat_map(|operation| [hang(), drip()].map(|how| (*operation, how)));
        let ended: Vec<Result<(), Wrong>> = stream::iter(lives)
            .map(|(operation, how)| late(operation, how))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        // All are told, because one defect shows in several operations.
        let wrong: Vec<Wrong> = ended.into_iter().filter_map(Result::err).collect();
        assert!(
            wrong.is_empty(),
            "{} of {}:\n{}",
            wrong.len(),
            2 * OPERATIONS.len(),
            wrong.join("\n")
        );
    });
}

/// A life that asks for the operation while it is late, and is exact as soon as it comes.
async fn late(operation: &'static str, how: FaultAction) -> Result<(), Wrong> {
    // All threads are asked for at once: each must have had its turn before one is late again.
    let times = if operation == "get_conversation" {
        5 + TIMES
    } else {
        TIMES
    };
    let fault = Fault::new(how).operation(operation).times(times);
    let name = faults::name(&fault);
    let (before, after) = around(operation);
    let plan = Plan::of([before, vec![Op::Break(fault)], after].concat());
    // Some companies are behind what a contact shows.
    let spec = WorkspaceSpec {
        companies: 30,
        contacts_over_10_companies: 0.5,
        ..plan.spec
    };
    match play(
        servers().await,
        &Plan {
            spec,
            ending: Ending::AtRest,
            ..plan
        },
    )
    .await
    {
        Ok(met) if met.contains(name) => Ok(()),
        Ok(met) => Err(format!("{operation} was not asked for: {met:?}")),
        Err(wrong) => Err(format!("{operation}, {name}: {wrong}")),
    }
}

/// What happens before an operation is late, and what then asks for it.
fn around(operation: &str) -> (Vec<Op>, Vec<Op>) {
    let change = |change, kind| Op::Change(Mutation::new(change, kind, 1).parts(1).seed(1));
    let ask = |mode| Op::Request {
        mode,
        streams: OBJECTS,
    };
    // The second walk that does not show them asks for them.
    let absent = |kind| {
        let before = vec![
            Op::Work,
            change(Change::Delete, kind),
            ask(Mode::Full),
            Op::Work,
        ];
        (before, vec![ask(Mode::Full), Op::Work])
    };
    match operation {
        "search_contacts" => (
            vec![Op::Work],
            vec![
                change(Change::Update, Kind::Contact),
                ask(Mode::Incremental),
                Op::Work,
            ],
        ),
        "get_contact" => absent(Kind::Contact),
        "get_company" => absent(Kind::Company),
        "exchange_token" => (vec![Op::Work], vec![Op::Reconnect, Op::Work]),
        // Whether the token lives that a list was refused with.
        "me" => {
            let refused = Fault::new(refusal(401, "unauthorized"))
                .operation("list_contacts")
                .times(TIMES);
            (vec![Op::Break(refused)], vec![Op::Work])
        }
        // The first sync asks for everything else.
        _ => (Vec::new(), vec![Op::Work]),
    }
}
