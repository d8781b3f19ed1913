//! The files of a tree, read once.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::source::Source;

/// Folders whose `src` is part of the product.
pub const PRODUCT: [&str; 5] = ["api", "deploy/pathbound", "scheduler", "shared", "worker"];

/// Everything that is measured of one commit or working tree.
#[derive(Debug, Default)]
pub struct Tree {
    /// Rust files of the product, without modules that only tests compile.
    pub product: Vec<Source>,
    /// All other Rust files.
    pub tests: Vec<Source>,
    /// Other text: path and content.
    pub texts: Vec<(String, String)>,
    /// Number of files that git tracks.
    pub tracked: usize,
}

impl Tree {
    /// Reads the working tree below `root`.
    ///
    /// # Errors
    /// A file that cannot be read or is not Rust although its name says so, or git is missing.
    pub fn read(root: &Path) -> io::Result<Self> {
        let listed = git(root, &["ls-files"])?;
        Self::of_files(root, listed.lines().count())
    }

    /// Reads only the product of the working tree, for a test that wants no more.
    ///
    /// # Errors
    /// A file cannot be read, or is not Rust although its name says so.
    pub fn product(root: &Path) -> io::Result<Vec<Source>> {
        let mut tree = Self::default();
        for folder in PRODUCT {
            for path in files(&root.join(folder))? {
                tree.add(&name(root, &path), &path)?;
            }
        }
        tree.move_test_modules();
        Ok(tree.product)
    }

    /// Reads a commit of the repository at `root`, unpacked into a temporary folder.
    ///
    /// # Errors
    /// The commit is unknown, or one of its files cannot be read or parsed.
    pub fn at(root: &Path, commit: &str) -> io::Result<Self> {
        let listed = git(root, &["ls-tree", "-r", "--name-only", commit])?;
        let folder = tempfile::tempdir()?;
        unpack(root, commit, folder.path())?;
        Self::of_files(folder.path(), listed.lines().count())
    }

    fn of_files(root: &Path, tracked: usize) -> io::Result<Self> {
        let mut tree = Self {
            tracked,
            ..Self::default()
        };
        for path in files(root)? {
            tree.add(&name(root, &path), &path)?;
        }
        tree.move_test_modules();
        Ok(tree)
    }

    fn add(&mut self, name: &str, path: &Path) -> io::Result<()> {
        if name.ends_with(".rs") {
            let source = Source::parse(name, &fs::read_to_string(path)?)
                .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
            if is_product(name) {
                &mut self.product
            } else {
                &mut self.tests
            }
            .push(source);
        } else if is_text(name) {
            self.texts
                .push((name.to_owned(), fs::read_to_string(path)?));
        }
        Ok(())
    }

    /// A file that is declared as `#[cfg(test)] mod name;` is a test, with all files below it.
    fn move_test_modules(&mut self) {
        let folders: Vec<String> = self
            .product
            .iter()
            .flat_map(|source| source.test_modules.iter().cloned())
            .collect();
        let (tests, product) = std::mem::take(&mut self.product)
            .into_iter()
            .partition(|source| {
                folders.iter().any(|module| {
                    source.path == format!("{module}.rs")
                        || source.path.starts_with(&format!("{module}/"))
                })
            });
        self.product = product;
        let tests: Vec<Source> = tests;
        self.tests.extend(tests);
    }
}

fn is_product(name: &str) -> bool {
    PRODUCT
        .iter()
        .any(|folder| name.starts_with(&format!("{folder}/src/")))
}

/// Migrations are frozen by their checksums, so their words are not measured.
fn is_text(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let extension = file.rsplit('.').next().unwrap_or_default();
    ["README.md", "ARCHITECTURE.md", "Makefile"].contains(&name)
        || name.starts_with(".ci/")
        || ["lua", "sh", "toml"].contains(&extension)
}

fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

/// Every file below a folder in the order of their paths, without build output and git's own.
fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let skipped = path
                .file_name()
                .is_some_and(|name| name == "target" || name == ".git");
            match path.is_dir() {
                _ if skipped => {}
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    Ok(found)
}

fn git(root: &Path, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    }
}

/// `git archive | tar -x`: leaves the repository's list of worktrees alone.
fn unpack(root: &Path, commit: &str, folder: &Path) -> io::Result<()> {
    let mut archive = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["archive", "--format=tar", commit])
        .stdout(Stdio::piped())
        .spawn()?;
    let stream = archive
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("git gave no output"))?;
    let unpacked = Command::new("tar")
        .arg("-x")
        .arg("-C")
        .arg(folder)
        .stdin(stream)
        .status()?;
    if archive.wait()?.success() && unpacked.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("could not unpack {commit}")))
    }
}
