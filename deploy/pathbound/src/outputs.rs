//! The shapes that commands print with `-o json`, as JSON Schema. `deploy/reference/outputs.json` is this text.
//!
//! A member that is listed is not taken back or retyped without a version. Others may be added at any time.

use std::collections::BTreeMap;

use api::ops::{
    fleet_views::{
        ActionsView, CausesView, JobView, JobsView, OverviewView, ScheduleView, TenantView,
        TenantsView,
    },
    views::{
        BulkView, BulksView, DeadLetterView, DeadLettersView, EventsView, PausedView, WhyView,
    },
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::commands::{
    config::CheckedConfig,
    dead_bulk::DeadChange,
    doctor::Finding,
    keys::{KeyView, RotatedKeys},
    migrate::Migrated,
    queues::QueuesOutput,
    replay::ReplayedConnection,
    resync::RequestedRun,
    top::TopReading,
};

/// Of which the API describes the shape already.
const OF_THE_API: [(&str, &str); 4] = [
    ("identity-rules set", "IdentityRules"),
    ("identity-rules show", "IdentityRules"),
    ("merge-rules set", "MergeRules"),
    ("merge-rules show", "MergeRules"),
];

/// Every command that prints data, with the schema of it. The schemas that they refer to are in `$defs`.
#[must_use]
pub fn document() -> Value {
    let mut shapes = Shapes {
        generator: SchemaSettings::draft2020_12()
            .for_serialize()
            .into_generator(),
        commands: BTreeMap::new(),
    };
    shapes.add_operators();
    shapes.add_own();
    #[cfg(feature = "demo")]
    shapes.add_demo();
    let mut definitions = shapes.generator.take_definitions(true);
    for (command, name) in OF_THE_API {
        let reference = json!({"$ref": format!("#/$defs/{name}")});
        shapes.commands.insert(command, reference);
        add_of_the_api(name, &mut definitions);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What the commands of pathbound print with `-o json`",
        "commands": shapes.commands,
        "$defs": definitions,
    })
}

/// The document as it is committed.
#[must_use]
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

struct Shapes {
    generator: SchemaGenerator,
    commands: BTreeMap<&'static str, Value>,
}

impl Shapes {
    fn add<Shape: JsonSchema>(&mut self, command: &'static str) {
        let schema = self.generator.subschema_for::<Shape>();
        self.commands.insert(command, schema.to_value());
    }

    /// What is an answer of the ops listener.
    fn add_operators(&mut self) {
        self.add::<ActionsView>("actions");
        self.add::<CausesView>("dead causes");
        self.add::<BulkView>("dead bulk cancel");
        self.add::<BulksView>("dead bulk list");
        self.add::<BulkView>("dead bulk show");
        self.add::<DeadChange>("dead drop");
        self.add::<DeadLettersView>("dead list");
        self.add::<DeadChange>("dead retry");
        self.add::<DeadLetterView>("dead show");
        self.add::<EventsView>("events");
        self.add::<JobsView>("jobs list");
        self.add::<JobView>("jobs show");
        self.add::<OverviewView>("overview");
        self.add::<PausedView>("pause");
        self.add::<PausedView>("resume");
        self.add::<ScheduleView>("schedule");
        self.add::<TenantsView>("tenants list");
        self.add::<PausedView>("tenants pause");
        self.add::<PausedView>("tenants resume");
        self.add::<TenantView>("tenants show");
        self.add::<TopReading>("top");
        self.add::<WhyView>("why");
    }

    /// What the commands make themselves.
    fn add_own(&mut self) {
        self.add::<CheckedConfig>("config check");
        self.add::<BTreeMap<String, String>>("config show");
        self.add::<Vec<Finding>>("doctor");
        self.add::<RotatedKeys>("keys rotate");
        self.add::<Vec<KeyView>>("keys status");
        self.add::<Migrated>("migrate");
        self.add::<QueuesOutput>("queues");
        self.add::<Vec<ReplayedConnection>>("replay");
        self.add::<Vec<RequestedRun>>("resync");
    }

    #[cfg(feature = "demo")]
    fn add_demo(&mut self) {
        self.add::<crate::demo::summary::Summary>("demo");
        self.add::<crate::demo::chaos::ChaosReport>("demo chaos");
        self.add::<BTreeMap<String, String>>("demo env");
    }
}

/// A schema of the API's description, and those that it refers to.
fn add_of_the_api(name: &str, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(name) {
        return;
    }
    let described = &api::openapi::document()["components"]["schemas"][name];
    let text = described.to_string();
    let mut names = text.split("#/components/schemas/");
    names.next();
    let names: Vec<String> = names
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect();
    let own = text.replace("#/components/schemas/", "#/$defs/");
    definitions.insert(
        name.to_owned(),
        serde_json::from_str(&own).unwrap_or_default(),
    );
    for name in names {
        add_of_the_api(&name, definitions);
    }
}
