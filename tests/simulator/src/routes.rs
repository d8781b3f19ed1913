//! Every call that the simulator answers, as one table, and how a path finds its row.

use percent_encoding::percent_decode_str;

use crate::spec::Scope;
use crate::versions::Version;

/// The operations a sync may use (the read list), the OAuth door, and everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub(crate) enum Operation {
    Authorize,
    AuthorizeDecision,
    ExchangeToken,
    Me,
    ListContacts,
    SearchContacts,
    GetContact,
    ContactByExternalId,
    ContactCompanies,
    ContactTags,
    ContactNotes,
    ContactSegments,
    ContactMergeHistory,
    ListCompanies,
    ListCompaniesPost,
    ScrollCompanies,
    GetCompany,
    CompanyContacts,
    ListConversations,
    SearchConversations,
    GetConversation,
    DeletedConversations,
    ListAdmins,
    GetAdmin,
    ListTeams,
    ListTags,
    ListSegments,
    DataAttributes,
    ConversationAttributes,
    Outside,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    /// Path with `{}` where an id stands.
    pub(crate) template: &'static str,
    /// The first version that has it.
    pub(crate) since: Version,
    pub(crate) scope: Option<Scope>,
}

const USERS: Option<Scope> = Some(Scope::ReadUsers);
const CHATS: Option<Scope> = Some(Scope::ReadConversations);
const ADMINS: Option<Scope> = Some(Scope::ReadAdmins);
const V2_0: Version = Version::new(2, 0);

const fn route(
    operation: Operation,
    name: &'static str,
    method: &'static str,
    template: &'static str,
    since: Version,
    scope: Option<Scope>,
) -> Route {
    Route {
        operation,
        name,
        method,
        template,
        since,
        scope,
    }
}

/// In the order of [`Operation`]. Fixed paths stand before those with an id.
pub(crate) const ROUTES: &[Route] = &[
    route(
        Operation::Authorize,
        "authorize",
        "GET",
        "/oauth",
        V2_0,
        None,
    ),
    route(
        Operation::AuthorizeDecision,
        "authorize_decision",
        "POST",
        "/oauth/authorize",
        V2_0,
        None,
    ),
    route(
        Operation::ExchangeToken,
        "exchange_token",
        "POST",
        "/auth/eagle/token",
        V2_0,
        None,
    ),
    route(Operation::Me, "me", "GET", "/me", V2_0, ADMINS),
    route(
        Operation::ListContacts,
        "list_contacts",
        "GET",
        "/contacts",
        V2_0,
        USERS,
    ),
    route(
        Operation::SearchContacts,
        "search_contacts",
        "POST",
        "/contacts/search",
        V2_0,
        USERS,
    ),
    route(
        Operation::GetContact,
        "get_contact",
        "GET",
        "/contacts/{}",
        V2_0,
        USERS,
    ),
    route(
        Operation::ContactByExternalId,
        "contact_by_external_id",
        "GET",
        "/contacts/find_by_external_id/{}",
        Version::new(2, 13),
        USERS,
    ),
    route(
        Operation::ContactCompanies,
        "contact_companies",
        "GET",
        "/contacts/{}/companies",
        V2_0,
        USERS,
    ),
    route(
        Operation::ContactTags,
        "contact_tags",
        "GET",
        "/contacts/{}/tags",
        V2_0,
        USERS,
    ),
    route(
        Operation::ContactNotes,
        "contact_notes",
        "GET",
        "/contacts/{}/notes",
        V2_0,
        USERS,
    ),
    route(
        Operation::ContactSegments,
        "contact_segments",
        "GET",
        "/contacts/{}/segments",
        V2_0,
        USERS,
    ),
    route(
        Operation::ContactMergeHistory,
        "contact_merge_history",
        "GET",
        "/contacts/{}/merge_history",
        Version::V2_16,
        USERS,
    ),
    route(
        Operation::ListCompanies,
        "list_companies",
        "GET",
        "/companies",
        V2_0,
        USERS,
    ),
    route(
        Operation::ListCompaniesPost,
        "list_companies_post",
        "POST",
        "/companies/list",
        V2_0,
        USERS,
    ),
    route(
        Operation::ScrollCompanies,
        "scroll_companies",
        "GET",
        "/companies/scroll",
        V2_0,
        USERS,
    ),
    route(
        Operation::GetCompany,
        "get_company",
        "GET",
        "/companies/{}",
        V2_0,
        USERS,
    ),
    route(
        Operation::CompanyContacts,
        "company_contacts",
        "GET",
        "/companies/{}/contacts",
        V2_0,
        USERS,
    ),
    route(
        Operation::ListConversations,
        "list_conversations",
        "GET",
        "/conversations",
        V2_0,
        CHATS,
    ),
    route(
        Operation::SearchConversations,
        "search_conversations",
        "POST",
        "/conversations/search",
        V2_0,
        CHATS,
    ),
    route(
        Operation::GetConversation,
        "get_conversation",
        "GET",
        "/conversations/{}",
        V2_0,
        CHATS,
    ),
    route(
        Operation::DeletedConversations,
        "deleted_conversations",
        "GET",
        "/conversations/deleted",
        Version::V2_16,
        CHATS,
    ),
    route(
        Operation::ListAdmins,
        "list_admins",
        "GET",
        "/admins",
        V2_0,
        ADMINS,
    ),
    route(
        Operation::GetAdmin,
        "get_admin",
        "GET",
        "/admins/{}",
        V2_0,
        ADMINS,
    ),
    route(
        Operation::ListTeams,
        "list_teams",
        "GET",
        "/teams",
        V2_0,
        ADMINS,
    ),
    route(
        Operation::ListTags,
        "list_tags",
        "GET",
        "/tags",
        V2_0,
        Some(Scope::ReadTags),
    ),
    route(
        Operation::ListSegments,
        "list_segments",
        "GET",
        "/segments",
        V2_0,
        USERS,
    ),
    route(
        Operation::DataAttributes,
        "data_attributes",
        "GET",
        "/data_attributes",
        V2_0,
        USERS,
    ),
    route(
        Operation::ConversationAttributes,
        "conversation_attributes",
        "GET",
        "/conversations/attributes",
        Version::V2_16,
        CHATS,
    ),
    route(Operation::Outside, "outside", "", "(other)", V2_0, None),
];

/// Where a request belongs.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) route: &'static Route,
    /// The id in the path, decoded.
    pub(crate) id: String,
    /// The path is known, the method is not.
    pub(crate) wrong_method: bool,
}

/// Finds the row of a request. Unknown ones get the last row.
pub(crate) fn find(method: &str, path: &str) -> Found {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut known = false;
    let mut best: Option<(&'static Route, &str)> = None;
    for route in ROUTES {
        let Some(id) = fits(route.template, path) else {
            continue;
        };
        known = true;
        // A fixed path wins over one with an id, wherever it stands.
        let fixed = !route.template.contains("{}");
        if route.method == method && (best.is_none() || fixed) {
            best = Some((route, id));
        }
    }
    let (route, id) = best.unwrap_or((&ROUTES[ROUTES.len() - 1], ""));
    Found {
        route,
        id: percent_decode_str(id).decode_utf8_lossy().into_owned(),
        wrong_method: known && route.operation == Operation::Outside,
    }
}

/// The id in `path` if the path fits `template`, or empty text if the template has no id.
fn fits<'p>(template: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, after)) = template.split_once("{}") else {
        return (template == path).then_some("");
    };
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_operations() {
        for (n, route) in ROUTES.iter().enumerate() {
            assert_eq!(route.operation as usize, n, "{}", route.name);
        }
    }

    #[test]
    fn fixed_paths_win_over_ids() {
        assert_eq!(
            find("GET", "/conversations/deleted").route.name,
            "deleted_conversations"
        );
        assert_eq!(
            find("GET", "/companies/scroll").route.name,
            "scroll_companies"
        );
        assert_eq!(find("GET", "/conversations/17").id, "17");
        assert_eq!(find("GET", "/contacts/find_by_external_id/a%2Fb").id, "a/b");
    }

    #[test]
    fn writes_are_outside() {
        let post = find("POST", "/contacts");
        assert_eq!(post.route.operation, Operation::Outside);
        assert!(post.wrong_method);
        assert!(!find("GET", "/articles").wrong_method);
    }
}
