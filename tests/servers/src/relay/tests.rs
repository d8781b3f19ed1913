use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use super::Relay;

/// An answer that comes is waited for as long as a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// An answer that must not come is waited for this long.
const MOMENT: Duration = Duration::from_millis(300);

/// A server that answers each line with its own name.
fn server(name: &'static str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut client = BufReader::new(client);
                let mut line = String::new();
                while client.read_line(&mut line).is_ok_and(|read| read > 0) {
                    line.clear();
                    if writeln!(client.get_mut(), "{name}").is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A client of a relay.
struct Client(BufReader<TcpStream>);

impl Client {
    fn of(relay: &Relay) -> Option<Self> {
        let stream = TcpStream::connect(relay.address()).ok()?;
        Some(Self(BufReader::new(stream)))
    }

    /// The server's name, or `None` if no answer comes in time.
    fn ask(&mut self, limit: Duration) -> Option<String> {
        writeln!(self.0.get_mut(), "name").ok()?;
        self.answer(limit)
    }

    fn answer(&mut self, limit: Duration) -> Option<String> {
        let stream = self.0.get_ref();
        stream.set_read_timeout(Some(limit)).expect("a timeout");
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(read) if read > 0 => Some(line.trim().to_owned()),
            _ => None,
        }
    }
}

fn ask_anew(relay: &Relay, limit: Duration) -> Option<String> {
    Client::of(relay)?.ask(limit)
}

#[test]
fn a_frozen_relay_is_silent_and_goes_on_where_it_stopped() {
    let relay = Relay::start(&server("a")).expect("a relay");
    let mut old = Client::of(&relay).expect("a connection");
    assert_eq!(old.ask(PATIENCE).as_deref(), Some("a"));
    relay.freeze();
    assert_eq!(old.ask(MOMENT), None);
    assert_eq!(ask_anew(&relay, MOMENT), None);
    relay.forward();
    assert_eq!(old.answer(PATIENCE).as_deref(), Some("a"));
    assert_eq!(ask_anew(&relay, PATIENCE).as_deref(), Some("a"));
}

#[test]
fn an_abandoned_connection_stays_silent_beside_new_ones() {
    let relay = Relay::start(&server("a")).expect("a relay");
    let mut old = Client::of(&relay).expect("a connection");
    assert_eq!(old.ask(PATIENCE).as_deref(), Some("a"));
    relay.abandon();
    assert_eq!(ask_anew(&relay, PATIENCE).as_deref(), Some("a"));
    relay.forward();
    assert_eq!(old.ask(MOMENT), None);
}

#[test]
fn a_server_moves_while_old_connections_stay() {
    let relay = Relay::start(&server("a")).expect("a relay");
    let mut old = Client::of(&relay).expect("a connection");
    assert_eq!(old.ask(PATIENCE).as_deref(), Some("a"));
    relay.point_at(&server("b")).expect("an address");
    assert_eq!(old.ask(PATIENCE).as_deref(), Some("a"));
    assert_eq!(ask_anew(&relay, PATIENCE).as_deref(), Some("b"));
}

#[test]
fn a_refusing_relay_closes_everything_until_it_forwards() {
    let relay = Relay::start(&server("a")).expect("a relay");
    let mut old = Client::of(&relay).expect("a connection");
    assert_eq!(old.ask(PATIENCE).as_deref(), Some("a"));
    relay.refuse();
    assert_eq!(old.ask(MOMENT), None);
    while Client::of(&relay).is_some() {
        thread::sleep(Duration::from_millis(5));
    }
    relay.forward();
    while Client::of(&relay).is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(ask_anew(&relay, PATIENCE).as_deref(), Some("a"));
    assert!(relay.open_connections() <= 2);
}

#[test]
fn a_delayed_answer_comes_late() {
    let relay = Relay::start(&server("one")).expect("a relay");
    let mut client = Client::of(&relay).expect("it is served");
    relay.delay(PATIENCE);
    assert_eq!(client.ask(MOMENT), None);
    // What is under way stays late, and a new connection is not.
    relay.delay(Duration::ZERO);
    let mut other = Client::of(&relay).expect("it is served");
    assert_eq!(other.ask(PATIENCE).as_deref(), Some("one"));
}
