//! The steps of every call: token, rate window, faults, headers, version, scope, plan, then the
//! resource, latency and the ledger.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hyper::http::request::Parts;

use crate::api::{self, Call, Query};
use crate::errors::ApiError;
use crate::faults::{FaultId, Late, Target};
use crate::generate::mix;
use crate::ledger;
use crate::rate::{Standing, lock};
use crate::reply::{Delivery, Reply};
use crate::routes::{self, Found, Operation};
use crate::simulator::Shared;
use crate::spec::MissingScope;
use crate::versions::Version;
use crate::workspace::Inner;
use crate::{control, oauth};

/// Answers one call.
pub(crate) async fn answer(shared: &Arc<Shared>, head: &Parts, body: &Bytes) -> Reply {
    let path = head.uri.path();
    if let Some(rest) = path.strip_prefix("/_control/") {
        return control::answer(shared, head.method.as_str(), rest, body);
    }
    let found = routes::find(head.method.as_str(), path);
    // One moment for the window and the ledger, or a call at a window's end would stand in another than it counts in.
    let at_millis = shared.clock.now_millis();
    let outcome = decide(shared, head, &found, body, at_millis.div_euclid(1000));
    enter(shared, head, body, &found, &outcome, at_millis);
    if let Some(fault) = outcome.fault {
        shared.faults.note_hit(fault);
    }
    wait(shared, outcome.late).await;
    outcome.reply
}

/// An answer, whose it is, and what it waits for.
struct Outcome {
    reply: Reply,
    workspace: Option<Arc<Inner>>,
    /// The fault that hit the call.
    fault: Option<FaultId>,
    late: Late,
}

fn decide(shared: &Arc<Shared>, head: &Parts, found: &Found, body: &Bytes, now: i64) -> Outcome {
    let open = matches!(
        found.route.operation,
        Operation::Authorize | Operation::AuthorizeDecision | Operation::ExchangeToken
    );
    let (workspace, refused) = if open {
        (None, None)
    } else {
        shared.keys.look_up(header(head, "authorization"))
    };
    let standing = workspace
        .as_ref()
        .filter(|_| refused.is_none())
        .map(|workspace| count(shared, workspace, now));
    let (reply, fault) = if let Some(standing) = standing.filter(|s| s.exceeded) {
        (throttled(workspace.as_deref(), standing, shared), None)
    } else {
        let target = Target {
            workspace: workspace.as_ref().map(|workspace| &*workspace.id_code),
            method: head.method.as_str(),
            path: head.uri.path(),
            operation: found.route.name,
        };
        let fault = shared.faults.strike(&target);
        let reply = match fault.as_ref().and_then(|(_, action)| action.instead()) {
            Some(reply) => reply,
            None => {
                let reply = right_answer(shared, head, found, body, workspace.as_ref(), refused);
                match &fault {
                    Some((id, action)) => action.spoil(*id, reply, body),
                    None => reply,
                }
            }
        };
        (reply, fault)
    };
    Outcome {
        reply: with_standing(reply, standing, workspace.as_deref()),
        workspace,
        fault: fault.as_ref().map(|(id, _)| *id),
        late: fault.map_or(Late::Not, |(id, action)| action.late(id)),
    }
}

fn right_answer(
    shared: &Arc<Shared>,
    head: &Parts,
    found: &Found,
    body: &Bytes,
    workspace: Option<&Arc<Inner>>,
    refused: Option<ApiError>,
) -> Reply {
    match found.route.operation {
        Operation::Authorize => oauth::page(shared, &Query::parse(head.uri.query())),
        Operation::AuthorizeDecision => oauth::decide(shared, &form(body)),
        Operation::ExchangeToken => {
            let kind = header(head, "content-type").unwrap_or_default();
            oauth::exchange(shared, kind, body)
        }
        _ => match (workspace, refused) {
            (_, Some(error)) => error.reply(),
            (Some(workspace), None) => {
                read(shared, head, found, body, workspace).unwrap_or_else(|error| error.reply())
            }
            (None, None) => ApiError::new(401, "unauthorized", "Access Token Invalid").reply(),
        },
    }
}

fn read(
    shared: &Arc<Shared>,
    head: &Parts,
    found: &Found,
    body: &Bytes,
    workspace: &Inner,
) -> Result<Reply, ApiError> {
    let route = found.route;
    if route.operation == Operation::Outside {
        return Err(if found.wrong_method {
            ApiError::new(405, "method_not_allowed", "Method Not Allowed")
        } else {
            ApiError::new(404, "not_found", "Resource Not Found")
        });
    }
    let version = Version::of_call(header(head, "intercom-version"), shared.app_version)?;
    if version < route.since {
        return Err(ApiError::version());
    }
    check_media_types(head, body)?;
    if let Some(scope) = route.scope
        && workspace.world.spec.missing_scopes.contains(&scope)
    {
        return Err(match workspace.world.spec.missing_scope_answer {
            MissingScope::Unauthorized401 => ApiError::new(
                401,
                "token_unauthorized",
                "Not authorized to access resource",
            ),
            MissingScope::Forbidden403 => ApiError::new(
                403,
                "forbidden",
                format!(
                    "You do not have the required scope ({}) to access this resource",
                    scope.name()
                ),
            ),
        });
    }
    let planned = matches!(
        route.operation,
        Operation::ListConversations
            | Operation::SearchConversations
            | Operation::GetConversation
            | Operation::DeletedConversations
    );
    if planned && !workspace.plan.load(Ordering::Relaxed) {
        return Err(ApiError::new(
            403,
            "api_plan_restricted",
            "Active subscription needed.",
        ));
    }
    let mut shelf = lock(&workspace.state);
    api::handle(
        route.operation,
        Call {
            base: shared.url(),
            workspace,
            shelf: &mut shelf,
            version,
            id: &found.id,
            query: Query::parse(head.uri.query()),
            body,
            now: shared.clock.now(),
        },
    )
}

/// 406 where JSON is not wanted, 415 where a body is not JSON.
fn check_media_types(head: &Parts, body: &Bytes) -> Result<(), ApiError> {
    let accepted = header(head, "accept").is_some_and(|accept| {
        accept.split(',').any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            matches!(range, "application/json" | "application/*" | "*/*")
        })
    });
    if !accepted {
        return Err(ApiError::new(
            406,
            "not_acceptable",
            "The Accept header should send a media type of application/json",
        ));
    }
    let json = header(head, "content-type").is_some_and(|kind| {
        kind.split(';').next().unwrap_or_default().trim() == "application/json"
    });
    if !body.is_empty() && !json {
        return Err(ApiError::new(
            415,
            "media_type_not_acceptable",
            "The Content-Type header should be application/json",
        ));
    }
    Ok(())
}

/// Counts a call against the workspace's window, and the app's where there is one.
fn count(shared: &Shared, workspace: &Inner, now: i64) -> Standing {
    let own = workspace
        .bucket
        .take(workspace.limit.load(Ordering::Relaxed), now);
    let app_limit = *lock(&shared.app_limit);
    match app_limit {
        Some(limit) => own.stricter(shared.app_bucket.take(limit, now)),
        None => own,
    }
}

fn throttled(workspace: Option<&Inner>, standing: Standing, shared: &Shared) -> Reply {
    let message = format!("Exceeded rate limit of {} in 10_seconds", standing.limit);
    let reply = ApiError::new(429, "rate_limit_exceeded", message).reply();
    if workspace.is_some_and(|workspace| workspace.world.spec.retry_after) {
        let wait = (standing.reset - shared.clock.now()).max(1);
        return reply.header("retry-after", &wait.to_string());
    }
    reply
}

/// Adds the rate headers, which every authenticated answer has and no other.
fn with_standing(reply: Reply, standing: Option<Standing>, workspace: Option<&Inner>) -> Reply {
    let (Some(standing), Some(workspace)) = (standing, workspace) else {
        return reply;
    };
    let number = workspace.answered.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(every) = workspace.world.spec.omit_rate_headers_every
        && number.is_multiple_of(u64::from(every.max(1)))
    {
        return reply;
    }
    let standing = [
        ("x-ratelimit-limit", standing.limit.to_string()),
        ("x-ratelimit-remaining", standing.remaining.to_string()),
        ("x-ratelimit-reset", standing.reset.to_string()),
    ];
    standing.into_iter().fold(reply, |reply, (name, value)| {
        // A fault may have said something else.
        if reply.headers.iter().any(|(said, _)| *said == name) {
            reply
        } else {
            reply.header(name, &value)
        }
    })
}

fn enter(
    shared: &Shared,
    head: &Parts,
    body: &Bytes,
    found: &Found,
    outcome: &Outcome,
    at_millis: i64,
) {
    let version = header(head, "intercom-version");
    let call = ledger::Call {
        at_millis,
        workspace: outcome.workspace.as_ref().map(|inner| &inner.id_code),
        method: head.method.as_str(),
        path: head
            .uri
            .path_and_query()
            .map_or(head.uri.path(), |path| path.as_str()),
        body,
        route: found.route,
        version,
        version_missing: version.is_none() && outcome.workspace.is_some(),
        status: match outcome.reply.delivery {
            Delivery::Reset => 0,
            _ => outcome.reply.status,
        },
    };
    shared.book.enter(&call);
    if let Some(workspace) = &outcome.workspace {
        workspace.book.enter(&call);
    }
}

async fn wait(shared: &Shared, late: Late) {
    let number = shared.calls.fetch_add(1, Ordering::Relaxed);
    let mut total = lock(&shared.latency)
        .pick(mix(number, 0x1a7e))
        .unwrap_or_default();
    match late {
        Late::Not => {}
        Late::By(further) => total += further,
        Late::Until(fault) => shared.faults.until_cleared(fault).await,
    }
    if !total.is_zero() {
        tokio::time::sleep(total).await;
    }
}

fn header<'h>(head: &'h Parts, name: &str) -> Option<&'h str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

fn form(body: &Bytes) -> Query {
    Query::parse(std::str::from_utf8(body).ok())
}
