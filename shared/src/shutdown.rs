//! Ending: one token that every part listens to. No globals.

use tokio_util::sync::CancellationToken;

/// Told once that the process should end: stop taking work, finish what is begun, leave.
pub type Shutdown = CancellationToken;

/// A token that SIGTERM or Ctrl-C cancels. A second signal ends the process at once.
///
/// # Errors
/// When the signals cannot be listened to.
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
                tracing::warn!("second signal: leaving now");
                std::process::exit(130);
            }
            tracing::info!(
                "stopping: begun work is finished first, a second signal leaves at once"
            );
            token.cancel();
        }
    });
    Ok(shutdown)
}
