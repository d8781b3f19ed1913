//! The keyboard, read on a thread of its own, because reading it blocks.

use ratatui::crossterm::event::{self, Event};
use tokio::sync::mpsc::{self, Receiver};

/// Keys that wait. A person presses no more before the next frame.
const WAITING: usize = 64;

/// Keys, and new sizes of the terminal. The channel ends if the terminal cannot be read any more.
pub(super) fn events() -> Receiver<Event> {
    let (sender, receiver) = mpsc::channel(WAITING);
    // It ends with the process, or with the first event after the channel's end.
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}
