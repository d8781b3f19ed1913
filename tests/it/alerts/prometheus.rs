//! The programs of Prometheus, if this machine has them. `make alerts` installs them.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::wait_for;

/// A program of Prometheus. `None`, and a word about it, if it is not there.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = found.filter(|program| program.is_file()).find(|program| {
        let asked = Command::new(program).arg("--version").output();
        asked.is_ok_and(|asked| asked.status.success())
    });
    if found.is_none() {
        eprintln!(
            "SKIPPED: alerts are NOT tested, there is no {name}: run `make alerts`, which installs it"
        );
    }
    found
}

/// A Prometheus that scrapes every second, until it is dropped.
pub(super) struct Prometheus {
    server: Child,
    port: u16,
    /// Alerts that have fired since its start.
    fired: Arc<Mutex<BTreeSet<String>>>,
    watcher: JoinHandle<()>,
    _folder: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.watcher.abort();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Prometheus {
    /// `None`, and a word about it, if this machine has no Prometheus.
    pub(super) fn start(rules: &str, targets: &[String]) -> Option<Self> {
        let program = program("prometheus")?;
        let folder = tempfile::tempdir().unwrap();
        let scraped = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [{"job_name": "pathbound", "static_configs": [{"targets": targets}]}],
        });
        std::fs::write(folder.path().join("alerts.yaml"), rules).unwrap();
        std::fs::write(folder.path().join("prometheus.yml"), scraped.to_string()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = Command::new(program)
            .current_dir(folder.path())
            .args([
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                "--log.level=error",
            ])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let fired = Arc::default();
        let watcher = tokio::spawn(watch(port, Arc::clone(&fired)));
        Some(Self {
            server,
            port,
            fired,
            watcher,
            _folder: folder,
        })
    }

    /// Waits until all of these have fired.
    pub(super) async fn until_fired(&self, alerts: &[&str]) {
        wait_for("the alerts fire", async || {
            let fired = self.fired();
            let missing: Vec<_> = alerts
                .iter()
                .filter(|alert| !fired.contains(**alert))
                .collect();
            missing
                .is_empty()
                .then_some(())
                .ok_or_else(|| format!("{missing:?} did not fire"))
        })
        .await;
    }

    /// Waits until a query has an answer.
    pub(super) async fn until_true(&self, query: &str) {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.port);
        wait_for("prometheus has scraped", async || {
            let address = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
            let answer = reqwest::get(address)
                .await
                .map_err(|error| error.to_string())?;
            let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
            let found = answer["data"]["result"].as_array();
            let is_true = found.is_some_and(|series| !series.is_empty());
            is_true.then_some(()).ok_or_else(|| answer.to_string())
        })
        .await;
    }

    /// Only what fires from now on counts.
    pub(super) fn forget(&self) {
        self.fired.lock().unwrap().clear();
    }

    pub(super) fn fired(&self) -> BTreeSet<String> {
        self.fired.lock().unwrap().clone()
    }
}

/// Notes every alert that fires.
async fn watch(port: u16, fired: Arc<Mutex<BTreeSet<String>>>) {
    let url = format!("http://127.0.0.1:{port}/api/v1/alerts");
    loop {
        if let Ok(answer) = reqwest::get(&url).await
            && let Ok(answer) = answer.json::<Value>().await
        {
            for alert in answer["data"]["alerts"].as_array().into_iter().flatten() {
                if alert["state"] == "firing" {
                    let name = alert["labels"]["alertname"].as_str().unwrap_or_default();
                    fired.lock().unwrap().insert(name.to_owned());
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
