//! The bare protocol of Postgres: statements are prepared once, and rows are counted and not read.
//!
//! A library would read each row, and would spend the time that the baseline is to show without.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::report::Failure;

/// What these sessions are called on the server.
pub(super) const APPLICATION: &str = "bench";
/// The superuser of the private server, which asks for no password.
const STARTUP: &[u8] = b"user\0pathbound\0database\0postgres\0application_name\0bench\0\0";
const VERSION_3: i32 = 196_608;

/// A session.
pub(super) struct BareSession {
    stream: BufReader<TcpStream>,
    answer: Vec<u8>,
}

impl BareSession {
    pub(super) async fn open(port: u16) -> Result<Self, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut session = Self {
            stream: BufReader::with_capacity(1 << 16, stream),
            answer: Vec::new(),
        };
        let mut message = Vec::new();
        message.extend(i32::try_from(STARTUP.len() + 8)?.to_be_bytes());
        message.extend(VERSION_3.to_be_bytes());
        message.extend(STARTUP);
        session.exchange(&message).await?;
        Ok(session)
    }

    /// Carries out a text without parameters.
    pub(super) async fn simple(&mut self, text: &str) -> Result<u64, Failure> {
        let mut message = Vec::new();
        push(&mut message, b'Q', |body| push_text(body, text))?;
        self.exchange(&message).await
    }

    /// Prepares a statement under a number.
    pub(super) async fn prepare(&mut self, number: usize, text: &str) -> Result<(), Failure> {
        let mut message = Vec::new();
        push(&mut message, b'P', |body| {
            push_text(body, &name(number));
            push_text(body, text);
            body.extend(0i16.to_be_bytes());
        })?;
        push(&mut message, b'S', |_| ())?;
        self.exchange(&message).await?;
        Ok(())
    }

    /// Sends a message that [`execution`] has made, and returns how many rows came.
    pub(super) async fn execute(&mut self, execution: &[u8]) -> Result<u64, Failure> {
        self.exchange(execution).await
    }

    /// Sends messages, and reads until the server is ready for more.
    async fn exchange(&mut self, messages: &[u8]) -> Result<u64, Failure> {
        self.stream.write_all(messages).await?;
        let mut rows = 0;
        let mut failed = None;
        loop {
            let kind = self.stream.read_u8().await?;
            let length = usize::try_from(self.stream.read_i32().await?)?.saturating_sub(4);
            self.answer.resize(length, 0);
            self.stream.read_exact(&mut self.answer).await?;
            match kind {
                b'D' => rows += 1,
                b'E' => failed = Some(String::from_utf8_lossy(&self.answer).replace('\0', " ")),
                b'Z' => break,
                _ => {}
            }
        }
        match failed {
            None => Ok(rows),
            Some(error) => Err(format!("postgres refused: {error}").into()),
        }
    }
}

/// The messages that carry out a prepared statement with these parameters. Rows come in binary, as the API asks for them.
pub(super) fn execution(number: usize, parameters: &[Option<String>]) -> Result<Vec<u8>, Failure> {
    let count = i16::try_from(parameters.len())?.to_be_bytes();
    let mut message = Vec::new();
    let mut fits = true;
    push(&mut message, b'B', |body| {
        push_text(body, "");
        push_text(body, &name(number));
        body.extend(0i16.to_be_bytes());
        body.extend(count);
        for parameter in parameters {
            let Some(text) = parameter else {
                body.extend((-1i32).to_be_bytes());
                continue;
            };
            let length = i32::try_from(text.len());
            fits &= length.is_ok();
            body.extend(length.unwrap_or_default().to_be_bytes());
            body.extend(text.as_bytes());
        }
        body.extend(1i16.to_be_bytes());
        body.extend(1i16.to_be_bytes());
    })?;
    push(&mut message, b'E', |body| {
        push_text(body, "");
        body.extend(0i32.to_be_bytes());
    })?;
    push(&mut message, b'S', |_| ())?;
    fits.then_some(message)
        .ok_or_else(|| "a parameter is too long".into())
}

fn name(number: usize) -> String {
    format!("bare_{number}")
}

/// A message of this kind, with its length.
fn push(message: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Failure> {
    message.push(kind);
    let at = message.len();
    message.extend([0; 4]);
    write(message);
    let length = i32::try_from(message.len() - at)?;
    message[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    body.extend(text.as_bytes());
    body.push(0);
}
