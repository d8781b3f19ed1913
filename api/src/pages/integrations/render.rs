//! The page of integrations as HTML.

use chrono::SecondsFormat;
use maud::{Markup, html};
use shared::domain::ConnectionId;

use super::{
    health::{Health, Sign, Tone},
    runs::RunRow,
    streams::StreamRow,
    view::{ConnectionView, PageView},
};
use crate::pages::{connect_form, frame::form_token, text::time, visitor::Visitor};

/// Something that has just happened, on top of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Connected,
    Disconnected,
    Deleting,
}

impl News {
    /// What the query's word stands for. Any other word is no news.
    pub(super) fn named(word: &str) -> Option<Self> {
        match word {
            "connected" => Some(Self::Connected),
            "disconnected" => Some(Self::Disconnected),
            "deleting" => Some(Self::Deleting),
            _ => None,
        }
    }

    /// Whether it still is so: an address can be opened again later.
    fn is_true_of(self, view: &PageView) -> bool {
        match self {
            Self::Connected => view.current.iter().any(ConnectionView::is_syncing),
            Self::Disconnected | Self::Deleting => !view.ended.is_empty(),
        }
    }
}

impl ConnectionView {
    /// Whether it is kept up to date, as far as that goes.
    fn is_syncing(&self) -> bool {
        matches!(
            self.kind,
            Health::FirstSync | Health::UpToDate | Health::Gaps | Health::Behind | Health::Limited
        )
    }
}

pub(super) fn page(view: &PageView, news: Option<News>, visitor: &Visitor) -> Markup {
    html! {
        h1 { "Integrations" }
        @if let Some(news) = news.filter(|news| news.is_true_of(view)) { (happened(news)) }
        // It is there before its text, so that a change is read out.
        p id="live-news" class="dim" role="status" {}
        button id="live-switch" class="quiet" type="button" hidden { "Pause live updates" }
        div id="live" { (live(view, visitor)) }
    }
}

/// The part of the page that changes by itself. Each piece of `data-live` is replaced alone.
pub(super) fn live(view: &PageView, visitor: &Visitor) -> Markup {
    html! {
        h2 { "Sources" }
        @if view.current.is_empty() { (not_connected(visitor)) }
        @for connection in &view.current { (section(connection, view.last_change.as_deref(), visitor)) }
        @if !view.current.is_empty() { (another(visitor)) }
        @if !view.ended.is_empty() {
            h2 { "Earlier connections" }
            @for connection in &view.ended { (section(connection, None, visitor)) }
        }
    }
}

fn happened(news: News) -> Markup {
    let (tone, sentence) = match news {
        News::Connected => ("good", "Intercom is connected. The sync begins by itself."),
        News::Disconnected => (
            "warn",
            "Intercom is disconnected. The copy is kept as it is.",
        ),
        News::Deleting => (
            "warn",
            "Intercom is disconnected, and its data is being deleted.",
        ),
    };
    html! { p id="happened" class=(format!("banner {tone}")) role="status" { (sentence) } }
}

/// What connecting means, before anything is connected.
fn not_connected(visitor: &Visitor) -> Markup {
    html! {
        section class="card" id="not-connected" data-state="not_connected" {
            h3 { "Intercom" }
            (sign("Health", &Sign { tone: Tone::Quiet, label: "Not connected", sentence: String::new() }))
            (promise())
            (connect(visitor))
        }
    }
}

/// A second workspace, for those who have one.
fn another(visitor: &Visitor) -> Markup {
    html! {
        details {
            summary { "Connect another Intercom workspace" }
            (promise())
            (connect(visitor))
        }
    }
}

fn connect(visitor: &Visitor) -> Markup {
    connect_form(
        visitor,
        &html! {
            fieldset {
                legend { "Where is the data of your workspace?" }
                label { input type="radio" name="region" value="us" checked; " United States" }
                label { input type="radio" name="region" value="eu"; " Europe" }
                label { input type="radio" name="region" value="au"; " Australia" }
                p class="dim" { "The address of your inbox tells: app.intercom.com, app.eu.intercom.com or app.au.intercom.com." }
            }
            button type="submit" { "Connect Intercom" }
            p class="dim" { "Intercom asks you next. It takes the workspace that you are signed in to there." }
        },
    )
}

/// What can be done about a connection now.
fn actions(view: &ConnectionView, visitor: &Visitor) -> Markup {
    let path = |action: &str| format!("/integrations/intercom/{}/{action}", view.id);
    html! {
        div class="actions" {
            @if let Some(run) = view.open_run {
                a class="button quiet" href=(format!("#run-{run}")) { "See the sync that was asked for" }
            } @else if view.is_syncing() {
                form method="post" action=(path("resync")) {
                    (form_token(visitor))
                    button type="submit" name="mode" value="incremental" { "Sync now" }
                    button class="quiet" type="submit" name="mode" value="full" { "Read everything again" }
                }
            }
            @if matches!(view.kind, Health::ReconnectNeeded | Health::Stopped | Health::Disconnected | Health::Limited) {
                (connect_form(visitor, &html! {
                    input type="hidden" name="renews" value=(view.id);
                    button class=[(view.kind == Health::Limited).then_some("quiet")] type="submit" { "Reconnect Intercom" }
                }))
            }
            @if view.kind != Health::Deleting && (view.kind != Health::Disconnected || !view.streams.is_empty()) {
                a class="button quiet" href=(path("disconnect")) {
                    @if view.kind == Health::Disconnected { "Delete its data" } @else { "Disconnect" }
                }
            }
        }
    }
}

/// What is read, and what never happens.
fn promise() -> Markup {
    html! {
        ul {
            li { "We copy contacts, companies and conversations with their messages, and keep the copy up to date." }
            li { "We only read. Nothing in Intercom is ever changed, sent or deleted." }
            li { "Contacts and companies come first. Conversations appear within minutes, and their messages fill in behind." }
            li { "Everyone with access to this account can see the copy." }
        }
    }
}

fn section(view: &ConnectionView, last_change: Option<&str>, visitor: &Visitor) -> Markup {
    html! {
        section class="card" id=(format!("connection-{}", view.id)) data-state=(state(view.kind)) {
            h3 { "Intercom: " bdi { (view.workspace) } }
            div class="signs" data-live=(format!("signs-{}", view.id)) {
                (sign("Health", &view.health))
                (sign("Activity", &view.activity))
                @if let Some(action) = &view.action { p class="banner bad" { strong { "What to do: " } (action) } }
                p { (view.data_as_of)
                    @if let Some(last_change) = last_change { " The last change of any source was stored " (last_change) "." } }
            }
            (about(view))
            div data-live=(format!("progress-{}", view.id)) {
                @if !view.streams.is_empty() { (progress(&view.streams)) }
                @if let Some(forecast) = &view.forecast { p { (forecast) } }
                @for note in &view.notes { p class="dim" { (note) } }
            }
            div data-live=(format!("actions-{}", view.id)) { (actions(view, visitor)) }
            @if !view.runs.is_empty() { (recent(view.id, &view.runs, view.open_run.is_some())) }
        }
    }
}

/// The name of a state, for programs.
const fn state(health: Health) -> &'static str {
    match health {
        Health::FirstSync => "first_sync",
        Health::UpToDate => "up_to_date",
        Health::Gaps => "gaps",
        Health::Behind => "behind",
        Health::Limited => "limited",
        Health::ReconnectNeeded => "reconnect_needed",
        Health::Stopped => "stopped",
        Health::Disconnected => "disconnected",
        Health::Deleting => "deleting",
    }
}

fn sign(name: &str, sign: &Sign) -> Markup {
    html! {
        p class="sign" {
            span class="dim" { (name) ": " }
            strong class=(format!("badge {}", sign.tone.class())) { (sign.label) }
            " " (sign.sentence)
        }
    }
}

fn about(view: &ConnectionView) -> Markup {
    html! {
        details {
            summary { "About this connection" }
            dl {
                dt { "Workspace" } dd { bdi { (view.workspace) } " (" code { bdi { (view.workspace_id) } } ")" }
                dt { "Region" } dd { (view.region) }
                dt { "Since" } dd { (view.connected) }
            }
            p { "If that person leaves, Intercom may end the access. Any admin of the workspace can then connect it again, and \
                 everything goes on where it was." }
        }
    }
}

fn progress(streams: &[StreamRow]) -> Markup {
    html! {
        table {
            caption { "Progress" }
            thead { tr { th scope="col" { "What" } th scope="col" { "How much" } th scope="col" { "State" } } }
            tbody { @for row in streams { (stream(row)) } }
        }
    }
}

fn stream(row: &StreamRow) -> Markup {
    html! {
        tr {
            th scope="row" { (row.label) span class="dim about" { (row.about) } }
            td {
                (row.count)
                @if let Some(percent) = row.percent {
                    " " span class="dim" { (percent) " %" }
                    progress max="100" value=(percent) aria-label=(format!("{}: {percent} %", row.label)) {}
                }
            }
            td class=(row.tone.class()) {
                (row.sentence)
                @if let Some(action) = &row.action { " " strong { "What to do: " } (action) }
                @if let Some(last_ok) = &row.last_ok { span class="dim about" { "Last read to its end " (last_ok) "." } }
            }
        }
    }
}

fn recent(of: ConnectionId, runs: &[RunRow], is_open: bool) -> Markup {
    html! {
        details open[is_open] {
            summary { "Recent syncs" }
            ul class="runs" data-live=(format!("runs-{of}")) { @for row in runs { (run(row)) } }
            p class="dim" { "The regular looks for changes are not listed." }
        }
    }
}

fn run(row: &RunRow) -> Markup {
    html! {
        li id=(format!("run-{}", row.id)) {
            strong class=(format!("badge {}", row.tone.class())) { (row.status) }
            " " (row.what) ", asked for at "
            time datetime=(row.requested_at.to_rfc3339_opts(SecondsFormat::Secs, true)) { (time(row.requested_at)) }
            ". " (row.sentence)
        }
    }
}
