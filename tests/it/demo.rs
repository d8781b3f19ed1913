//! A demo that is broken while it runs.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::tempdir;

use crate::support::{Terminal, asciicast, assert_shape, last_screen, normalised, svg};

const PATHBOUND: &str = env!("CARGO_BIN_EXE_pathbound-under-test");

/// A command beside the demos whose sockets are in this directory.
fn beside(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(PATHBOUND);
    command.args(arguments).env("XDG_RUNTIME_DIR", directory);
    command.output().unwrap()
}

fn refused(output: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), text)
}

/// A small demo that stays up.
struct Demo(Child);

impl Demo {
    /// Returns when the demo has printed its report, with that.
    fn start(directory: &Path) -> (Self, Value) {
        let mut child = Command::new(PATHBOUND)
            .args(["demo", "--smoke", "--keep", "--tenants", "5"])
            .env("XDG_RUNTIME_DIR", directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let demo = Self(child);
        (demo, serde_json::from_str(&line).unwrap())
    }

    /// SIGTERM. Returns whether it has ended well.
    fn stop(mut self) -> bool {
        let told = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(told.unwrap().success());
        self.0.wait().unwrap().success()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn no_fault_costs_a_running_demo_a_record() {
    let scratch = tempdir().unwrap();
    let (demo, report) = Demo::start(scratch.path());
    assert_shape("demo", &report);
    assert_eq!(report["exact"], true, "{report}");
    // Each says what broke, and what the fleet has done about it.
    let faults = [
        (
            "kill-worker",
            [
                "killed it with SIGKILL",
                "the other workers have taken over",
            ],
        ),
        ("redis-flush", ["emptied Redis", "tickets are live again"]),
        (
            "postgres-restart",
            ["/readyz answers 503", "/readyz answers 200"],
        ),
        (
            "429-storm",
            ["answers every call with 429", "calls were refused"],
        ),
    ];
    let settings = beside(scratch.path(), &["-o", "json", "demo", "env"]);
    assert_shape(
        "demo env",
        &serde_json::from_slice(&settings.stdout).unwrap(),
    );
    let settings: BTreeMap<String, String> = serde_json::from_slice(&settings.stdout).unwrap();
    let overview = Command::new(PATHBOUND)
        .args(["-o", "json", "overview"])
        .envs(settings)
        .output()
        .unwrap();
    let overview: Value = serde_json::from_slice(&overview.stdout).unwrap();
    assert_eq!(overview["fleet"]["data"]["tenants"]["count"], 5);
    let mut records = 1;
    for (fault, happened) in faults {
        let output = beside(scratch.path(), &["-o", "json", "demo", "chaos", fault]);
        let (code, text) = refused(&output);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert_eq!(code, 0, "{fault}: {report} {text}");
        assert_shape("demo chaos", &report);
        assert_eq!(report["fault"], fault);
        assert_eq!(report["exact"], true, "{report}");
        for count in ["missing", "extra", "different"] {
            assert_eq!(report[count], 0, "{report}");
        }
        assert!(report["changes"].as_u64().unwrap() > 0, "{report}");
        for sentence in happened {
            assert!(text.contains(sentence), "{fault}: {text}");
        }
        // People have added some, and none was lost.
        let now = report["records"].as_u64().unwrap();
        assert!(now >= records, "{now} of {records}");
        records = now;
    }
    let (code, text) = refused(&beside(
        scratch.path(),
        &["demo", "chaos", "redis-flush", "--demo", "1"],
    ));
    assert_eq!(code, 3);
    assert!(text.contains("no such demo runs"), "{text}");
    assert!(demo.stop());
    let left = fs::read_dir(scratch.path().join("pathbound")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn a_fault_needs_a_demo_in_a_directory_of_this_user_alone() {
    let scratch = tempdir().unwrap();
    let ask = || refused(&beside(scratch.path(), &["demo", "chaos", "kill-worker"]));
    let (code, text) = ask();
    assert_eq!(code, 3);
    assert!(text.contains("none runs for this user"), "{text}");
    let directory = scratch.path().join("pathbound");
    // A demo that was killed leaves its socket.
    let stale = directory.join("demo-1.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert_eq!(ask().0, 3);
    assert!(!stale.exists());
    fs::set_permissions(&directory, Permissions::from_mode(0o750)).unwrap();
    let (code, text) = ask();
    assert_eq!(code, 1);
    assert!(
        text.contains("not a directory of this user alone"),
        "{text}"
    );
}

const TITLE: &str = "pathbound demo";
const ROWS: u16 = 40;
const COLUMNS: u16 = 80;

/// The recording and the picture that the README shows are of this build: `make cast` makes them anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_on_a_terminal_what_the_readme_shows() {
    let scratch = tempdir().unwrap();
    let command = pty_process::blocking::Command::new(PATHBOUND)
        .arg0("pathbound")
        .arg("demo")
        .env("XDG_RUNTIME_DIR", scratch.path())
        .env_remove("NO_COLOR");
    let mut terminal = Terminal::start(command, ROWS, COLUMNS);
    let end = "Ctrl-C ends the demo";
    terminal
        .until("the box", |screen| {
            screen.iter().any(|line| line.contains(end))
        })
        .await;
    let cast = asciicast(&terminal.recording(), ROWS, COLUMNS, TITLE);
    let shown = last_screen(&cast);
    let screen = shown.screen();
    // Of the 16 colours that every terminal has.
    let cells = (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| (row, column)));
    let mut cells = cells.filter_map(|(row, column)| screen.cell(row, column));
    assert!(cells.all(|cell| match cell.fgcolor() {
        vt100::Color::Default => true,
        vt100::Color::Idx(colour) => colour < 16,
        vt100::Color::Rgb(..) => false,
    }));
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/pictures");
    if std::env::var("CAST").is_ok_and(|mode| mode == "write") {
        fs::write(pictures.join("demo.cast"), &cast).unwrap();
        fs::write(pictures.join("demo.svg"), svg(screen, TITLE)).unwrap();
    }
    let kept = |name: &str| fs::read_to_string(pictures.join(name)).unwrap_or_default();
    let committed = last_screen(&kept("demo.cast"));
    assert_eq!(
        normalised(committed.screen()),
        normalised(screen),
        "demo.cast is of another build: run `make cast` and commit the result"
    );
    assert_eq!(kept("demo.svg"), svg(committed.screen(), TITLE));
    terminal.press("\u{3}");
    assert!(terminal.ended().await.success());
}
