//! What the values say, beside what was rendered.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    Failure,
    chart::{Chart, Render, values_of},
    object::text,
};

/// The values of a file over those of the chart, as Helm merges them: `null` takes a key away.
pub(crate) fn merged(mut below: Value, above: &Value) -> Value {
    if let (Some(map), Some(above)) = (below.as_object_mut(), above.as_object()) {
        for (key, value) in above {
            if value.is_null() {
                map.remove(key);
            } else if value.is_object() {
                let old = map.remove(key).filter(Value::is_object);
                let old = old.unwrap_or_else(|| Value::Object(Map::new()));
                map.insert(key.clone(), merged(old, value));
            } else {
                map.insert(key.clone(), value.clone());
            }
        }
    }
    below
}

/// The mode of each component, by its name.
fn modes(values: &Value) -> BTreeMap<String, String> {
    let mode = |component: &Value| text(component, "/scaling/mode").to_owned();
    let workers = values["workers"].as_object().into_iter().flatten();
    let workers = workers.map(|(name, pool)| (format!("worker-{name}"), mode(pool)));
    let others = ["api", "scheduler"].map(|name| (name.to_owned(), mode(&values[name])));
    workers.chain(others).collect()
}

/// A Deployment says replicas exactly if its mode is `fixed`, and has an autoscaler exactly if it is `hpa` or `keda`.
pub(crate) fn replicas(chart: &Chart<'_>, renders: &[Render]) -> Result<Vec<String>, Failure> {
    let defaults = chart.defaults()?;
    let mut found = Vec::new();
    for render in renders {
        let values = values_of(&chart.folder.join("ci").join(&render.values))?;
        let modes = modes(&merged(defaults.clone(), &values));
        let deployments = render
            .objects
            .iter()
            .filter(|object| object.kind() == "Deployment");
        if deployments.count() != modes.len() {
            found.push(format!("{render}: not every component has a Deployment"));
        }
        for (component, mode) in modes {
            found.extend(judge(render, &component, &mode));
        }
    }
    Ok(found)
}

fn judge(render: &Render, component: &str, mode: &str) -> Option<String> {
    let suffix = format!("-{component}");
    let of = |kind: &str| {
        let mut objects = render.objects.iter();
        objects.find(|object| object.kind() == kind && object.name().ends_with(&suffix))
    };
    let says = of("Deployment")?.0.pointer("/spec/replicas").is_some();
    let is = (
        says,
        of("HorizontalPodAutoscaler").is_some(),
        of("ScaledObject").is_some(),
    );
    let wanted = (mode == "fixed", mode == "hpa", mode == "keda");
    (is != wanted).then(|| {
        format!(
            "{render}: {component} is {mode}, and replicas, an HPA and a ScaledObject are {is:?}"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_merged_as_helm_does() {
        let below = json!({"a": {"b": 1, "c": 2}, "d": [1], "e": 1});
        let above = json!({"a": {"c": null, "f": {"g": 1}}, "d": [2], "e": null});
        assert_eq!(
            merged(below, &above),
            json!({"a": {"b": 1, "f": {"g": 1}}, "d": [2]})
        );
    }
}
