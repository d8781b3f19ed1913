//! The chart, and what Helm makes of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    Failure,
    object::{self, Object},
    tools::{self, Helm, Tools},
};

/// The release and the namespace of every render.
pub(crate) const RELEASE: &str = "pathbound";
pub(crate) const NAMESPACE: &str = "fleet";

/// The chart's folder, and those around it.
#[derive(Debug)]
pub(crate) struct Chart<'a> {
    pub(crate) root: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) tools: &'a Tools,
    /// The example values, one file each.
    pub(crate) values: Vec<PathBuf>,
}

/// What one Helm made of one value file.
#[derive(Debug)]
pub(crate) struct Render {
    pub(crate) helm: Helm,
    /// The name of the value file.
    pub(crate) values: String,
    pub(crate) yaml: String,
    pub(crate) objects: Vec<Object>,
}

impl Render {
    /// What a rule finds here, with the render's name.
    pub(crate) fn found(&self, rule: fn(&[Object]) -> Vec<String>) -> Vec<String> {
        let faults = rule(&self.objects).into_iter();
        faults.map(|fault| format!("{self}: {fault}")).collect()
    }
}

impl std::fmt::Display for Render {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.helm.name(), self.values)
    }
}

impl<'a> Chart<'a> {
    pub(crate) fn open(root: &Path, tools: &'a Tools) -> Result<Self, Failure> {
        let folder = root.join("deploy/helm/pathbound");
        let mut values: Vec<_> = std::fs::read_dir(folder.join("ci"))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        values.sort();
        let root = root.to_owned();
        Ok(Self {
            root,
            folder,
            tools,
            values,
        })
    }

    /// The values that the chart has by itself.
    pub(crate) fn defaults(&self) -> Result<Value, Failure> {
        values_of(&self.folder.join("values.yaml"))
    }

    /// What Helm's own linter says under each value file.
    pub(crate) fn lint(&self) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        for helm in Helm::ALL {
            for values in &self.values {
                let mut command = self.tools.helm(helm);
                command.args(["lint", "--strict", "--quiet", "--values"]);
                let output = tools::output(command.arg(values).arg(&self.folder))?;
                if !output.status.success() {
                    found.push(format!(
                        "{} {}: {}",
                        helm.name(),
                        values.display(),
                        tools::errors(&output)
                    ));
                }
            }
        }
        Ok(found)
    }

    /// Renders every value file under every Helm.
    pub(crate) fn render_all(&self) -> Result<Vec<Render>, Failure> {
        let mut renders = Vec::new();
        for values in &self.values {
            for helm in Helm::ALL {
                let yaml = self.template(helm, &self.folder, values, &[])?;
                let values = values
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let objects = object::parse(&yaml)
                    .map_err(|error| format!("{} of {values} is no YAML: {error}", helm.name()))?;
                renders.push(Render {
                    helm,
                    values,
                    yaml,
                    objects,
                });
            }
        }
        Ok(renders)
    }

    /// The objects of a chart in a folder, such as a changed copy.
    pub(crate) fn objects(
        &self,
        helm: Helm,
        folder: &Path,
        values: &Path,
        more: &[&str],
    ) -> Result<Vec<Object>, Failure> {
        object::parse(&self.template(helm, folder, values, more)?)
    }

    pub(crate) fn template(
        &self,
        helm: Helm,
        folder: &Path,
        values: &Path,
        more: &[&str],
    ) -> Result<String, Failure> {
        let mut command = self.tools.helm(helm);
        command.args(["template", RELEASE, "--namespace", NAMESPACE]);
        // The API groups that a cluster with all operators has. The oldest version that the chart takes would do as well.
        command.args(["--kube-version", "1.34.0"]);
        tools::printed(command.args(more).arg("--values").arg(values).arg(folder))
    }
}

/// The values of a file.
pub(crate) fn values_of(path: &Path) -> Result<Value, Failure> {
    serde_saphyr::from_str(&tools::read(path)?)
        .map_err(|error| format!("{} is no YAML: {error}", path.display()).into())
}

/// Both Helms make the same objects of the same values.
pub(crate) fn compare(renders: &[Render]) -> Vec<String> {
    let by_id = |render: &Render| -> BTreeMap<String, Object> {
        let objects = render.objects.iter();
        objects
            .map(|object| (object.id(), object.clone()))
            .collect()
    };
    renders
        .chunks(2)
        .filter(|pair| by_id(&pair[0]) != by_id(&pair[1]))
        .map(|pair| format!("{} and {} differ", pair[0], pair[1]))
        .collect()
}
