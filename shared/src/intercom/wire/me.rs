//! `GET /me`: the admin and the workspace that a token belongs to.

use serde::Deserialize;

use super::{object::Object, poison::brief, repair::repair, scalar::Text};
use crate::{
    domain::Region,
    intercom::{Error, id::is_id},
};

/// The workspace of a token. The admin's e-mail is not read, because it proves nothing, and the name is only shown.
#[derive(Clone, Debug)]
pub struct Me {
    /// `app.id_code`: the workspace's id in every URL and record.
    pub workspace_id: String,
    pub workspace_name: String,
    /// The admin whose access the token is.
    pub admin_name: Option<String>,
    /// `app.timezone`, an IANA name.
    pub timezone: String,
    /// `app.region`, if it is a known one.
    pub region: Option<Region>,
}

#[derive(Deserialize)]
struct WireMe {
    #[serde(default)]
    name: Text,
    app: Option<Object<App>>,
}

#[derive(Deserialize)]
struct App {
    #[serde(default)]
    id_code: Text,
    #[serde(default)]
    name: Text,
    #[serde(default)]
    timezone: Text,
    #[serde(default)]
    region: Text,
}

impl Me {
    /// Reads a response of `GET /me`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the response names no workspace, or names it by text that is not an id.
    pub fn parse(body: &str) -> Result<Self, Error> {
        let Object(wire): Object<WireMe> =
            serde_json::from_str(&repair(body)).map_err(|error| {
                Error::Unavailable(format!("/me is not readable: {}", brief(&error)))
            })?;
        let Object(app) = wire
            .app
            .ok_or_else(|| Error::Unavailable("/me names no workspace".to_owned()))?;
        let workspace_id = app
            .id_code
            .some()
            .filter(|id| is_id(id))
            .ok_or_else(|| Error::Unavailable("/me names no workspace".to_owned()))?;
        Ok(Self {
            workspace_name: app
                .name
                .some()
                .map_or_else(|| workspace_id.clone(), |name| short(&name)),
            admin_name: wire.name.some().map(|name| short(&name)),
            workspace_id,
            timezone: app
                .timezone
                .some()
                .filter(|zone| is_zone(zone))
                .unwrap_or_else(|| "UTC".to_owned()),
            region: app.region.some().and_then(|region| region.parse().ok()),
        })
    }
}

/// As much of a name as is stored.
fn short(name: &str) -> String {
    name.chars().take(255).collect()
}

/// The shape of an IANA name.
fn is_zone(name: &str) -> bool {
    name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_has_an_id_and_nothing_else_has_to_be_right() {
        let me = Me::parse(r#"{"app":{"id_code":"ecahpwf5","name":"A\u0000\ud800","timezone":"<b>","region":"MARS"}}"#)
            .unwrap();
        assert_eq!(
            (me.workspace_id.as_str(), me.workspace_name.as_str()),
            ("ecahpwf5", "A\u{fffd}\u{fffd}")
        );
        assert_eq!((me.timezone.as_str(), me.region), ("UTC", None));
        assert_eq!(me.admin_name, None);
        let named = format!(
            r#"{{"name":"{}","app":{{"id_code":"a"}}}}"#,
            "é".repeat(300)
        );
        let name = Me::parse(&named).unwrap().admin_name;
        assert_eq!(name, Some("é".repeat(255)));
        for body in [
            "[]",
            "{}",
            r#"{"app":[]}"#,
            r#"{"app":{"id_code":""}}"#,
            r#"{"app":{"id_code":"a/b"}}"#,
        ] {
            assert!(Me::parse(body).is_err(), "{body}");
        }
    }
}
