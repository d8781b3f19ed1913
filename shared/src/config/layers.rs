//! The three layers: defaults, file, environment. A later one overrides an earlier one, key by key.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

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

/// Other spellings of an option, which stay.
const ALIASES: [(&str, &str); 3] = [
    ("redis_url_ca_file", "redis_ca_file"),
    ("redis_url_cert_file", "redis_cert_file"),
    ("redis_url_key_file", "redis_key_file"),
];

/// The variables in which other programs find their proxy, first the one that wins.
const PROXY_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const NO_PROXY_VARIABLES: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The process's `PATHBOUND_*` variables and those of a proxy, or a test's.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Variables of ours whose value is not UTF-8.
    garbled: Vec<String>,
}

impl Environment {
    /// The variables of this process. Those of other programs may hold any bytes.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of(std::env::vars_os())
    }

    pub(super) fn of(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else {
                continue;
            };
            let is_ours = name.starts_with(PREFIX);
            let is_proxy =
                PROXY_VARIABLES.contains(&&*name) || NO_PROXY_VARIABLES.contains(&&*name);
            match value.into_string() {
                Ok(value) if is_ours || is_proxy => {
                    environment.variables.insert(name, value);
                }
                Err(_) if is_ours => environment.garbled.push(name),
                Ok(_) | Err(_) => {}
            }
        }
        environment
    }

    /// Sets a variable that is not set, directly or by a file.
    #[must_use]
    pub fn or(mut self, name: &str, value: &str) -> Self {
        if !self.variables.contains_key(&format!("{name}_FILE")) {
            let variable = self.variables.entry(name.to_owned());
            variable.or_insert_with(|| value.to_owned());
        }
        self
    }

    fn first_of(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        let mut set = names
            .iter()
            .filter_map(|name| Some((*name, self.variables.get(*name)?.trim())));
        set.find(|(_, value)| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self {
            variables: variables.into_iter().collect(),
            garbled: Vec::new(),
        }
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
    /// The variable that names the environment's proxy, the proxy, and the hosts reached without it.
    proxies: Option<(&'static str, String, String)>,
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
        if let Some((name, proxy)) = environment.first_of(&PROXY_VARIABLES) {
            let (_, no_proxy) = environment
                .first_of(&NO_PROXY_VARIABLES)
                .unwrap_or_default();
            layers.proxies = Some((name, proxy.to_owned(), no_proxy.to_owned()));
        }
        layers
    }

    /// The value of a known key. A key is known if it is in the defaults.
    pub(super) fn get(&self, key: &str) -> &str {
        let value = self.values.get(key).map_or("", |(value, _)| value);
        // A shell or an editor ends a value with a line end, and no value of ours has one there.
        value.trim_end_matches(['\r', '\n'])
    }

    /// The variable that names the environment's proxy, the proxy, and the hosts reached without it.
    pub(super) fn proxies(&self) -> Option<(&'static str, &str, &str)> {
        let (name, proxy, no_proxy) = self.proxies.as_ref()?;
        Some((name, proxy, no_proxy))
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
        for name in &environment.garbled {
            let fault =
                format!("{name} is not UTF-8: write it as text, or name a file with {name}_FILE");
            findings.faults.push(fault);
        }
        let is_set = |key: &str| environment.variables.contains_key(&variable(key));
        for (name, value) in &environment.variables {
            let Some(option) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if name == CONFIG_VARIABLE || TOOL_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let given = option.to_ascii_lowercase();
            let given = without_alias(&given);
            let key = current_name(given);
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

fn without_alias(key: &str) -> &str {
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == key)
        .map_or(key, |(_, name)| *name)
}

fn renamed(old: &str, new: &str, is_shadowed: bool) -> String {
    if is_shadowed {
        format!("{old} has no effect, because {new} is set as well: remove {old}")
    } else {
        format!("{old} is the old name of {new}: rename it")
    }
}
