//! Each law, broken once.

use shared::domain::{Class, ConnectionId, Stream};

use super::*;

fn ticket(stream: Stream) -> Ticket {
    Ticket::new(
        TenantId(uuid::Uuid::nil()),
        ConnectionId(uuid::Uuid::nil()),
        stream,
    )
}

fn law(history: &[(i64, What)], rules: &Rules) -> Option<&'static str> {
    let history: Vec<Event> = history
        .iter()
        .map(|(at, what)| Event {
            at: *at,
            what: what.clone(),
        })
        .collect();
    check(&history, rules).err().map(|violation| violation.law)
}

#[test]
fn each_law_can_be_broken() {
    let a = ticket(Stream::Contacts);
    let b = ticket(Stream::Companies);
    assert_eq!(b.class(), Class::Fresh);
    let pushed = |ticket| What::Pushed { ticket };
    let leased = |ticket, fence| What::Leased {
        ticket,
        fence,
        crashes: 0,
    };
    let effect = |page, fence| What::Effect {
        ticket: a,
        page,
        fence,
    };
    let settled = |fence, end| What::Settled {
        ticket: a,
        fence,
        end,
    };
    let scope = PauseScope::Class(Class::Fresh);
    let cap = Rules {
        cap: Some(1),
        ..Rules::default()
    };
    let lease = Rules {
        lease: Some(6_000),
        ..Rules::default()
    };
    let quiet = Rules {
        wait: Some(100),
        idle_within: Some(1_000),
        ..Rules::default()
    };
    let idle = What::Idle {
        left_in_redis: Vec::new(),
    };
    type Case = (Option<&'static str>, Vec<(i64, What)>, Rules);
    let cases: &[Case] = &[
        (
            None,
            vec![
                (0, pushed(a)),
                (0, leased(a, 1)),
                (1, effect(0, 1)),
                (2, settled(1, End::Done)),
            ],
            cap,
        ),
        (
            Some("no work is lost"),
            vec![(
                0,
                What::Owed {
                    ticket: a,
                    pages: 0..1,
                },
            )],
            cap,
        ),
        (
            Some("one effect per page"),
            vec![(0, effect(0, 1)), (1, effect(0, 2))],
            cap,
        ),
        (
            Some("no effect after a higher fence"),
            vec![(0, effect(0, 2)), (1, effect(1, 1))],
            cap,
        ),
        (
            Some("one lease per ticket"),
            vec![(0, leased(a, 1)), (1, leased(a, 2))],
            Rules::default(),
        ),
        (
            Some("caps are held"),
            vec![(0, leased(a, 1)), (1, leased(b, 2))],
            cap,
        ),
        (
            Some("pauses are honoured"),
            vec![(0, What::Paused { scope }), (1, leased(a, 1))],
            cap,
        ),
        (
            None,
            vec![
                (0, What::Paused { scope }),
                (1, What::Resumed { scope }),
                (2, leased(a, 1)),
            ],
            cap,
        ),
        (
            Some("fences grow"),
            vec![
                (0, leased(a, 2)),
                (1, settled(2, End::Requeue)),
                (2, leased(a, 2)),
            ],
            cap,
        ),
        (
            Some("waits are honoured"),
            vec![
                (0, leased(a, 1)),
                (1, settled(1, End::Snooze(9))),
                (5, leased(a, 2)),
            ],
            cap,
        ),
        (
            Some("only a lease settles"),
            vec![(0, leased(a, 1)), (1, settled(2, End::Done))],
            cap,
        ),
        (
            Some("the living keep their leases"),
            vec![
                (0, leased(a, 1)),
                (
                    5_999,
                    What::Reaped {
                        ticket: a,
                        fence: 1,
                    },
                ),
            ],
            lease,
        ),
        (
            Some("deaths are counted"),
            vec![
                (0, leased(a, 1)),
                (
                    6_000,
                    What::Reaped {
                        ticket: a,
                        fence: 1,
                    },
                ),
                (6_001, leased(a, 2)),
            ],
            lease,
        ),
        (
            Some("nobody is forgotten"),
            vec![(0, What::Quiet), (1, pushed(a)), (200, leased(a, 1))],
            quiet,
        ),
        (Some("idle in the end"), vec![(0, What::Quiet)], quiet),
        (
            Some("idle in the end"),
            vec![(0, What::Quiet), (1_001, idle.clone())],
            quiet,
        ),
        (
            Some("idle in the end"),
            vec![(0, What::Quiet), (0, pushed(a)), (50, idle.clone())],
            quiet,
        ),
        (None, vec![(0, What::Quiet), (900, idle.clone())], quiet),
        (
            None,
            vec![(0, What::Quiet), (500, What::Fault), (1_400, idle.clone())],
            quiet,
        ),
        (
            Some("idle in the end"),
            vec![(0, What::Quiet), (500, What::Fault), (1_501, idle)],
            quiet,
        ),
        (
            Some("nobody is forgotten"),
            vec![
                (0, What::Quiet),
                (1, pushed(a)),
                (190, What::Fault),
                (200, leased(a, 1)),
            ],
            quiet,
        ),
        (
            Some("nothing is left at rest"),
            vec![(
                0,
                What::Idle {
                    left_in_redis: vec!["inflight".to_owned()],
                },
            )],
            cap,
        ),
    ];
    for (i, (expected, history, rules)) in cases.iter().enumerate() {
        assert_eq!(law(history, rules), *expected, "case {i}");
    }
}

#[test]
fn waiting_is_bounded_by_turns() {
    let a = ticket(Stream::Contacts);
    let other = Ticket::new(
        TenantId(uuid::Uuid::max()),
        ConnectionId(uuid::Uuid::max()),
        Stream::Contacts,
    );
    let mut history = vec![(0, What::Pushed { ticket: a })];
    for fence in 1..20 {
        history.push((
            fence,
            What::Leased {
                ticket: other,
                fence,
                crashes: 0,
            },
        ));
        history.push((
            fence,
            What::Settled {
                ticket: other,
                fence,
                end: End::Requeue,
            },
        ));
    }
    let rules = Rules {
        turns: Some(3),
        ..Rules::default()
    };
    assert_eq!(law(&history, &rules), Some("waiting is bounded"));
    assert_eq!(law(&history[..8], &rules), None);
}
