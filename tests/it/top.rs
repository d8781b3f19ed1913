//! `pathbound top` on a real terminal.

use intercom_simulator::WorkspaceSpec;
use serde_json::Value;
use shared::domain::Stream;

use crate::{
    operations::fail_for_good,
    support::{Process, Terminal, World, tiny},
};

const KEY: &str = "an-operator-key-for-the-terminal-only";

/// A world with two tenants, and a process that serves them.
async fn served() -> (World, Process) {
    let mut world = World::with(&[("OPERATOR_KEY", KEY)]).await;
    let (process, address) = world.listening("all");
    Process::until_ready(&address).await;
    for seed in 1..=2 {
        let spec = WorkspaceSpec { seed, ..tiny() };
        world.connect(spec).await.until_complete().await;
    }
    (world, process)
}

/// A member of every tenant, which is text.
fn of_tenants(world: &World, member: &str) -> Vec<String> {
    let output = world.command(&["-o", "json", "top"]);
    let reading: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = reading["tenants"].as_array().unwrap().iter();
    rows.map(|row| row[member].as_str().unwrap().to_owned())
        .collect()
}

/// The rows of the table that begin with a tenant's name.
fn rows<'s>(screen: &'s [String], names: &[String]) -> Vec<&'s str> {
    // Below the table the selected one is named again.
    let head = screen.iter().skip_while(|line| !line.starts_with("tenant"));
    let table = head.skip(1).take_while(|line| !line.is_empty());
    // A column has room for 18 letters.
    let is_of =
        |line: &str, name: &str| line.starts_with(&name.chars().take(18).collect::<String>());
    let of_tenant = |line: &&String| names.iter().any(|name| is_of(line, name));
    table.filter(of_tenant).map(String::as_str).collect()
}

fn has(screen: &[String], text: &str) -> bool {
    screen.iter().any(|line| line.contains(text))
}

async fn on_terminal(world: &World, arguments: &[&str], environment: &[(&str, &str)]) -> Terminal {
    let terminal = world.on_terminal(arguments, environment);
    terminal
        .until("the first frame", |screen| has(screen, "pathbound top"))
        .await;
    terminal
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_watches_sorts_searches_and_leaves_the_terminal_as_it_was() {
    let (world, _process) = served().await;
    let names = of_tenants(&world, "name");
    assert_eq!(names.len(), 2);
    let mut terminal = on_terminal(&world, &["top"], &[]).await;
    terminal
        .until("both tenants, and the selected one's budget", |screen| {
            rows(screen, &names).len() == 2
                && has(screen, "http://127.0.0.1:")
                && has(screen, "read-only")
                && has(screen, "workers: 1 (")
                && has(screen, "rate: ")
                && has(screen, "lag▾")
        })
        .await;
    assert!(!terminal.is_as_it_was());
    terminal.press("s");
    terminal
        .until("the order of names", |screen| has(screen, "tenant▾"))
        .await;
    terminal.press("/");
    // They have one name.
    terminal.press(&of_tenants(&world, "id")[0]);
    terminal.press("\r");
    terminal
        .until("one tenant", |screen| rows(screen, &names).len() == 1)
        .await;
    terminal.press("p");
    terminal
        .until("a refusal", |screen| has(screen, "--operate to act"))
        .await;
    terminal.press("k");
    // crossterm reads a key that comes at the moment of a new size with the next key only.
    terminal
        .until("the keys again", |screen| has(screen, "q quit"))
        .await;
    terminal.resize(12, 60);
    terminal
        .until("a frame of the new size", |screen| {
            screen.len() == 12
                && screen[11].contains("q quit")
                && screen.iter().all(|line| line.chars().count() <= 60)
                && rows(screen, &names).len() == 1
        })
        .await;
    terminal.press("q");
    assert!(terminal.ended().await.success());
    assert!(terminal.is_as_it_was());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_numbers_stay_with_their_age_and_sigterm_restores_the_screen() {
    let (world, mut process) = served().await;
    let names = of_tenants(&world, "name");
    let mut terminal = on_terminal(&world, &["top"], &[]).await;
    terminal
        .until("both tenants", |screen| rows(screen, &names).len() == 2)
        .await;
    process.kill();
    terminal
        .until("old numbers", |screen| {
            has(screen, "numbers are ")
                && has(screen, "could not reach")
                && rows(screen, &names).len() == 2
        })
        .await;
    // The fault is red, and the fleet has a colour only if it runs.
    assert!(terminal.is_coloured());
    terminal.terminate();
    assert!(terminal.ended().await.success());
    assert!(terminal.is_as_it_was());
    // A new one has nothing to show.
    assert_eq!(world.command(&["top"]).status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_pauses_and_resumes_after_a_confirmation() {
    let (world, _process) = served().await;
    let names = of_tenants(&world, "name");
    let terminal = on_terminal(&world, &["top", "--operate"], &[("NO_COLOR", "1")]).await;
    terminal
        .until("both tenants", |screen| rows(screen, &names).len() == 2)
        .await;
    let is_paused = |screen: &[String]| {
        rows(screen, &names)
            .iter()
            .any(|row| row.contains(" paused "))
    };
    terminal.press("p");
    terminal
        .until("a question", |screen| has(screen, "? y does it"))
        .await;
    terminal.press("n");
    terminal
        .until("the keys again", |screen| has(screen, "q quit"))
        .await;
    terminal.press("p");
    terminal
        .until("a question", |screen| has(screen, "? y does it"))
        .await;
    terminal.press("y");
    terminal.until("a pause", is_paused).await;
    assert!(!terminal.is_coloured());
    terminal.press("r");
    terminal
        .until("a question", |screen| has(screen, "resume "))
        .await;
    terminal.press("y");
    terminal
        .until("no pause", |screen| {
            rows(screen, &names).len() == 2 && !is_paused(screen)
        })
        .await;
    let actions = world.command(&["-o", "json", "actions"]);
    let actions: Value = serde_json::from_slice(&actions.stdout).unwrap();
    // The first question was answered with no.
    assert_eq!(actions["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_hears_how_many_dead_letters_are_retried() {
    let mut world = World::with(&[("OPERATOR_KEY", KEY)]).await;
    let (_process, address) = world.listening("api");
    Process::until_ready(&address).await;
    let case = world.connect(tiny()).await;
    fail_for_good(&case, Stream::Contacts, "status 503", 1).await;
    let names = of_tenants(&world, "name");
    let terminal = on_terminal(&world, &["top", "--operate"], &[]).await;
    terminal
        .until("the tenant", |screen| rows(screen, &names).len() == 1)
        .await;
    terminal.press("t");
    terminal
        .until("a question", |screen| has(screen, "? y does it"))
        .await;
    terminal.press("y");
    terminal
        .until("what was begun", |screen| {
            has(screen, "a scheduler retries 1 dead letter")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_frame_is_printed_as_text_without_a_terminal() {
    let (world, _process) = served().await;
    let names = of_tenants(&world, "name");
    let output = world.command(&["top"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "{text}");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(
        lines[0].starts_with("pathbound top  http://127.0.0.1:"),
        "{text}"
    );
    assert_eq!(rows(&lines, &names).len(), 2, "{text}");
}
