//! A terminal with a command on it, and what its screen shows.

use std::{
    io::{Read as _, Write as _},
    num::NonZeroU16,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use pty_process::{
    Size,
    blocking::{Pty, open},
};

use super::{PATIENCE, Recording, cast::rows_of, wait_for};

/// A terminal. Its command is killed when it is dropped.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
    recording: Arc<Mutex<Recording>>,
    reading: JoinHandle<()>,
}

impl Terminal {
    pub(crate) fn start(command: pty_process::blocking::Command, rows: u16, columns: u16) -> Self {
        let (pty, inner) = open().expect("a terminal");
        pty.resize(Size::new(rows, columns)).expect("a size");
        let command = command.env("TERM", "xterm-256color");
        let child = command.spawn(inner).expect("the binary starts");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size(rows), size(columns), 0)));
        let pty = Arc::new(pty);
        let (output, shown) = (Arc::clone(&pty), Arc::clone(&screen));
        let recording = Arc::<Mutex<Recording>>::default();
        let (kept, begun) = (Arc::clone(&recording), Instant::now());
        // It ends when the command has closed the terminal.
        let reading = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = (&*output).read(&mut bytes) {
                let now = (begun.elapsed(), bytes[..read].to_vec());
                kept.lock().unwrap().push(now);
                shown.lock().unwrap().process(&bytes[..read]);
            }
        });
        Self {
            pty,
            child,
            screen,
            recording,
            reading,
        }
    }

    pub(crate) fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).expect("it reads");
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let mut screen = self.screen.lock().unwrap();
        self.pty.resize(Size::new(rows, columns)).expect("a size");
        // What the command draws next is of the new size.
        screen.screen_mut().set_size(size(rows), size(columns));
    }

    /// Everything that it was sent so far.
    pub(crate) fn recording(&self) -> Recording {
        self.recording.lock().unwrap().clone()
    }

    /// The lines of the screen.
    pub(crate) fn lines(&self) -> Vec<String> {
        let screen = self.screen.lock().unwrap();
        rows_of(screen.screen())
    }

    /// What a program that draws on the whole screen has to undo.
    pub(crate) fn is_as_it_was(&self) -> bool {
        let screen = self.screen.lock().unwrap();
        let screen = screen.screen();
        !screen.alternate_screen() && !screen.hide_cursor()
    }

    /// Whether anything on the screen has a colour.
    pub(crate) fn is_coloured(&self) -> bool {
        let screen = self.screen.lock().unwrap();
        let screen = screen.screen();
        let (rows, columns) = screen.size();
        let cells =
            (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        let mut cells = cells.filter_map(|(row, column)| screen.cell(row, column));
        cells.any(|cell| cell.fgcolor() != vt100::Color::Default)
    }

    /// Waits until the screen is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&[String]) -> bool) {
        wait_for(what, async || {
            let lines = self.lines();
            is_so(&lines).then_some(()).ok_or(lines.join("\n"))
        })
        .await;
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("a kill program").success());
    }

    /// Waits until the command has ended and the screen shows all that it has written.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            let status = self.child.try_wait().expect("it can be asked");
            if let Some(status) = status.filter(|_| self.reading.is_finished()) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn size(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).expect("a terminal has a size")
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
