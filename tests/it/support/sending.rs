//! Records of other sources, sent and removed.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Caller, wait_for};

impl Caller {
    /// Sends records of a source. Returns what became of them.
    pub(crate) async fn send(&self, source: &str, object: &str, records: &[Value]) -> Value {
        let path = format!("/v1/sources/{source}/records");
        let body = json!({"object": object, "records": records});
        let (status, taken) = self.call(Method::POST, &path, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{taken}");
        taken
    }

    /// Removes a source, and waits until nothing of it is left.
    pub(crate) async fn remove_source(&self, source: &str) {
        let path = format!("/v1/sources/{source}");
        let (status, body) = self.call(Method::DELETE, &path, None).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        wait_for("the source has gone", async || {
            let sources = self.get("/v1/sources").await;
            let items = sources["items"].as_array().unwrap();
            let is_gone = items.iter().all(|item| item["source"] != source);
            is_gone.then_some(()).ok_or_else(|| sources.to_string())
        })
        .await;
    }

    /// Erases a contact, and waits for the end.
    pub(crate) async fn erase(&self, contact: &str) {
        let path = format!("/v1/contacts/{contact}/erasure");
        let (status, erasure) = self.call(Method::POST, &path, None).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{erasure}");
        let path = format!("/v1/erasures/{}", erasure["id"].as_str().unwrap());
        wait_for("the person is erased", async || {
            let erasure = self.get(&path).await;
            let is_done = erasure["status"] == "finished";
            is_done.then_some(()).ok_or_else(|| erasure.to_string())
        })
        .await;
    }
}
