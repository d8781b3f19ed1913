//! One connection through the relay.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How often a direction looks whether its connection was frozen or closed.
const LOOK: Duration = Duration::from_millis(10);

/// Whether a connection carries bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    Open,
    /// No byte until the relay forwards again.
    Frozen,
    /// No byte ever again, and no end learns it.
    Abandoned,
    Closed,
}

#[derive(Debug)]
pub(super) struct Pipe {
    state: AtomicU8,
    client: TcpStream,
    /// `None` if the relay was frozen when the client came.
    server: Option<TcpStream>,
    /// How late each piece of an answer comes, in milliseconds. All connections of a relay share it.
    lateness: Arc<AtomicU64>,
}

impl Pipe {
    /// Forwards both directions until an end closes.
    pub(super) fn start(
        client: TcpStream,
        server: TcpStream,
        lateness: Arc<AtomicU64>,
    ) -> io::Result<Arc<Self>> {
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(LOOK))?;
        }
        let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
        let (from_server, to_client) = (server.try_clone()?, client.try_clone()?);
        let pipe = Arc::new(Self {
            state: AtomicU8::new(State::Open as u8),
            client,
            server: Some(server),
            lateness,
        });
        for (from, to, is_answer) in [
            (from_client, to_server, false),
            (from_server, to_client, true),
        ] {
            let pipe = Arc::clone(&pipe);
            thread::Builder::new()
                .name("relay-pipe".to_owned())
                .spawn(move || pipe.forward(from, to, is_answer))?;
        }
        Ok(pipe)
    }

    /// A connection that is accepted and never answered.
    pub(super) fn silent(client: TcpStream) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            state: AtomicU8::new(State::Abandoned as u8),
            client,
            server: None,
            lateness: Arc::default(),
        }))
    }

    /// Changes the state, unless it is final.
    pub(super) fn mark(&self, state: State) {
        // The closure refuses to leave a final state, so a failed update means that nothing is to be done.
        let _ = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now < State::Abandoned as u8).then_some(state as u8)
            });
    }

    pub(super) fn close(&self) {
        self.state.store(State::Closed as u8, Ordering::Release);
        for stream in [Some(&self.client), self.server.as_ref()]
            .into_iter()
            .flatten()
        {
            // An end that is closed already is what is wanted.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is(State::Closed)
    }

    fn is(&self, state: State) -> bool {
        self.state.load(Ordering::Acquire) == state as u8
    }

    /// Waits while the connection is frozen. Returns whether it carries bytes again.
    fn is_open_again(&self) -> bool {
        loop {
            if self.is(State::Open) {
                return true;
            }
            if self.is_closed() {
                return false;
            }
            thread::sleep(LOOK);
        }
    }

    fn forward(&self, mut from: TcpStream, mut to: TcpStream, is_answer: bool) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            // Nothing is read, so the kernel's buffers fill up as they do behind a firewall that drops packets.
            if !self.is_open_again() {
                return;
            }
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    if is_answer {
                        let late = self.lateness.load(Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(late));
                    }
                    // Frozen while it waited for these bytes.
                    if !self.is_open_again() {
                        return;
                    }
                    if to.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::TimedOut
                            | io::ErrorKind::Interrupted
                    ) => {}
                Err(_) => break,
            }
        }
        // An abandoned connection closes neither end.
        if !self.is(State::Abandoned) {
            self.close();
        }
    }
}
