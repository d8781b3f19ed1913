//! What is left when the owner is ended without warning: nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Signal, kill_process_group};

use crate::support::{alive, eventually, first_line, open_directory, pid, servers};

#[test]
fn kill_9_of_the_owner_leaves_nothing() {
    let place = open_directory();
    let mut owner = owner(place.path(), "echo $PATHBOUND_REDIS_URL; exec sleep 600");
    let port = first_line(&mut owner)
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let redis: u32 = redis_pid(port);
    let postgres: u32 = postmaster(place.path());
    let reaper = rustix::process::getpgid(pid(redis)).unwrap();
    let reaper = u32::try_from(reaper.as_raw_nonzero().get()).unwrap();
    assert!([redis, postgres, reaper].into_iter().all(alive));
    kill9(&mut owner);
    eventually("all are gone", || {
        ![redis, postgres, reaper].into_iter().any(alive)
    });
    eventually("the directory is gone", || scratch(place.path()).is_empty());
}

/// Kills the owner at moments spread over the whole start, `initdb` included:
/// each place is new, so there is no template.
#[cfg(target_os = "linux")]
#[test]
fn kill_9_while_starting_leaves_nothing() {
    for turn in 0..10 {
        let place = open_directory();
        let mut owner = owner(place.path(), "exec true");
        std::thread::sleep(Duration::from_millis(turn * 110));
        kill9(&mut owner);
        eventually("all are gone", || processes_in(place.path()).is_empty());
        eventually("the directory is gone", || scratch(place.path()).is_empty());
    }
}

#[test]
fn ctrl_c_waits_for_the_command() {
    let place = open_directory();
    let script = "trap 'echo caught; kill -0 $SERVER && echo there; exit 3' INT; \
                  SERVER=$(head -n1 \"$TMPDIR\"/pathbound-servers-*/data/postmaster.pid); \
                  echo go; while :; do sleep 0.05; done";
    let mut owner = owner(place.path(), script);
    let mut output = BufReader::new(owner.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "go\n");
    // A terminal signals its whole foreground group.
    kill_process_group(pid(owner.id()).unwrap(), Signal::INT).unwrap();
    let rest: Vec<String> = output.lines().map(Result::unwrap).collect();
    assert_eq!(rest, ["caught", "there"]);
    assert_eq!(owner.wait().unwrap().code(), Some(3));
    assert_eq!(scratch(place.path()), Vec::<String>::new());
}

/// `servers run` with a temporary directory of its own, leading its own group.
fn owner(place: &Path, script: &str) -> Child {
    servers()
        .args(["run", "--", "sh", "-c", script])
        .env("TMPDIR", place)
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap()
}

/// Kills the owner, then the command, which is not the servers' business.
fn kill9(owner: &mut Child) {
    owner.kill().unwrap();
    owner.wait().unwrap();
    let _ = kill_process_group(pid(owner.id()).unwrap(), Signal::KILL);
}

fn redis_pid(port: u16) -> u32 {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    std::io::Write::write_all(&mut stream, b"INFO server\r\nQUIT\r\n").unwrap();
    BufReader::new(stream)
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("process_id:")?.parse().ok())
        .unwrap()
}

fn postmaster(place: &Path) -> u32 {
    let [directory] = scratch(place).try_into().unwrap();
    let text = fs::read_to_string(place.join(directory).join("data/postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

/// What the servers made for this start (the template cache may stay).
fn scratch(place: &Path) -> Vec<String> {
    let names = fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.starts_with("pathbound-servers-"))
        .collect()
}

/// Processes that work in the place or name it on their command line.
#[cfg(target_os = "linux")]
fn processes_in(place: &Path) -> Vec<u32> {
    let place = place.to_str().unwrap();
    let numbers = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok());
    numbers
        .filter(|number| {
            let link = fs::read_link(format!("/proc/{number}/cwd")).unwrap_or_default();
            let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            link.starts_with(place) || String::from_utf8_lossy(&line).contains(place)
        })
        .filter(|number| alive(*number))
        .collect()
}
