//! The baseline: what a connector without a database does, at its simplest.
//!
//! One connection, one call at a time, each object a line of a file: the shape of the peers' taps, without
//! their overhead, so it flatters them. It makes the calls of the floor and no others.

use std::{
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use reqwest::Client;
use serde_json::{Value, json};

use crate::{process, report::Failure};

/// What the baseline took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Baseline {
    pub(crate) wall_seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) calls: u64,
}

/// Copies the workspace into a file.
pub(crate) async fn copy(host: &str, token: &str, file: &Path) -> Result<Baseline, Failure> {
    let mut tap = Tap {
        http: pathbound::api_client::http_client()?,
        host: host.to_owned(),
        token: token.to_owned(),
        file: BufWriter::new(std::fs::File::create(file)?),
        calls: 0,
    };
    let (begun, used) = (
        Instant::now(),
        process::usage(std::process::id()).cpu_seconds,
    );
    tap.contacts().await?;
    tap.companies().await?;
    tap.conversations().await?;
    tap.file.flush()?;
    Ok(Baseline {
        wall_seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds: process::usage(std::process::id()).cpu_seconds - used,
        calls: tap.calls,
    })
}

struct Tap {
    http: Client,
    host: String,
    token: String,
    file: BufWriter<std::fs::File>,
    calls: u64,
}

impl Tap {
    async fn contacts(&mut self) -> Result<(), Failure> {
        let mut after = String::new();
        loop {
            let page = self
                .call(&format!("/contacts?per_page=150{after}"), None)
                .await?;
            self.keep(&page["data"])?;
            let Some(next) = page["pages"]["next"]["starting_after"].as_str() else {
                return Ok(());
            };
            after = format!("&starting_after={next}");
        }
    }

    async fn companies(&mut self) -> Result<(), Failure> {
        let mut param = String::new();
        loop {
            let page = self
                .call(&format!("/companies/scroll{param}"), None)
                .await?;
            if page["data"].as_array().is_none_or(Vec::is_empty) {
                return Ok(());
            }
            self.keep(&page["data"])?;
            param = format!(
                "?scroll_param={}",
                page["scroll_param"].as_str().unwrap_or_default()
            );
        }
    }

    async fn conversations(&mut self) -> Result<(), Failure> {
        let mut search = json!({
            "query": {"field": "updated_at", "operator": ">", "value": 0},
            "sort": {"field": "updated_at", "order": "ascending"},
            "pagination": {"per_page": 150},
        });
        loop {
            let page = self.call("/conversations/search", Some(&search)).await?;
            for stub in page["conversations"].as_array().into_iter().flatten() {
                let id = stub["id"].as_str().unwrap_or_default();
                if stub["statistics"]["count_conversation_parts"] == 0 {
                    self.keep(&json!([stub]))?;
                } else {
                    let thread = self.call(&format!("/conversations/{id}"), None).await?;
                    self.keep(&json!([thread]))?;
                }
            }
            let Some(next) = page["pages"]["next"]["starting_after"].as_str() else {
                return Ok(());
            };
            search["pagination"]["starting_after"] = json!(next);
        }
    }

    async fn call(&mut self, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.host);
        let call = match body {
            None => self.http.get(url),
            Some(body) => self.http.post(url).json(body),
        };
        self.calls += 1;
        let answer = call
            .bearer_auth(&self.token)
            .header("Accept", "application/json")
            .header("Intercom-Version", "2.16")
            .send()
            .await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    fn keep(&mut self, objects: &Value) -> Result<(), Failure> {
        for object in objects.as_array().into_iter().flatten() {
            serde_json::to_writer(&mut self.file, object)?;
            self.file.write_all(b"\n")?;
        }
        Ok(())
    }
}
