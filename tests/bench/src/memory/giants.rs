//! A worker's memory while threads of 20 MB come, all due at once: the response memory bounds the bodies, and
//! this shows what they are with all that is made of them.

use intercom_simulator::{Kind, Mutation, Options, Simulator, Workspace, WorkspaceSpec};

use crate::{
    fleet::Fleet,
    report::{Failure, Report, SEED},
    roles::NO_LIMIT,
    sync::WORKSPACE,
};

const GIANTS: usize = 8;
/// Only the newest 500 of them are ever shown.
const PARTS: u32 = 1_200;
/// Of each shown part's body: 20 MB in all.
const BODY: usize = 40_000;

pub(super) async fn measure(report: &mut Report) -> Result<(), Failure> {
    println!(
        "one worker process on {GIANTS} threads of 20 MB beside 200 small ones, and on the small ones alone"
    );
    let alone = peak(0).await?;
    report.add("memory.worker_peak_mib", alone, "MiB", None);
    report.add(
        "memory.worker_peak_mib_beside",
        peak(GIANTS).await?,
        "MiB",
        Some(alone),
    );
    Ok(())
}

async fn peak(giants: usize) -> Result<f64, Failure> {
    // In this process: its memory is not the worker's.
    let simulator = Simulator::start(Options {
        ledger_rows: false,
        ..Options::default()
    })
    .await?;
    let conversations = 200;
    let workspace = simulator.add_workspace(WorkspaceSpec {
        id_code: Some(WORKSPACE.to_owned()),
        seed: SEED,
        contacts: 100,
        companies: 0,
        conversations,
        limit_per_window: NO_LIMIT,
        ..WorkspaceSpec::default()
    });
    (0..giants).try_for_each(|_| grow_giant(&workspace))?;
    let fleet = Fleet::start(&simulator.url()).await?;
    let status = fleet.until_complete().await?;
    let threads = &status["threads"];
    if threads["complete"] != conversations || threads["truncated"] != giants {
        return Err(format!("not all threads are held: {status}").into());
    }
    let peak = fleet.worker_peak_mib();
    drop(fleet);
    simulator.stop().await;
    Ok(peak)
}

fn grow_giant(workspace: &Workspace) -> Result<(), Failure> {
    let giant = workspace.mutate(Mutation::add(Kind::Conversation, 1))[0].clone();
    workspace.mutate(
        Mutation::grow(Kind::Conversation, 1)
            .ids([giant.clone()])
            .parts(PARTS),
    );
    for part in workspace.truth() {
        if part.kind == Kind::Part && part.parent.as_ref() == Some(&giant) && !part.hidden {
            let mut object = part.value();
            object["body"] = "x".repeat(BODY).into();
            if !workspace.put_raw(Kind::Part, &part.id, object.to_string()) {
                return Err(format!("there is no part {}", part.id).into());
            }
        }
    }
    Ok(())
}
