//! Shutdown: one token that every part of a process listens to. There are no globals.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Cancelled when the process should end. Each part then takes no new work and finishes the work in hand.
pub type Shutdown = CancellationToken;

/// Closing a server's sessions takes no longer. A server that does not answer would hold the process for ever.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Waits for the end of sessions that are being closed, for two seconds at most. The server notices the rest by itself.
pub async fn close(closing: impl Future<Output = ()>) {
    if tokio::time::timeout(CLOSE_LIMIT, closing).await.is_err() {
        tracing::warn!("left sessions open, because the server did not answer");
    }
}

/// A token that SIGTERM or Ctrl-C cancels. A second signal ends the process at once.
///
/// # Errors
/// If the signal handlers cannot be installed.
pub fn on_signals() -> std::io::Result<Shutdown> {
    let shutdown = Shutdown::new();
    let token = shutdown.clone();
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        let mut signals = 0;
        loop {
            #[cfg(unix)]
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            #[cfg(not(unix))]
            let _ = tokio::signal::ctrl_c().await;
            signals += 1;
            if signals > 1 {
                tracing::warn!("got a second signal, exiting now");
                std::process::exit(130);
            }
            tracing::info!("stopping after the work in hand, a second signal exits at once");
            token.cancel();
        }
    });
    Ok(shutdown)
}
