//! The examples in `deploy/docs/kubernetes.md`: values that the chart takes, and an overlay that Kustomize builds.

use std::process::Command;

use crate::{Failure, chart::Chart, subchart, tools, tools::Helm, typos};

const DOCUMENT: &str = "deploy/docs/kubernetes.md";

pub(crate) fn check(chart: &Chart<'_>) -> Result<Vec<String>, Failure> {
    let document = tools::read(&chart.root.join(DOCUMENT))?;
    let values = [fences(&document, "yaml"), heredocs(&document, "VALUES")].concat();
    let mut found = Vec::new();
    if values.len() < 3 {
        found.push(format!(
            "{DOCUMENT} has {} examples of values",
            values.len()
        ));
    }
    for example in values {
        for helm in Helm::ALL {
            if let Some(refusal) = typos::refusal(chart, helm, &example)? {
                found.push(format!("{} refuses an example: {refusal}", helm.name()));
            }
        }
    }
    found.extend(overlay(chart, &document)?);
    Ok(found)
}

/// Runs the commands that make the overlay, and looks whether it has the image and the namespace.
fn overlay(chart: &Chart<'_>, document: &str) -> Result<Vec<String>, Failure> {
    let fences = fences(document, "sh");
    let Some(commands) = fences
        .iter()
        .find(|fence| fence.contains("kubectl kustomize"))
    else {
        return Ok(vec![format!("{DOCUMENT} builds no overlay")]);
    };
    let folder = tempfile::tempdir()?;
    subchart::copy(
        &chart.root.join("deploy/kustomize"),
        &folder.path().join("deploy/kustomize"),
    )?;
    // The tool of this check, by the name that the commands give it.
    let path = std::env::join_paths([chart.tools.folder(), "/usr/bin".into(), "/bin".into()])?;
    let mut shell = Command::new("/bin/sh");
    shell
        .current_dir(folder.path())
        .env("PATH", path)
        .args(["-euc", commands]);
    let output = tools::output(&mut shell)?;
    let built = String::from_utf8_lossy(&output.stdout);
    let has_all = [
        "image: REGISTRY/pathbound:",
        "namespace: fleet",
        "YOUR-CLIENT-ID",
    ]
    .iter()
    .all(|text| built.contains(text));
    Ok((!has_all)
        .then(|| format!("the overlay is not built: {}", tools::errors(&output)))
        .into_iter()
        .collect())
}

/// The blocks of a language, without the indentation of the list that they stand in.
fn fences(document: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some((indent, _)) = line.split_once("```") else {
            continue;
        };
        let inside: Vec<&str> = lines
            .by_ref()
            .take_while(|inside| inside.trim() != "```")
            .map(|inside| inside.strip_prefix(indent).unwrap_or(inside))
            .collect();
        if line.trim() == format!("```{language}") {
            blocks.push(inside.join("\n"));
        }
    }
    blocks
}

/// What a shell block writes up to a word.
fn heredocs(document: &str, word: &str) -> Vec<String> {
    let begin = format!("<<'{word}'\n");
    let blocks = fences(document, "sh");
    let inside = blocks
        .iter()
        .filter_map(|block| Some(block.split_once(&begin)?.1.split_once(word)?.0.to_owned()));
    inside.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_inside_and_outside_of_lists() {
        let document = "x\n\n   ```sh\n   cat >v <<'VALUES'\n   a: 1\n   VALUES\n   ```\n\n```yaml\nb:\n    c: 2\n```\n";
        assert_eq!(fences(document, "yaml"), ["b:\n    c: 2"]);
        assert_eq!(heredocs(document, "VALUES"), ["a: 1\n"]);
    }
}
