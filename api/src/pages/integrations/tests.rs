//! Every state of the page, from facts that the judgement itself has made.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use shared::{
    completeness::{
        Blocked, ConnectionFacts as JudgedConnection, Facts, OpenRun, QuarantineFacts, StreamFacts,
        ThreadCounts, WaitingThreads, judge,
    },
    domain::{ConnectionId, Mode, Region, RunId, Secret, Stream, TenantId},
    store::{
        BrowserSession, Connection, ConnectionError, ConnectionState,
        reads::{Run, RunError},
    },
};

use super::{
    facts::{ConnectionFacts, PageFacts},
    health::{Health, Tone},
    render, view,
};
use crate::{pages::visitor::Visitor, routes::sync_status::RateView};

const INTERVAL: TimeDelta = TimeDelta::minutes(5);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_003_200, 0).unwrap()
}

fn ago(minutes: i64) -> DateTime<Utc> {
    now() - TimeDelta::minutes(minutes)
}

/// A stream that has ended its last walk two minutes ago.
fn done(stream: Stream) -> StreamFacts {
    let counts = match stream {
        Stream::Contacts => (1_234, Some(1_234)),
        Stream::Companies => (56, None),
        Stream::Conversations => (800, Some(800)),
        Stream::Threads => (9_000, None),
        Stream::Reference => (40, None),
    };
    StreamFacts {
        stream,
        is_due: false,
        is_ticketed: false,
        is_walking: false,
        is_dead: false,
        watermark: Some(ago(2)),
        attempts: 0,
        last_error: None,
        due_at: Some(now() + TimeDelta::minutes(3)),
        walked_at: Some(ago(60)),
        last_ok_at: Some(ago(2)),
        held: counts.0,
        expected: counts.1,
        blocked: None,
    }
}

fn complete() -> Facts {
    Facts {
        streams: Stream::ALL.iter().map(|stream| done(*stream)).collect(),
        threads: ThreadCounts {
            complete: 790,
            gone: 10,
            ..ThreadCounts::default()
        },
        ..Facts::default()
    }
}

fn with(stream: Stream, change: impl FnOnce(&mut StreamFacts)) -> Facts {
    let mut facts = complete();
    let of = facts.streams.iter_mut().find(|of| of.stream == stream);
    change(of.unwrap());
    facts
}

/// The first sync, where contacts are under way and nothing else has begun.
fn first_sync() -> Facts {
    let mut facts = complete();
    for stream in &mut facts.streams {
        (stream.watermark, stream.walked_at, stream.last_ok_at) = (None, None, None);
        (stream.is_due, stream.held, stream.expected) = (true, 0, None);
        if stream.stream == Stream::Contacts {
            (stream.is_walking, stream.held, stream.expected) = (true, 1_200, Some(1_200));
        }
    }
    facts.threads = ThreadCounts {
        pending: 500,
        complete: 100,
        ..ThreadCounts::default()
    };
    facts
}

fn connection(state: ConnectionState) -> Connection {
    let error = match state {
        ConnectionState::Active | ConnectionState::Disconnected => None,
        ConnectionState::ReauthRequired => Some(("token_revoked", "Connect the workspace again.")),
        ConnectionState::Error => Some(("app_suspended", "You do not need to do anything.")),
    };
    Connection {
        tenant: TenantId(uuid::Uuid::nil()),
        id: ConnectionId(uuid::Uuid::max()),
        state,
        generation: 1,
        region: Region::Eu,
        workspace_id: "abc123".to_owned(),
        workspace_name: "Acme Support".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        api_version: "2.16".to_owned(),
        connected_at: ago(10),
        connected_by: None,
        last_synced_at: None,
        error: error.map(|(code, action)| ConnectionError {
            code: code.to_owned(),
            message: "Intercom no longer accepts this connection's token.".to_owned(),
            action: action.to_owned(),
        }),
    }
}

fn run(status: &str) -> Run {
    let is_open = matches!(status, "queued" | "running");
    Run {
        id: RunId(uuid::Uuid::nil()),
        mode: "full".to_owned(),
        streams: Stream::ALL.iter().map(ToString::to_string).collect(),
        status: status.to_owned(),
        requested_at: ago(9),
        started_at: (status != "queued").then(|| ago(8)),
        finished_at: (!is_open).then(|| ago(1)),
        counters: json!({}),
        error: (status == "failed").then(|| RunError {
            code: "token_revoked".to_owned(),
            message: Some("Intercom refused the token.".to_owned()),
        }),
    }
}

/// The facts of a connection in a state.
fn seen(state: ConnectionState, facts: &Facts) -> ConnectionFacts {
    ConnectionFacts {
        connection: connection(state),
        status: judge(facts),
        walks: Vec::new(),
        runs: Vec::new(),
        is_being_purged: false,
        eta_seconds: None,
        rate: None,
    }
}

fn active(facts: &Facts) -> ConnectionFacts {
    seen(ConnectionState::Active, facts)
}

fn blocked(code: &str, message: &str) -> Option<Blocked> {
    Some(Blocked {
        code: code.to_owned(),
        message: message.to_owned(),
        action: Some("Upgrade the Intercom plan to one that includes it.".to_owned()),
        until: Some(now() + TimeDelta::days(1)),
    })
}

/// Each state with its name.
fn states() -> Vec<(&'static str, ConnectionFacts)> {
    let stopped = Facts {
        connection: JudgedConnection::Stopped(Blocked {
            code: "token_revoked".to_owned(),
            message: "Intercom no longer accepts this connection's token.".to_owned(),
            action: Some("Connect the workspace again.".to_owned()),
            until: None,
        }),
        ..complete()
    };
    let ended = Facts {
        connection: JudgedConnection::Disconnected,
        ..complete()
    };
    let mut purged = ended.clone();
    for stream in &mut purged.streams {
        (stream.held, stream.last_ok_at) = (0, None);
    }
    let queued = Facts {
        open_run: Some(OpenRun {
            mode: Mode::Full,
            requested_at: ago(9),
        }),
        ..complete()
    };
    let waiting = Facts {
        threads: ThreadCounts {
            pending: 2,
            complete: 798,
            ..ThreadCounts::default()
        },
        waiting: WaitingThreads {
            count: 2,
            example: "17".to_owned(),
            error: "status 503".to_owned(),
            next_at: Some(now() + TimeDelta::minutes(1)),
        },
        ..complete()
    };
    let unreadable = Facts {
        quarantined: vec![QuarantineFacts {
            kind: "contact".to_owned(),
            count: 1,
            example: "9".to_owned(),
        }],
        ..complete()
    };
    let walking = |of: &mut StreamFacts| of.is_walking = true;
    let failed = |of: &mut StreamFacts| {
        (of.attempts, of.last_error) = (2, Some("status 503".to_owned()));
    };
    let foreseen = |facts: &Facts| ConnectionFacts {
        eta_seconds: Some(400),
        rate: Some(RateView {
            limit: 1_667,
            window_seconds: 10,
            used: 0,
            calls_left: 1_333,
            resets_at: None,
            share: 0.8,
        }),
        ..active(facts)
    };
    vec![
        ("first sync", foreseen(&first_sync())),
        ("up to date", active(&complete())),
        (
            "up to date and syncing",
            active(&with(Stream::Contacts, walking)),
        ),
        (
            "a run is queued",
            ConnectionFacts {
                runs: vec![
                    run("queued"),
                    run("failed"),
                    run("partial"),
                    run("succeeded"),
                    run("cancelled"),
                ],
                ..active(&queued)
            },
        ),
        ("threads wait", active(&waiting)),
        ("one is unreadable", active(&unreadable)),
        (
            "a try has failed",
            active(&with(Stream::Conversations, failed)),
        ),
        (
            "the first try has failed",
            active(&with(Stream::Contacts, |of| {
                failed(of);
                of.last_ok_at = None;
            })),
        ),
        (
            "late",
            active(&with(Stream::Contacts, |of| of.last_ok_at = Some(ago(16)))),
        ),
        (
            "plan restricted",
            active(&with(Stream::Conversations, |of| {
                let message =
                    "The workspace's Intercom plan does not include API access to conversations.";
                of.blocked = blocked("api_plan_restricted", message);
            })),
        ),
        (
            "reconnect needed",
            seen(ConnectionState::ReauthRequired, &stopped),
        ),
        ("stopped", seen(ConnectionState::Error, &stopped)),
        ("disconnected", seen(ConnectionState::Disconnected, &ended)),
        (
            "deleting",
            ConnectionFacts {
                is_being_purged: true,
                ..seen(ConnectionState::Disconnected, &purged)
            },
        ),
        ("deleted", seen(ConnectionState::Disconnected, &purged)),
    ]
}

fn visitor() -> Visitor {
    Visitor {
        session: BrowserSession {
            tenant: TenantId(uuid::Uuid::nil()),
            id: uuid::Uuid::nil(),
            tenant_name: "Acme".to_owned(),
            return_to: "/integrations".to_owned(),
        },
        form_token: Secret::new("token"),
    }
}

fn shown(facts: &ConnectionFacts) -> view::ConnectionView {
    view::connection(facts, now(), INTERVAL)
}

#[test]
fn every_state_reads_well() {
    let mut text = String::new();
    for (name, facts) in states() {
        text += &format!("{name}\n{:#?}\n\n", shown(&facts));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn green_is_proven_and_nothing_else_is_green() {
    for (name, facts) in states() {
        let view = shown(&facts);
        let has_all = facts
            .status
            .streams
            .iter()
            .all(|of| of.last_ok_at.is_some());
        let is_green = view.health.tone == Tone::Good;
        assert_eq!(
            is_green,
            name.starts_with("up to date") || name == "a run is queued",
            "{name}"
        );
        assert!(!is_green || has_all, "{name}");
        assert_ne!(
            view.activity.tone,
            Tone::Good,
            "{name}: activity is no health"
        );
        for row in &view.streams {
            assert!(
                row.percent != Some(100) || row.tone != Tone::Warn,
                "{name}: {row:?}"
            );
        }
    }
}

/// A walk that begins, an open run or a retry changes the activity and never the health.
#[test]
fn what_happens_now_changes_no_health() {
    for (name, facts) in states() {
        let before = shown(&facts).health;
        let mut status = facts.status.clone();
        for stream in &mut status.streams {
            let is_stopped = stream.blocked.is_some() || stream.last_ok_at.is_none();
            if !is_stopped {
                stream.status = shared::completeness::StreamActivity::Running;
            }
        }
        let busy = ConnectionFacts {
            status,
            walks: vec![(Stream::Contacts, now()), (Stream::Conversations, now())],
            runs: vec![run("running")],
            ..facts
        };
        assert_eq!(shown(&busy).health, before, "{name}");
    }
}

/// A walk of a large workspace takes longer than an interval, and polls meanwhile.
#[test]
fn a_long_walk_is_not_late_unless_it_began_late() {
    let long = with(Stream::Contacts, |of| {
        (of.is_walking, of.last_ok_at) = (true, Some(ago(600)));
    });
    for (begun, expected) in [(599, Health::UpToDate), (500, Health::Behind)] {
        let facts = ConnectionFacts {
            walks: vec![(Stream::Contacts, ago(begun))],
            ..active(&long)
        };
        assert_eq!(shown(&facts).kind, expected, "{begun}");
    }
}

#[test]
fn a_percentage_needs_a_count_of_intercoms_and_is_whole_only_when_complete() {
    let view = shown(&active(&first_sync()));
    let percents: Vec<Option<u8>> = view.streams.iter().map(|row| row.percent).collect();
    assert_eq!(percents, [Some(99), None, None, None, None]);
    let view = shown(&active(&complete()));
    let percents: Vec<Option<u8>> = view.streams.iter().map(|row| row.percent).collect();
    assert_eq!(percents, [Some(100), None, Some(100), Some(100), None]);
}

#[test]
fn a_copy_is_as_old_as_its_oldest_stream_also_while_it_is_broken() {
    let mut facts = seen(ConnectionState::ReauthRequired, &complete());
    facts.status.streams[2].last_ok_at = Some(ago(90));
    let text = shown(&facts).data_as_of;
    assert!(
        text.starts_with("Data as of ") && text.contains("90 minutes ago"),
        "{text}"
    );
    facts.status.streams[1].last_ok_at = None;
    assert!(
        shown(&facts)
            .data_as_of
            .starts_with("There is no complete copy yet.")
    );
}

#[test]
fn ended_connections_come_last_and_the_newest_first() {
    let (mut first, mut second) = (states().remove(12).1, states().remove(12).1);
    first.connection.workspace_name = "first".to_owned();
    second.connection.workspace_name = "second".to_owned();
    let facts = PageFacts {
        connections: vec![first, active(&complete()), second],
        last_change_at: None,
    };
    let page = view::page(&facts, now(), INTERVAL);
    assert_eq!(page.current.len(), 1);
    let ended: Vec<&str> = page
        .ended
        .iter()
        .map(|view| view.workspace.as_str())
        .collect();
    assert_eq!(ended, ["second", "first"]);
    assert_eq!(page.ended[0].kind, Health::Disconnected);
}

#[test]
fn no_name_of_a_workspace_becomes_markup_or_fills_the_page() {
    for (name, expected) in [
        (
            "<script>alert(1)</script>",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
        ),
        ("\" onclick=\"x", "&quot; onclick=&quot;x"),
        ("abc\u{202e}def\u{0}", "abcdef"),
        ("\u{200b}\u{2066}", "abc123"),
    ] {
        let mut facts = active(&complete());
        facts.connection.workspace_name = name.to_owned();
        facts.status.notes.clear();
        let page = PageFacts {
            connections: vec![facts],
            last_change_at: None,
        };
        let html =
            render::page(&view::page(&page, now(), INTERVAL), None, &visitor()).into_string();
        assert!(
            html.contains(&format!("<bdi>{expected}</bdi>")),
            "{name:?}: {html}"
        );
        assert!(
            !html.contains("<script") && !html.contains('\u{202e}'),
            "{html}"
        );
    }
    let mut facts = active(&complete());
    facts.connection.workspace_name = "é".repeat(100_000);
    let page = PageFacts {
        connections: vec![facts],
        last_change_at: None,
    };
    let html = render::page(&view::page(&page, now(), INTERVAL), None, &visitor()).into_string();
    assert!(html.len() < 20_000, "{}", html.len());
}

#[test]
fn the_admin_that_has_connected_is_named_if_the_name_can_be_seen() {
    for (name, shown) in [
        (Some("Ada \u{202e}Admin"), "by Ada Admin, in a browser."),
        (
            Some("\u{200b} "),
            "by an admin of the workspace, in a browser.",
        ),
        (None, "by an admin of the workspace, in a browser."),
    ] {
        let mut facts = seen(ConnectionState::Active, &complete());
        facts.connection.connected_by = name.map(str::to_owned);
        let view = view::connection(&facts, now(), INTERVAL);
        assert!(view.connected.ends_with(shown), "{}", view.connected);
    }
}
