//! A TCP relay between a client and a server, for what a server does not do by itself: to vanish without a reset, to
//! accept and never answer, to move behind its address while old sockets stay open.
//!
//! A relay works with threads and needs no runtime, so it also runs beside a process that is tested.

mod pipe;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use pipe::{Pipe, State};

/// How long the listener sleeps when no client knocks.
const ACCEPT_PAUSE: Duration = Duration::from_millis(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A listening relay. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    port: u16,
}

#[derive(Debug)]
struct Shared {
    control: Mutex<Control>,
    pipes: Mutex<Vec<Arc<Pipe>>>,
    /// How late each piece of an answer comes, in milliseconds.
    lateness: Arc<AtomicU64>,
}

/// What happens to new connections.
#[derive(Clone, Copy, Debug)]
struct Control {
    target: SocketAddr,
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Forward,
    /// New connections are accepted and never answered.
    Freeze,
    /// New connections meet a closed port.
    Refuse,
    Closed,
}

impl Relay {
    /// Listens on a free loopback port and forwards to `target`, such as `127.0.0.1:5432`.
    ///
    /// # Errors
    /// If `target` is no socket address, or no port can be had.
    pub fn start(target: &str) -> io::Result<Self> {
        let target = parse(target)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            control: Mutex::new(Control {
                target,
                mode: Mode::Forward,
            }),
            pipes: Mutex::default(),
            lateness: Arc::default(),
        });
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || of_thread.listen(listener, port))?;
        Ok(Self { shared, port })
    }

    /// `127.0.0.1:PORT`, where clients connect.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `url` with its first `host:port` replaced by the relay's.
    #[must_use]
    pub fn of_url(&self, url: &str) -> String {
        let server = self.shared.control.lock().target.to_string();
        url.replacen(&server, &self.address(), 1)
    }

    /// Forwards again, new connections and those that [`Relay::freeze`] froze.
    pub fn forward(&self) {
        self.shared.set_mode(Mode::Forward);
        self.shared.mark_all(State::Open);
    }

    /// Stops both directions of every connection and keeps the sockets open. New connections are accepted and
    /// never answered.
    pub fn freeze(&self) {
        self.shared.set_mode(Mode::Freeze);
        self.shared.mark_all(State::Frozen);
    }

    /// Each piece of an answer comes so late, as from a server far away or under load.
    pub fn delay(&self, lateness: Duration) {
        let millis = u64::try_from(lateness.as_millis()).unwrap_or(u64::MAX);
        self.shared.lateness.store(millis, Ordering::Relaxed);
    }

    /// The connections that are open now never carry a byte again, and their ends do not learn it. New connections
    /// are served.
    pub fn abandon(&self) {
        self.shared.set_mode(Mode::Forward);
        self.shared.mark_all(State::Abandoned);
    }

    /// Closes every connection. New ones are served.
    pub fn cut(&self) {
        for pipe in self.shared.pipes.lock().drain(..) {
            pipe.close();
        }
    }

    /// Closes every connection and the port.
    pub fn refuse(&self) {
        self.shared.set_mode(Mode::Refuse);
        self.cut();
    }

    /// New connections go to `target`. Those that are open now stay where they are.
    ///
    /// # Errors
    /// If `target` is no socket address.
    pub fn point_at(&self, target: &str) -> io::Result<()> {
        self.shared.control.lock().target = parse(target)?;
        Ok(())
    }

    /// Connections that neither end has closed.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        let mut pipes = self.shared.pipes.lock();
        pipes.retain(|pipe| !pipe.is_closed());
        pipes.len()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.set_mode(Mode::Closed);
        self.cut();
    }
}

impl Shared {
    fn set_mode(&self, mode: Mode) {
        self.control.lock().mode = mode;
    }

    fn mark_all(&self, state: State) {
        for pipe in self.pipes.lock().iter() {
            pipe.mark(state);
        }
    }

    fn listen(self: Arc<Self>, listener: TcpListener, port: u16) {
        let mut listener = Some(listener);
        loop {
            let mode = self.control.lock().mode;
            match mode {
                Mode::Closed => return,
                // Only a listener that is gone makes the kernel refuse.
                Mode::Refuse => listener = None,
                Mode::Forward | Mode::Freeze if listener.is_none() => {
                    listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
                }
                Mode::Forward | Mode::Freeze => {}
            }
            match listener.as_ref().map(accept) {
                Some(Ok(client)) => self.serve(client),
                _ => thread::sleep(ACCEPT_PAUSE),
            }
        }
    }

    /// Connects to the server and starts to forward. A server that cannot be reached costs the client its connection.
    fn serve(&self, client: TcpStream) {
        // They are read only now, because a client that comes after a change must meet the changed relay.
        let Control { target, mode } = *self.control.lock();
        // A frozen relay must not need its server, because the server may be frozen as well.
        let pipe = if mode == Mode::Freeze {
            Pipe::silent(client)
        } else {
            match TcpStream::connect_timeout(&target, CONNECT_TIMEOUT) {
                Ok(server) => Pipe::start(client, server, Arc::clone(&self.lateness)),
                Err(_) => return,
            }
        };
        let mut pipes = self.pipes.lock();
        pipes.retain(|pipe| !pipe.is_closed());
        pipes.extend(pipe.ok());
        // The mode may have changed while the connection was made.
        let mode = self.control.lock().mode;
        for pipe in pipes.iter() {
            match mode {
                Mode::Forward => {}
                Mode::Freeze => pipe.mark(State::Frozen),
                Mode::Refuse | Mode::Closed => pipe.close(),
            }
        }
    }
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let (client, _) = listener.accept()?;
    client.set_nonblocking(false)?;
    Ok(client)
}

fn parse(target: &str) -> io::Result<SocketAddr> {
    target
        .parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

#[cfg(test)]
mod tests;
