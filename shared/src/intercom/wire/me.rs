//! `GET /me`: the admin and the workspace that a token belongs to.

use serde::Deserialize;

use super::scalar::Text;
use crate::{domain::Region, intercom::Error};

/// The workspace of a token. The admin's e-mail is deliberately not read: it proves nothing.
#[derive(Clone, Debug)]
pub struct Me {
    /// `app.id_code`: the workspace's id in every URL and record.
    pub workspace_id: String,
    pub workspace_name: String,
    /// `app.timezone`, an IANA name.
    pub timezone: String,
    /// `app.region`, where it is one we know.
    pub region: Option<Region>,
}

#[derive(Deserialize)]
struct Wire {
    app: Option<App>,
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
    pub(crate) fn parse(body: &str) -> Result<Self, Error> {
        let wire: Wire =
            serde_json::from_str(body).map_err(|error| Error::Unavailable(format!("/me is not readable: {error}")))?;
        let app = wire.app.ok_or_else(|| Error::Unavailable("/me names no workspace".to_owned()))?;
        let workspace_id = app.id_code.some().ok_or_else(|| Error::Unavailable("/me names no workspace".to_owned()))?;
        Ok(Self {
            workspace_name: app.name.some().unwrap_or_else(|| workspace_id.clone()),
            workspace_id,
            timezone: app.timezone.some().unwrap_or_else(|| "UTC".to_owned()),
            region: app.region.some().and_then(|region| region.parse().ok()),
        })
    }
}
