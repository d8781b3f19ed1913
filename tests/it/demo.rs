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
