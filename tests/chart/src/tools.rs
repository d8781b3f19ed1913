//! The tools that `deploy/setup` has installed below the target directory.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::Failure;

/// Programs that render and judge.
#[derive(Debug)]
pub(crate) struct Tools {
    folder: PathBuf,
}

/// A major version of Helm. Users have both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Helm {
    Three,
    Four,
}

impl Helm {
    pub(crate) const ALL: [Self; 2] = [Self::Three, Self::Four];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Three => "helm3",
            Self::Four => "helm4",
        }
    }
}

impl Tools {
    /// `None` if what renders or what validates is not there.
    pub(crate) fn find() -> Option<Self> {
        let folder = target().join("tools").canonicalize().ok()?;
        let tools = Self { folder };
        let needed = [
            tools.path("chart/helm3"),
            tools.path("chart/helm4"),
            tools.path("chart/kubectl"),
            tools.kubernetes_validate(),
        ];
        needed.iter().all(|path| path.exists()).then_some(tools)
    }

    pub(crate) fn helm(&self, helm: Helm) -> Command {
        Command::new(self.path("chart").join(helm.name()))
    }

    pub(crate) fn kubectl(&self) -> Command {
        Command::new(self.path("chart/kubectl"))
    }

    pub(crate) fn kubernetes_validate(&self) -> PathBuf {
        self.path("kubernetes_validate/bin/kubernetes-validate")
    }

    pub(crate) fn hadolint(&self) -> PathBuf {
        self.path("kubernetes_validate/bin/hadolint")
    }

    pub(crate) fn checkov(&self) -> PathBuf {
        self.path("checkov/bin/checkov")
    }

    /// Where Helm and kubectl are.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path("chart")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// Runs a program to its end.
pub(crate) fn output(command: &mut Command) -> Result<Output, Failure> {
    command.output().map_err(|error| {
        format!(
            "{} could not be run: {error}",
            command.get_program().display()
        )
        .into()
    })
}

/// What a program prints. It has to succeed.
pub(crate) fn printed(command: &mut Command) -> Result<String, Failure> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!(
        "{} failed: {}",
        command.get_program().display(),
        errors(&output)
    )
    .into())
}

/// What a program says of its failure.
pub(crate) fn errors(output: &Output) -> String {
    let both = [&*output.stderr, &*output.stdout].concat();
    String::from_utf8_lossy(&both).trim().to_owned()
}

/// Reads a text file, and names it if that fails.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("{} could not be read: {error}", path.display()).into())
}
