//! `GET /companies/scroll`: one open scroll per workspace, gone after a minute of silence.

use super::Call;
use super::companies::scroll_page;
use crate::errors::{ApiError, request_id};
use crate::reply::Reply;
use crate::spec::ScrollEnd;
use crate::store::{CompanyEntry, Id, Walk};

/// Companies per page.
const PAGE: usize = 100;
/// Seconds of silence after which a scroll is gone.
const IDLE: i64 = 60;

/// The workspace's scroll.
#[derive(Debug, Default)]
pub(crate) struct Scroll {
    state: Option<Open>,
}

#[derive(Debug)]
enum Open {
    Ours {
        param: String,
        /// The last company that was shown.
        after: Option<Id>,
        used_at: i64,
    },
    /// Another connector's.
    Foreign { until: i64 },
}

impl Scroll {
    /// Another app opens a scroll, which ends ours.
    pub(crate) fn hold(&mut self, until: i64) {
        self.state = Some(Open::Foreign { until });
    }

    pub(crate) fn close(&mut self) {
        self.state = None;
    }

    fn forget_expired(&mut self, now: i64) {
        let expired = match &self.state {
            None => false,
            Some(Open::Ours { used_at, .. }) => now - used_at > IDLE,
            Some(Open::Foreign { until }) => now >= *until,
        };
        if expired {
            self.close();
        }
    }
}

/// Opens a scroll, or shows its next page.
pub(crate) fn scroll(call: &mut Call<'_>) -> Result<Reply, ApiError> {
    let (now, spec) = (call.now, &call.workspace.world.spec);
    let scroll = &mut call.shelf.scroll;
    scroll.forget_expired(now);
    let wanted = call
        .query
        .get("scroll_param")
        .filter(|param| !param.is_empty());
    let (param, after) = match (wanted, &scroll.state) {
        (None, None) => (request_id(), None),
        (None, Some(_)) => {
            return Err(ApiError::new(
                400,
                "scroll_exists",
                "scroll already exists for this workspace",
            ));
        }
        (Some(wanted), Some(Open::Ours { param, after, .. })) if wanted == param => {
            (param.clone(), after.clone())
        }
        (Some(_), _) => return Err(ApiError::scroll_not_found()),
    };
    let first = wanted.is_none();
    let walk = Walk {
        after: after.clone().map(|id| (0, id)),
        ..Walk::all()
    };
    let store = &call.shelf.store;
    let page: Vec<&CompanyEntry> = walk
        .over(&store.companies.by_id)
        .filter(|(_, id)| spec.scroll_includes_userless || store.has_users(&id.0))
        .take(PAGE)
        .filter_map(|(_, id)| store.companies.get(&id.0))
        .collect();
    let last = page.last().map(|entry| entry.head.id.clone());
    if page.is_empty() && !first && spec.scroll_end == ScrollEnd::NotFound {
        call.shelf.scroll.close();
        return Err(ApiError::scroll_not_found());
    }
    let reply = scroll_page(&page, call, &param);
    call.shelf.scroll.state = last.map(|last| Open::Ours {
        param,
        after: Some(last),
        used_at: now,
    });
    Ok(reply)
}
