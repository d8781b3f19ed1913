//! `pathbound events`: what operators should know of. One call of the ops listener.

use std::path::Path;

use api::ops::views::EventsView;

use crate::{
    cli::EventsArgs,
    failure::Failure,
    names,
    ops_client::OpsClient,
    output::{self, Format, Table},
};

/// Lists events, newest first.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn run(file: Option<&Path>, format: Format, args: EventsArgs) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    let page: EventsView = ops
        .get(&format!("/ops/events?limit={}", args.limit))
        .await?;
    output::show(format, &table(&page), &page)
}

fn table(page: &EventsView) -> Table {
    let mut table = Table::new(&["happened at", "tenant", "event"]);
    for event in &page.items {
        table.row([
            output::time(event.happened_at),
            names::shown(event.tenant_id, event.tenant_name.as_deref()),
            event.message.clone(),
        ]);
    }
    table
}
