//! The closed list of the endpoints that we call. All of them are reads, and there is no other way to
//! send a request.

use std::borrow::Cow;

use super::{Error, Search, id::is_id};

/// One read of one endpoint. A search is a POST by shape and a read by meaning.
#[derive(Clone, Debug)]
pub enum Endpoint<'a> {
    /// `GET /me`: the workspace that the token belongs to.
    Me,
    Admins,
    Teams,
    Tags,
    Segments,
    /// `GET /data_attributes?model=contact|company` (and `conversation` up to 2.15).
    DataAttributes {
        model: &'static str,
    },
    /// `GET /conversations/attributes`, from 2.16 on.
    ConversationAttributes,
    /// `GET /contacts`: every contact, in a keyset that survives a restart.
    Contacts {
        after: Option<&'a str>,
        per_page: usize,
        merge_history: bool,
    },
    /// `POST /contacts/search`.
    ContactsSearch {
        search: &'a Search,
        merge_history: bool,
    },
    Contact {
        id: &'a str,
        merge_history: bool,
    },
    /// `GET /contacts/{id}/companies`: the whole list, of which a contact shows ten.
    ContactCompanies {
        id: &'a str,
        page: u32,
    },
    /// `GET /companies/scroll`: one open per workspace, dead after a minute of silence.
    CompaniesScroll {
        param: Option<&'a str>,
    },
    Company {
        id: &'a str,
    },
    /// `POST /conversations/search`.
    ConversationsSearch {
        search: &'a Search,
    },
    /// `GET /conversations/{id}`: the only call that returns parts.
    Conversation {
        id: &'a str,
    },
    /// `GET /conversations/deleted`, from 2.16 on.
    ConversationsDeleted {
        page: u32,
    },
}

/// A request line and body, ready for the transport.
#[derive(Debug)]
pub(super) struct Request {
    pub path: String,
    /// The JSON of a search. Its presence makes the request a POST.
    pub body: Option<String>,
    /// Whether the page has one record. If it is too large even so, its outline is kept.
    pub of_one: bool,
}

impl Endpoint<'_> {
    /// The operation's name in metrics and spans: bounded, without ids.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Me => "me",
            Self::Admins => "admins",
            Self::Teams => "teams",
            Self::Tags => "tags",
            Self::Segments => "segments",
            Self::DataAttributes { .. } => "data_attributes",
            Self::ConversationAttributes => "conversation_attributes",
            Self::Contacts { .. } => "contacts_list",
            Self::ContactsSearch { .. } => "contacts_search",
            Self::Contact { .. } => "contact",
            Self::ContactCompanies { .. } => "contact_companies",
            Self::CompaniesScroll { .. } => "companies_scroll",
            Self::Company { .. } => "company",
            Self::ConversationsSearch { .. } => "conversations_search",
            Self::Conversation { .. } => "conversation",
            Self::ConversationsDeleted { .. } => "conversations_deleted",
        }
    }

    /// Whether the call may be repeated. The next page of a scroll may not, because the scroll moves
    /// with every call.
    pub(super) const fn is_repeatable(&self) -> bool {
        !matches!(self, Self::CompaniesScroll { param: Some(_) })
    }

    /// The request for the transport.
    ///
    /// # Errors
    /// [`Error::BadId`] if an id cannot be part of a path.
    pub(super) fn request(&self) -> Result<Request, Error> {
        let body = match self {
            Self::ContactsSearch { search, .. } | Self::ConversationsSearch { search } => {
                Some(search.to_json())
            }
            _ => None,
        };
        Ok(Request {
            path: self.path()?,
            body,
            of_one: self.is_of_one(),
        })
    }

    fn path(&self) -> Result<String, Error> {
        Ok(match self {
            Self::Me => "/me".to_owned(),
            Self::Admins => "/admins".to_owned(),
            Self::Teams => "/teams".to_owned(),
            Self::Tags => "/tags".to_owned(),
            Self::Segments => "/segments".to_owned(),
            // Archived attributes are asked for too, because old contacts still have values of
            // them.
            Self::DataAttributes { model } => {
                format!("/data_attributes?model={model}&include_archived=true")
            }
            Self::ConversationAttributes => "/conversations/attributes".to_owned(),
            Self::Contacts {
                after,
                per_page,
                merge_history,
            } => {
                let after = after.map_or_else(String::new, |after| {
                    format!("&starting_after={}", encode(after))
                });
                format!(
                    "/contacts?per_page={per_page}{after}{}",
                    history('&', *merge_history)
                )
            }
            Self::ContactsSearch { merge_history, .. } => {
                format!("/contacts/search{}", history('?', *merge_history))
            }
            Self::Contact { id, merge_history } => {
                format!("/contacts/{}{}", checked(id)?, history('?', *merge_history))
            }
            Self::ContactCompanies { id, page } => {
                format!(
                    "/contacts/{}/companies?page={page}&per_page=50",
                    checked(id)?
                )
            }
            Self::CompaniesScroll { param: None } => "/companies/scroll".to_owned(),
            Self::CompaniesScroll { param: Some(param) } => {
                format!("/companies/scroll?scroll_param={}", encode(param))
            }
            Self::Company { id } => format!("/companies/{}", checked(id)?),
            Self::ConversationsSearch { .. } => "/conversations/search".to_owned(),
            Self::Conversation { id } => format!("/conversations/{}", checked(id)?),
            Self::ConversationsDeleted { page } => {
                format!("/conversations/deleted?page={page}&per_page=60&order=desc")
            }
        })
    }

    /// Whether the call requests a list of one record, which cannot be made smaller.
    const fn is_of_one(&self) -> bool {
        match self {
            Self::Contacts { per_page, .. } => *per_page == 1,
            Self::ContactsSearch { search, .. } | Self::ConversationsSearch { search } => {
                search.per_page == 1
            }
            _ => false,
        }
    }
}

/// Contacts come with the ids that were merged into them if the query asks for it.
fn history(separator: char, is_included: bool) -> String {
    if is_included {
        format!("{separator}include_merge_history=true")
    } else {
        String::new()
    }
}

/// The id, if it can be part of a path.
fn checked(id: &str) -> Result<&str, Error> {
    if is_id(id) {
        Ok(id)
    } else {
        Err(Error::BadId(id.chars().take(64).collect()))
    }
}

/// A cursor as a query value. It is opaque to us, so every unusual byte is encoded.
fn encode(text: &str) -> Cow<'_, str> {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_leaves_its_path() {
        for id in [
            "",
            "../me",
            "a/b",
            "a?b",
            "a#b",
            "a%2fb",
            "a b",
            "é",
            &"x".repeat(65),
        ] {
            assert!(Endpoint::Conversation { id }.request().is_err(), "{id:?}");
        }
        assert_eq!(
            Endpoint::Conversation { id: "215473" }
                .request()
                .unwrap()
                .path,
            "/conversations/215473"
        );
    }

    #[test]
    fn a_cursor_is_only_ever_a_value() {
        let request = Endpoint::CompaniesScroll {
            param: Some("a&b=c/../d"),
        }
        .request()
        .unwrap();
        assert_eq!(
            request.path,
            "/companies/scroll?scroll_param=a%26b%3Dc%2F..%2Fd"
        );
        assert!(request.body.is_none());
    }
}
