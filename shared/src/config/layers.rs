//! The three layers: defaults, file, environment. A later one overrides an earlier one, key by key.

use std::{collections::BTreeMap, path::Path};

use toml::{Table, Value};

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

const PREFIX: &str = "PATHBOUND_";

/// Read by the command line before there is a configuration, so not an option itself.
const CONFIG_VARIABLE: &str = "PATHBOUND_CONFIG";

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
        faults: &mut Vec<String>,
    ) -> Self {
        let mut layers = Self::default();
        layers.add_table(defaults, "the defaults", true, faults);
        if let Some(path) = file {
            match std::fs::read_to_string(path) {
                Ok(text) => layers.add_table(&text, &path.display().to_string(), false, faults),
                Err(error) => faults.push(format!("could not read {}: {error}", path.display())),
            }
        }
        layers.add_environment(environment, faults);
        layers
    }

    /// The value of a known key; keys are known by being in the defaults.
    pub(super) fn get(&self, key: &str) -> &str {
        self.values.get(key).map_or("", |(value, _)| value)
    }

    /// Where the value came from, for a fault's text.
    pub(super) fn origin(&self, key: &str) -> &str {
        self.values
            .get(key)
            .map_or("the defaults", |(_, origin)| origin)
    }

    fn add_table(&mut self, text: &str, origin: &str, may_define: bool, faults: &mut Vec<String>) {
        let table = match text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => {
                faults.push(format!("{origin} is not TOML: {}", error.message()));
                return;
            }
        };
        for (key, value) in table {
            let value = match value {
                Value::String(text) => text,
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Boolean(flag) => flag.to_string(),
                _ => {
                    faults.push(format!("{key} in {origin} must be a plain value"));
                    continue;
                }
            };
            if may_define || self.values.contains_key(&key) {
                self.values.insert(key, (value, origin.to_owned()));
            } else {
                faults.push(format!(
                    "{key} in {origin} is not an option: see `pathbound config show`"
                ));
            }
        }
    }

    fn add_environment(&mut self, environment: &Environment, faults: &mut Vec<String>) {
        for (name, value) in &environment.0 {
            let Some(option) = name
                .strip_prefix(PREFIX)
                .filter(|_| name != CONFIG_VARIABLE)
            else {
                continue;
            };
            let key = option.to_ascii_lowercase();
            if self.values.contains_key(&key) {
                self.values.insert(key, (value.clone(), name.clone()));
            } else if let Some(key) = key
                .strip_suffix("_file")
                .filter(|key| self.values.contains_key(*key))
            {
                if environment
                    .0
                    .contains_key(&format!("{PREFIX}{}", key.to_ascii_uppercase()))
                {
                    faults.push(format!(
                        "{name} and the variable without _FILE are both set: keep one"
                    ));
                }
                match std::fs::read_to_string(value) {
                    Ok(content) => {
                        self.values.insert(
                            key.to_owned(),
                            (content.trim_end().to_owned(), name.clone()),
                        );
                    }
                    Err(error) => faults.push(format!(
                        "{name} names {value}, which could not be read: {error}"
                    )),
                }
            }
            // Other PATHBOUND_ variables belong to tools around us (tests, packaging): not a fault.
        }
    }
}
