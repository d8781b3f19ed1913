//! `pathbound schedule`: what becomes due when. One call of the ops listener.

use std::path::Path;

use api::ops::fleet_views::ScheduleView;

use crate::{
    cli::ScheduleArgs,
    failure::Failure,
    names,
    ops_client::OpsClient,
    output::{self, Format, Table},
};

/// Lists streams by the time at which they become due, soonest first.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn run(file: Option<&Path>, format: Format, args: ScheduleArgs) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &args.limit.to_string());
    for (name, value) in [("from", args.from), ("cursor", args.cursor)] {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    let page: ScheduleView = ops
        .get(&format!("/ops/schedule?{}", query.finish()))
        .await?;
    output::show(format, &table(&page), &page)?;
    if let Some(cursor) = &page.next_cursor {
        eprintln!("more may follow, add --cursor {cursor}");
    }
    Ok(())
}

fn table(page: &ScheduleView) -> Table {
    let mut table = Table::new(&["due at", "tenant", "what", "last error"]);
    for item in &page.items {
        table.row([
            output::time(item.due_at),
            names::shown(item.tenant_id, item.tenant_name.as_deref()),
            match item.paused {
                true => format!("{} (paused)", item.sentence),
                false => item.sentence.clone(),
            },
            output::or_dash(item.last_error.as_deref().map(output::one_line)),
        ]);
    }
    table
}
