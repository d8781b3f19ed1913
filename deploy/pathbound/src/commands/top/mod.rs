//! `pathbound top`: tenants and budgets on a terminal, as the operators' calls show them, once a second.
//!
//! `reading` asks the ops listener beside the screen, so that a server that hangs stops no key. `state` is what is shown
//! and what keys do, `screen` draws it, and `keys` reads the keyboard.

mod keys;
mod reading;
mod screen;
mod state;
mod words;

use std::{io::IsTerminal as _, path::Path};

use ratatui::{DefaultTerminal, buffer::Buffer, layout::Rect, widgets::Widget as _};
use shared::shutdown::{self, Shutdown};

use crate::{
    cli::TopArgs,
    failure::Failure,
    ops_client::OpsClient,
    output::{self, Format},
};

pub use reading::TopReading;

use reading::{News, Reader};
use screen::{Palette, Screen};
use state::{Effect, State};

/// The frame that is printed as text if there is no terminal.
const PRINTED_WIDTH: u16 = 120;

/// Shows tenants and budgets until `q`, Ctrl-C or SIGTERM. Without a terminal it prints one frame as text.
///
/// # Errors
/// If the first numbers cannot be read. Later the last ones stay, with their age.
pub async fn run(file: Option<&Path>, format: Format, args: TopArgs) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    let mut state = State::new(ops.url(), args.operate);
    let mut read = async || -> Result<TopReading, Failure> {
        let first = reading::read(&ops, &state.question()).await?;
        state.take(News::Reading(Ok(Box::new(first.clone()))));
        Ok(first)
    };
    let first = read().await?;
    if format == Format::Json {
        return output::line(&first);
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        // Once more, because only now it is known which tenant is the first.
        read().await?;
        return output::text(&printed(&state));
    }
    let shutdown = shutdown::on_signals()
        .map_err(|error| Failure::failed("could not listen to signals", error))?;
    let failed = |error| Failure::failed("could not use the terminal", error);
    // Its hook restores the terminal if something panics.
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let shown = show(&mut terminal, state, Reader::start(ops), &shutdown).await;
    ratatui::try_restore().map_err(failed)?;
    shown.map_err(failed)
}

/// Draws until the end.
async fn show(
    terminal: &mut DefaultTerminal,
    mut state: State,
    mut reader: Reader,
    shutdown: &Shutdown,
) -> std::io::Result<()> {
    let palette = Palette::of_terminal();
    let mut events = keys::events();
    // So that ages go on while nothing else happens.
    let mut seconds = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        terminal.draw(|frame| {
            let area = frame.area();
            Screen::new(&mut state, palette).render(area, frame.buffer_mut());
        })?;
        let effect = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = seconds.tick() => Effect::None,
            news = reader.next() => {
                state.take(news);
                Effect::None
            }
            event = events.recv() => match event {
                Some(event) => state.press(&event),
                // The terminal is gone.
                None => return Ok(()),
            },
        };
        match effect {
            Effect::None => {}
            Effect::Quit => return Ok(()),
            Effect::Change(change) => reader.change(change),
        }
        reader.ask(state.question());
    }
}

/// One frame as text, as high as it has to be.
fn printed(state: &State) -> String {
    let mut state = state.clone();
    let height = screen::full_height(&state);
    let area = Rect::new(0, 0, PRINTED_WIDTH, height);
    let mut buffer = Buffer::empty(area);
    Screen::new(&mut state, Palette::plain()).render(area, &mut buffer);
    let mut text = String::new();
    for row in buffer.content.chunks(usize::from(PRINTED_WIDTH)) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
