//! Every pod has what its role asks for: `pathbound config check` runs with the variables, the file and the secrets that
//! the pod would have, and with nothing else.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::{
    Failure,
    chart::Render,
    object::{Object, list, text},
    tools,
};

/// Where pods find their files.
const PLACE: &str = "/etc/pathbound";

/// A certificate, whose key was thrown away.
const AUTHORITY: &str = include_str!("authority.pem");

pub(crate) fn check(renders: &[Render], binary: &Path) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for render in renders {
        for object in &render.objects {
            let Some((_, spec)) = object.pod() else {
                continue;
            };
            let output = config_check(binary, spec, &render.objects)?;
            if !output.status.success() {
                found.push(format!(
                    "{render}: {}: {}",
                    object.id(),
                    tools::errors(&output)
                ));
            }
        }
    }
    Ok(found)
}

fn config_check(binary: &Path, spec: &Value, objects: &[Object]) -> Result<Output, Failure> {
    let folder = tempfile::tempdir()?;
    let place = folder
        .path()
        .to_str()
        .ok_or("the temporary folder has no text for a name")?;
    for volume in list(spec, "/volumes") {
        fill(&folder.path().join(text(volume, "/name")), volume, objects)?;
    }
    let mut command = Command::new(binary);
    command
        .env_clear()
        .args(["config", "check", "--for", role(spec)]);
    for variable in list(spec, "/containers/0/env") {
        let value = text(variable, "/value").replace(PLACE, place);
        command.env(text(variable, "/name"), value);
    }
    tools::output(&mut command)
}

/// What the pod runs. The doctor says for which role it looks.
fn role(spec: &Value) -> &str {
    list(spec, "/containers/0/args")
        .last()
        .and_then(Value::as_str)
        .unwrap_or("")
}

/// The files of a volume, which is mounted under its name.
fn fill(folder: &Path, volume: &Value, objects: &[Object]) -> Result<(), Failure> {
    fs::create_dir(folder)?;
    let name = text(volume, "/configMap/name");
    let map = objects
        .iter()
        .find(|object| object.kind() == "ConfigMap" && object.name() == name);
    for (file, content) in map
        .and_then(|map| map.0["data"].as_object())
        .into_iter()
        .flatten()
    {
        // The file names other files of the pod.
        let place = folder.parent().unwrap_or(folder).to_string_lossy();
        fs::write(
            folder.join(file),
            content.as_str().unwrap_or("").replace(PLACE, &place),
        )?;
    }
    for source in list(volume, "/projected/sources") {
        for item in list(source, "/secret/items") {
            let file = text(item, "/path");
            fs::write(folder.join(file), secret(file))?;
        }
    }
    Ok(())
}

/// A value that an option takes.
fn secret(option: &str) -> String {
    // 32 bytes in base64, which is also a key of 32 characters and more.
    let key = |letter: char| format!("{}=", letter.to_string().repeat(43));
    match option {
        "database_url" | "migrate_url" => "postgres://app:secret@db:5432/pathbound".to_owned(),
        "redis_url" => "rediss://redis:6379".to_owned(),
        "encryption_keys" => format!("k1:{}", key('A')),
        "viewer_key" => key('B'),
        "proxy" => "http://proxy:3128".to_owned(),
        name if name.ends_with(".pem") => AUTHORITY.to_owned(),
        _ => key('C'),
    }
}
