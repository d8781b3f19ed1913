//! The three layers: defaults, file, environment. A later one overrides an earlier one, key by key.

use std::{collections::BTreeMap, path::Path};

use toml::{Table, Value};

/// Read by the command line before there is a configuration, so not an option itself.
const CONFIG_VARIABLE: &str = "PATHBOUND_CONFIG";

const PREFIX: &str = "PATHBOUND_";

/// Variables of the tools around the product: the servers of tests and demo.
const TOOL_VARIABLES: [&str; 4] = [
    "PATHBOUND_COMMIT",
    "PATHBOUND_POSTGRES_BIN",
    "PATHBOUND_REDIS_BIN",
    "PATHBOUND_SERVERS_DIR",
];

/// Options that were renamed. The old name still works, with a warning.
const RENAMED: [(&str, &str); 4] = [
    ("answer_memory", "response_memory"),
    ("index_lag", "search_index_lag"),
    ("thread_concurrency", "conversation_concurrency"),
    ("threads_per_slice", "conversations_per_slice"),
];

/// A name is suggested if it differs from the given one in at most a third of its letters.
const SUGGESTED_SIMILARITY: f64 = 0.67;

/// The process's `PATHBOUND_*` variables, or a test's.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// What reading the layers found wrong.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The process cannot start with these.
    pub(super) faults: Vec<String>,
    /// The process starts, but the user probably meant something else.
    pub(super) warnings: Vec<String>,
}

/// Each key's effective value as text, and where it came from.
#[derive(Debug, Default)]
pub(super) struct Layers {
    values: BTreeMap<String, (String, String)>,
}

impl Layers {
    pub(super) fn read(
        defaults: &str,
        file: Option<&Path>,
        environment: &Environment,
        findings: &mut Findings,
    ) -> Self {
        let mut layers = Self::default();
        // The defaults come first, because they define which keys are known.
        layers.add_defaults(defaults, findings);
        if let Some(path) = file {
            layers.add_file(path, findings);
        }
        layers.add_environment(environment, findings);
        layers
    }

    /// The value of a known key. A key is known if it is in the defaults.
    pub(super) fn get(&self, key: &str) -> &str {
        self.values.get(key).map_or("", |(value, _)| value)
    }

    /// Where the value came from, for a fault's text.
    pub(super) fn origin(&self, key: &str) -> &str {
        self.values
            .get(key)
            .map_or("the defaults", |(_, origin)| origin)
    }

    fn add_defaults(&mut self, text: &str, findings: &mut Findings) {
        for (key, value) in read_table(text, "the defaults", findings) {
            self.values.insert(key, (value, "the defaults".to_owned()));
        }
    }

    fn add_file(&mut self, path: &Path, findings: &mut Findings) {
        let origin = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                findings
                    .faults
                    .push(format!("{origin} could not be read: {error}"));
                return;
            }
        };
        // A file is the user's own text, so an unknown key in it is a fault. An unknown variable is
        // only a warning, because the environment may belong to other programs too.
        let table = read_table(&text, &origin, findings);
        for (given, value) in &table {
            let key = current_name(given);
            if key != given {
                let is_shadowed = table.contains_key(key);
                findings.warnings.push(renamed(given, key, is_shadowed));
                if is_shadowed {
                    continue;
                }
            }
            if self.values.contains_key(key) {
                self.values
                    .insert(key.to_owned(), (value.clone(), origin.clone()));
            } else {
                let hint = self.nearest(key).map_or_else(
                    || "see `pathbound config show`".to_owned(),
                    |nearest| format!("did you mean {nearest}?"),
                );
                findings
                    .faults
                    .push(format!("{given} in {origin} is not an option: {hint}"));
            }
        }
    }

    fn add_environment(&mut self, environment: &Environment, findings: &mut Findings) {
        let is_set = |key: &str| environment.0.contains_key(&variable(key));
        for (name, value) in &environment.0 {
            let Some(option) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if name == CONFIG_VARIABLE || TOOL_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let given = option.to_ascii_lowercase();
            let key = current_name(&given);
            if key != given {
                let is_shadowed = is_set(key);
                let warning = renamed(name, &variable(key), is_shadowed);
                findings.warnings.push(warning);
                // The new name wins in one layer, whatever their order.
                if is_shadowed {
                    continue;
                }
            }
            if self.values.contains_key(key) {
                self.values
                    .insert(key.to_owned(), (value.clone(), name.clone()));
            } else if let Some(key) = key
                .strip_suffix("_file")
                .map(current_name)
                .filter(|key| self.values.contains_key(*key))
            {
                if is_set(key) {
                    findings.faults.push(format!(
                        "{name} and the variable without _FILE are both set: keep one"
                    ));
                }
                self.add_content(key, name, value, findings);
            } else {
                // No fault, because a newer or older version of a deployment may set options that
                // this version lacks.
                findings.warnings.push(self.unknown(name, key));
            }
        }
    }

    /// Sets a key to the content of a file, for `NAME_FILE=/path`.
    fn add_content(&mut self, key: &str, name: &str, path: &str, findings: &mut Findings) {
        match std::fs::read_to_string(path) {
            Ok(content) => {
                // An editor ends a file with a line end, which is no part of a secret.
                let content = content.trim_end().to_owned();
                self.values
                    .insert(key.to_owned(), (content, name.to_owned()));
            }
            Err(error) => findings.faults.push(format!(
                "{name} names {path}, which could not be read: {error}"
            )),
        }
    }

    /// The warning about a variable that no option has. The value may be a secret, so it is left out.
    fn unknown(&self, name: &str, key: &str) -> String {
        let bare = key.strip_suffix("_file");
        let suggestion = self.nearest(key).map(variable).or_else(|| {
            let nearest = self.nearest(bare?)?;
            Some(format!("{}_FILE", variable(nearest)))
        });
        match suggestion {
            Some(suggestion) => {
                format!("{name} is not an option and has no effect: did you mean {suggestion}?")
            }
            None => {
                format!("{name} is not an option and has no effect: see `pathbound config show`")
            }
        }
    }

    /// The known key that is spelled most like `key`, if one is near.
    fn nearest(&self, key: &str) -> Option<&str> {
        self.values
            .keys()
            .map(|known| (strsim::normalized_damerau_levenshtein(known, key), known))
            .filter(|(similarity, _)| *similarity >= SUGGESTED_SIMILARITY)
            .max_by(|(left, _), (right, _)| left.total_cmp(right))
            .map(|(_, known)| known.as_str())
    }
}

/// The table's plain values as text.
fn read_table(text: &str, origin: &str, findings: &mut Findings) -> BTreeMap<String, String> {
    let table = text.parse::<Table>().unwrap_or_else(|error| {
        findings
            .faults
            .push(format!("{origin} is not TOML: {}", error.message()));
        Table::new()
    });
    let mut values = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::String(text) => values.insert(key, text),
            Value::Integer(number) => values.insert(key, number.to_string()),
            Value::Float(number) => values.insert(key, number.to_string()),
            Value::Boolean(flag) => values.insert(key, flag.to_string()),
            _ => {
                findings
                    .faults
                    .push(format!("{key} in {origin} must be a plain value"));
                None
            }
        };
    }
    values
}

/// The variable that sets an option.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase())
}

fn current_name(key: &str) -> &str {
    RENAMED
        .iter()
        .find(|(old, _)| *old == key)
        .map_or(key, |(_, new)| *new)
}

fn renamed(old: &str, new: &str, is_shadowed: bool) -> String {
    if is_shadowed {
        format!("{old} has no effect, because {new} is set as well: remove {old}")
    } else {
        format!("{old} is the old name of {new}: rename it")
    }
}
