//! The chart as a part of another one, which gives it `global` and `enabled`.

use std::path::Path;

use serde_json::Value;

use crate::{
    Failure,
    chart::{Chart, NAMESPACE, RELEASE},
    object::{self, Object},
    tools::{self, Helm},
};

const PARENT: &str = "apiVersion: v2
name: product
version: 1.0.0
dependencies:
  - name: pathbound
    version: 0.x
    condition: pathbound.enabled
";

const VALUES: &str = "global: {region: eu}
pathbound:
  config: {public_url: https://pathbound.example, intercom_client_id: client-of-pathbound}
";

pub(crate) fn check(chart: &Chart<'_>) -> Result<Vec<String>, Failure> {
    let folder = tempfile::tempdir()?;
    let parent = folder.path();
    std::fs::write(parent.join("Chart.yaml"), PARENT)?;
    std::fs::write(parent.join("values.yaml"), VALUES)?;
    copy(&chart.folder, &parent.join("charts/pathbound"))?;
    let alone = chart.objects(
        Helm::Four,
        &chart.folder,
        &chart.folder.join("ci/minimal.yaml"),
        &[],
    )?;
    let mut found = Vec::new();
    for helm in Helm::ALL {
        let name = helm.name();
        let enabled = render(chart, helm, parent, &[])?;
        match enabled {
            Ok(objects) if specs(&objects) == specs(&alone) => {}
            Ok(_) => found.push(format!("{name} renders something else in another chart")),
            Err(error) => found.push(format!("{name} refuses it in another chart: {error}")),
        }
        match render(chart, helm, parent, &["--set", "pathbound.enabled=false"])? {
            Ok(objects) if objects.is_empty() => {}
            _ => found.push(format!("{name} renders something though it is not enabled")),
        }
        if render(chart, helm, parent, &["--set", "pathbound.enable=true"])?.is_ok() {
            found.push(format!("{name} takes a typo from another chart"));
        }
    }
    Ok(found)
}

/// What was rendered, or why Helm refuses.
fn render(
    chart: &Chart<'_>,
    helm: Helm,
    parent: &Path,
    more: &[&str],
) -> Result<Result<Vec<Object>, String>, Failure> {
    let mut command = chart.tools.helm(helm);
    command
        .args(["template", RELEASE, "--namespace", NAMESPACE])
        .args(more);
    let output = tools::output(command.arg(parent))?;
    if !output.status.success() {
        return Ok(Err(tools::errors(&output)));
    }
    Ok(Ok(object::parse(&String::from_utf8(output.stdout)?)?))
}

/// What has to be equal. Helm orders objects of several charts by their kinds.
fn specs(objects: &[Object]) -> Vec<(String, Value)> {
    let mut specs: Vec<_> = objects
        .iter()
        .map(|object| (object.id(), object.0.clone()))
        .collect();
    specs.sort_by(|left, right| left.0.cmp(&right.0));
    specs
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
