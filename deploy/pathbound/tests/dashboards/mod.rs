//! The Grafana dashboards of the chart: a table of panels, from which their JSON is made.

mod panels;

use serde_json::{Value, json};

/// A dashboard, and the file that it is in.
pub(crate) struct Dashboard {
    pub(crate) file: &'static str,
    title: &'static str,
    panels: &'static [Panel],
}

/// A graph over time.
pub(crate) struct Panel {
    title: &'static str,
    /// What it shows, for whoever has not seen it before.
    about: &'static str,
    /// Grafana's word, such as `s` or `percentunit`.
    unit: &'static str,
    /// Queries with the names of their lines.
    queries: &'static [(&'static str, &'static str)],
}

pub(crate) use panels::DASHBOARDS;

impl Dashboard {
    /// As Grafana imports it.
    pub(crate) fn text(&self) -> String {
        let document = json!({
            "uid": format!("pathbound-{}", self.file.trim_end_matches(".json")),
            "title": self.title,
            "tags": ["pathbound"],
            "schemaVersion": 39,
            "editable": true,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "templating": {"list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
            ]},
            "panels": self.panels.iter().enumerate().map(|(n, panel)| panel.json(n)).collect::<Vec<_>>(),
        });
        serde_json::to_string_pretty(&document).unwrap() + "\n"
    }
}

impl Panel {
    fn json(&self, number: usize) -> Value {
        let source = json!({"type": "prometheus", "uid": "${datasource}"});
        let targets = self.queries.iter().enumerate().map(|(n, (query, line))| {
            let name = char::from(b'A' + n as u8).to_string();
            json!({"refId": name, "datasource": source, "expr": query, "legendFormat": line})
        });
        json!({
            "id": number + 1,
            "type": "timeseries",
            "title": self.title,
            "description": self.about,
            "datasource": source,
            "gridPos": {"h": 8, "w": 12, "x": number % 2 * 12, "y": number / 2 * 8},
            "fieldConfig": {"defaults": {"unit": self.unit, "min": 0}, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
            "targets": targets.collect::<Vec<_>>(),
        })
    }
}
