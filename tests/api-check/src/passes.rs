//! Runs of schemathesis. What destroys has a pass and a tenant of its own, or every later answer would be a refusal that
//! proves nothing.

use std::{path::Path, process::Stdio};

use serde_json::Value;
use tokio::process::Command;

use crate::{
    Failure,
    judge::Seen,
    world::{Ids, Synced},
};

/// One run of schemathesis.
pub(crate) struct Pass {
    pub(crate) name: &'static str,
    /// Where the API serves its description.
    description: String,
    arguments: Vec<String>,
    /// What `schemathesis.toml` calls `${NAME}`.
    values: Vec<(&'static str, String)>,
    /// What `hooks.py` parts, as JSON.
    people: String,
}

/// The operations that end the tenant's connection or a source, or erase a contact.
const DESTROY: [&str; 3] = ["end_connection", "remove_source", "erase_contact"];

/// A case of the fuzzing phase is one request, and one of the stateful phase is several.
const STEPS: u32 = 8;

/// Every pass. Most cases are single requests, because schemathesis ends the sequences by itself once they show it
/// nothing new.
pub(crate) fn all(synced: &Synced, cases: u32) -> Vec<Pass> {
    let operations = 38;
    let single = (cases / operations).max(1);
    let sequences = (cases / 2 / STEPS).max(1);
    let pass = |name, ids: &Ids, phases: &str, examples: u32, filter: &str| Pass {
        name,
        description: format!("{}/openapi.json", synced.world.config.public_url),
        arguments: [
            "run",
            "--phases",
            phases,
            "--max-examples",
            &examples.to_string(),
        ]
        .into_iter()
        .chain(DESTROY.iter().flat_map(|operation| [filter, operation]))
        .map(str::to_owned)
        .collect(),
        values: values(synced, ids),
        people: Value::from(ids.people.clone()).to_string(),
    };
    let harmless = "--exclude-operation-id";
    vec![
        pass(
            "single requests",
            &synced.read,
            "examples,coverage,fuzzing",
            single,
            harmless,
        ),
        pass("sequences", &synced.read, "stateful", sequences, harmless),
        pass(
            "ends of connections, sources and contacts",
            &synced.ended,
            "examples,coverage,fuzzing",
            single.min(100),
            "--include-operation-id",
        ),
    ]
}

fn values(synced: &Synced, ids: &Ids) -> Vec<(&'static str, String)> {
    let config = &synced.world.config;
    vec![
        ("SERVICE_KEY", config.service_key.expose().to_owned()),
        ("TENANT", ids.tenant.to_string()),
        ("CONNECTION", ids.connection.clone()),
        ("RUN", ids.run.clone()),
        ("CONTACT", ids.contact.clone()),
        ("COMPANY", ids.company.clone()),
        ("CONVERSATION", ids.conversation.clone()),
        ("ERASURE", ids.erasure.clone()),
    ]
}

impl Pass {
    /// The settings with this pass's values. Schemathesis itself puts variables into some of its settings only.
    fn settings(&self) -> String {
        self.values.iter().fold(
            include_str!("../schemathesis.toml").to_owned(),
            |text, (name, value)| text.replace(&format!("${{{name}}}"), value),
        )
    }

    /// Whether no check failed. What was answered is added to `seen`.
    pub(crate) async fn run(
        &self,
        program: &Path,
        seed: u32,
        seen: &mut Seen,
    ) -> Result<bool, Failure> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = program.canonicalize()?;
        let (answers, settings) = (
            program.with_file_name("answers.json"),
            program.with_file_name("schemathesis.toml"),
        );
        let _ = std::fs::remove_file(&answers);
        std::fs::write(&settings, self.settings())?;
        let status = Command::new(program)
            .arg("--config-file")
            .arg(settings)
            .args(&self.arguments)
            .args(["--seed", &seed.to_string()])
            .arg(&self.description)
            .env("ANSWERS", &answers)
            .env("PEOPLE", &self.people)
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("PYTHONPATH", here)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Its caches belong to no checkout.
            .current_dir(answers.parent().unwrap_or(here))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await?;
        seen.add(&std::fs::read_to_string(&answers)?)?;
        Ok(status.success())
    }
}
