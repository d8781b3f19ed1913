//! The demo's side: a unix socket that only this user can reach.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    report::{ChaosReport, Reply, Request},
    rounded,
};
use crate::{cli::ChaosFault, failure::Failure};

/// A caller sends its one line at once.
const ASKED_WITHIN: Duration = Duration::from_secs(2);
/// Callers that wait for a fault of another one.
const CALLERS: usize = 8;

/// The settings of a demo, as variables and their values.
pub type Settings = Vec<(String, String)>;

/// The socket of one demo. Dropping it removes the socket and ends every wait.
#[derive(Debug)]
pub struct Door {
    path: PathBuf,
    settings: watch::Sender<Settings>,
    callers: mpsc::Receiver<Caller>,
    /// Ends with this value.
    _listening: JoinSet<()>,
}

impl Door {
    /// Opens the socket of this process. Callers wait until the demo takes them.
    ///
    /// # Errors
    /// If the directory is not this user's alone, or the socket cannot be made.
    pub fn open() -> Result<Self, Failure> {
        let directory = directory()?;
        let path = directory.join(format!("demo-{}.sock", std::process::id()));
        // Left by a process of the same id that was killed.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(|error| {
            Failure::failed(format!("could not listen on {}", path.display()), error)
        })?;
        let (to_callers, callers) = mpsc::channel(CALLERS);
        let settings = watch::Sender::default();
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, to_callers, settings.subscribe()));
        Ok(Self {
            path,
            settings,
            callers,
            _listening: listening,
        })
    }

    /// Says what the demo's settings are, from now on.
    pub(in crate::demo) fn publish(&self, settings: &Settings) {
        self.settings.send_replace(settings.clone());
    }

    /// The next caller that asks for a fault.
    pub(super) async fn caller(&mut self) -> Caller {
        match self.callers.recv().await {
            Some(caller) => caller,
            // The listener never ends before this value.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

async fn listen(
    listener: UnixListener,
    callers: mpsc::Sender<Caller>,
    settings: watch::Receiver<Settings>,
) {
    let mut taken = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    taken.spawn(take(stream, callers.clone(), settings.clone()));
                }
                // Such as too many open files, which pass.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = taken.join_next() => {}
        }
    }
}

/// One connection. A command that looks which demos run connects and asks for nothing.
async fn take(
    stream: UnixStream,
    callers: mpsc::Sender<Caller>,
    mut settings: watch::Receiver<Settings>,
) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let asked = tokio::time::timeout(ASKED_WITHIN, stream.read_line(&mut line)).await;
    let (Ok(Ok(_)), Ok(request)) = (asked, serde_json::from_str(&line)) else {
        return;
    };
    let mut stream = stream.into_inner();
    match request {
        Request::Play(fault) => {
            let begun = Instant::now();
            let caller = Caller {
                fault,
                stream,
                begun,
            };
            let _ = callers.send(caller).await;
        }
        Request::Settings => {
            // They are known once the servers are up.
            let known = settings.wait_for(|known| !known.is_empty()).await;
            if let Ok(known) = known.map(|known| known.clone()) {
                send(&mut stream, &Reply::Settings(known)).await;
            }
        }
    }
}

/// One that has asked for a fault. If it goes away, the fault ends as it would have.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) fault: ChaosFault,
    stream: UnixStream,
    begun: Instant,
}

impl Caller {
    /// Its time begins anew, because it may have waited.
    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
    }

    pub(super) async fn say(&mut self, text: impl Into<String>) {
        let seconds = rounded(self.begun.elapsed());
        let text = text.into();
        send(&mut self.stream, &Reply::Said { seconds, text }).await;
    }

    pub(super) async fn end(mut self, played: Result<ChaosReport, Failure>) {
        let reply = match played {
            Ok(report) => Reply::Ended(report),
            Err(failure) => Reply::Failed(failure.line()),
        };
        send(&mut self.stream, &reply).await;
    }
}

async fn send(stream: &mut UnixStream, reply: &Reply) {
    if let Ok(mut line) = serde_json::to_string(reply) {
        line.push('\n');
        // A caller that has gone needs to know nothing.
        let _ = stream.write_all(line.as_bytes()).await;
    }
}

/// Where the sockets of this user's demos are. It makes the directory, which no other user can enter.
///
/// # Errors
/// If another user has made it, or it is open to others.
pub(super) fn directory() -> Result<PathBuf, Failure> {
    let user = rustix::process::getuid().as_raw();
    let directory = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) if Path::new(&runtime).is_dir() => Path::new(&runtime).join("pathbound"),
        // Shared with others, so the name has the user's number.
        _ => std::env::temp_dir().join(format!("pathbound-{user}")),
    };
    let failed = |error: io::Error| {
        Failure::failed(
            format!("could not make the directory {}", directory.display()),
            error,
        )
    };
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    let found = fs::symlink_metadata(&directory).map_err(failed)?;
    if !found.is_dir() || found.uid() != user || found.mode() & 0o077 != 0 {
        return Err(Failure::because(format!(
            "{} is not a directory of this user alone, so remove it",
            directory.display()
        )));
    }
    Ok(directory)
}
