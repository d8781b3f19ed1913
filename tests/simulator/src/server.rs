//! HTTP/1.1 on a loopback port: connections in, answers out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::pipeline;
use crate::reply::{Broken, Delivery, Payload, Reply};
use crate::simulator::Shared;

/// Largest request body that is read.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// Accepts connections until told to stop.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        // An accept fails when a client gives up early or files run out: the next may work.
        let Ok((stream, _)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        // Small answers must not wait for each other. A socket that refuses still works.
        let _ = stream.set_nodelay(true);
        tokio::spawn(connection(stream, Arc::clone(&shared), stop.clone()));
    }
    // Before the receiver, because the caller of `stop` waits until no receiver is left.
    drop(listener);
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket {
        stream,
        reset: Arc::clone(&reset),
    };
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        let reset = Arc::clone(&reset);
        async move { answer_on(request, &shared, &reset).await }
    });
    let mut http = http1::Builder::new();
    http.auto_date_header(false)
        .timer(TokioTimer::new())
        .header_read_timeout(None);
    let serving = http.serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        // A connection that a fault or its client breaks needs no answer.
        _ = serving => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn answer_on(
    request: Request<Incoming>,
    shared: &Arc<Shared>,
    reset: &AtomicBool,
) -> Result<Response<Payload>, Broken> {
    let (head, body) = request.into_parts();
    let body = if body.is_end_stream() {
        Bytes::new()
    } else {
        match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return Err(Broken),
        }
    };
    let reply = pipeline::answer(shared, &head, &body).await;
    if reply.delivery == Delivery::Reset {
        reset.store(true, Ordering::Relaxed);
        return Err(Broken);
    }
    Ok(response(reply, shared))
}

fn response(reply: Reply, shared: &Arc<Shared>) -> Response<Payload> {
    let mut response = Response::new(Payload::new(
        reply.body.clone(),
        reply.delivery,
        Arc::clone(shared),
    ));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Some(date) = http_date(shared.clock.now()) {
        headers.insert(DATE, date);
    }
    if let Delivery::Cut(_) = reply.delivery {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
    }
    for (name, value) in reply.headers {
        // A fault may say another type or time.
        if name == CONTENT_TYPE || name == DATE {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    response
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, made once per second and thread.
fn http_date(now: i64) -> Option<HeaderValue> {
    thread_local! {
        static LAST: std::cell::RefCell<Option<(i64, HeaderValue)>> =
            const { std::cell::RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        if last.as_ref().is_none_or(|(second, _)| *second != now) {
            let text = chrono::DateTime::from_timestamp(now, 0)?
                .format("%a, %d %b %Y %H:%M:%S GMT")
                .to_string();
            *last = Some((now, HeaderValue::from_str(&text).ok()?));
        }
        last.as_ref().map(|(_, value)| value.clone())
    })
}

/// A socket that can end with a reset instead of an orderly close.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Without it the client sees an orderly end, which it has to bear as well.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
