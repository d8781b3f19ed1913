//! What a change of the description takes away from programs that were written for the old one.
//!
//! A program sends requests and reads answers. A request that was good must stay good, and what an answer had must stay
//! in it and keep its type.

mod schema;
#[cfg(test)]
mod tests;

use serde_json::Value;

use schema::{Direction, compare};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// One line for each thing that was taken away. Empty if there is none.
pub(crate) fn changes(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison {
        old,
        new,
        changes: Vec::new(),
    };
    for (path, item) in members(&old["paths"]) {
        let kept = &new["paths"][path];
        if kept.is_null() {
            comparison.note(path, "the path is gone");
            continue;
        }
        for method in METHODS.iter().filter(|method| item[**method].is_object()) {
            let place = format!("{} {path}", method.to_uppercase());
            if kept[*method].is_null() {
                comparison.note(&place, "the operation is gone");
            } else {
                comparison.operation(&place, &item[*method], &kept[*method]);
            }
        }
    }
    comparison.changes
}

/// Two descriptions, and what was found so far.
pub(crate) struct Comparison<'a> {
    pub(crate) old: &'a Value,
    pub(crate) new: &'a Value,
    pub(crate) changes: Vec<String>,
}

impl<'a> Comparison<'a> {
    pub(crate) fn note(&mut self, place: &str, what: &str) {
        self.changes.push(format!("{place}: {what}"));
    }

    fn operation(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        self.parameters(place, old, new);
        self.body(place, &old["requestBody"], &new["requestBody"]);
        self.answers(place, &old["responses"], &new["responses"]);
        for keys in list(&old["security"]) {
            if !list(&new["security"]).contains(keys) {
                self.note(place, &format!("the key {keys} is no longer enough"));
            }
        }
    }

    fn parameters(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let same = |left: &Value, right: &Value| {
            left["name"] == right["name"] && left["in"] == right["in"]
        };
        for parameter in list(&old["parameters"]) {
            let name = parameter["name"].as_str().unwrap_or_default();
            let place = format!("{place}, parameter {name}");
            match list(&new["parameters"])
                .iter()
                .find(|new| same(new, parameter))
            {
                None => self.note(&place, "it is gone"),
                Some(kept) => {
                    if kept["required"] == true && parameter["required"] != true {
                        self.note(&place, "it is now required");
                    }
                    compare(
                        self,
                        &place,
                        Direction::Request,
                        &parameter["schema"],
                        &kept["schema"],
                    );
                }
            }
        }
        for parameter in list(&new["parameters"]) {
            let is_new = !list(&old["parameters"])
                .iter()
                .any(|old| same(old, parameter));
            if is_new && parameter["required"] == true {
                let name = parameter["name"].as_str().unwrap_or_default();
                self.note(place, &format!("the new parameter {name} is required"));
            }
        }
    }

    fn body(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let place = format!("{place}, body");
        if new["required"] == true && old["required"] != true {
            self.note(&place, "it is now required");
        }
        for (kind, content) in members(&old["content"]) {
            match &new["content"][kind]["schema"] {
                Value::Null => self.note(&place, &format!("{kind} is no longer accepted")),
                schema => compare(self, &place, Direction::Request, &content["schema"], schema),
            }
        }
    }

    fn answers(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        for (status, answer) in members(old) {
            let place = format!("{place}, answer {status}");
            let kept = &new[status];
            if kept.is_null() {
                self.note(&place, "the status is gone");
                continue;
            }
            for (kind, content) in members(&answer["content"]) {
                match &kept["content"][kind]["schema"] {
                    Value::Null => self.note(&place, &format!("{kind} is gone")),
                    schema => compare(self, &place, Direction::Answer, &content["schema"], schema),
                }
            }
            for (name, _) in members(&answer["headers"]) {
                if kept["headers"][name].is_null() {
                    self.note(&place, &format!("the header {name} is gone"));
                }
            }
        }
    }
}

pub(crate) fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value))
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], |list| list)
}
