//! Has Postgres write down what the API asks for.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    http::{HttpConnection, Request},
    recorded::{Recording, mark},
    scene::Scene,
};
use crate::report::Failure;

/// Until every session has read a new setting, and until the log is written.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends each request once, and reads in the log what the API asked for.
pub(super) async fn record(scene: &mut Scene, requests: &[Request]) -> Result<Recording, Failure> {
    let mut connection = HttpConnection::open(scene.host()).await?;
    let admin = &mut scene.original.admin;
    let path = path_of_log(admin).await?;
    let begins = std::fs::metadata(&path)?.len();
    log_statements(admin, "all").await?;
    for (number, request) in requests.iter().enumerate() {
        run(admin, &mark(number)).await?;
        let answer = connection.answer(&request.bytes).await?;
        if request.tool.is_some() && !contains(answer, br#""isError":false"#) {
            let answer = String::from_utf8_lossy(answer);
            return Err(format!("a tool refused: {answer}").into());
        }
    }
    run(admin, &mark(requests.len())).await?;
    log_statements(admin, "none").await?;
    let log = read_log(&path, begins, &mark(requests.len())).await?;
    let tenants: Vec<_> = requests.iter().map(|request| request.tenant).collect();
    let mut recording = Recording::read(&log, &tenants)?;
    // Nothing comes behind the last mark.
    recording.requests.truncate(requests.len());
    let silent = recording.requests.iter().filter(|done| done.is_empty());
    match (recording.requests.len(), silent.count()) {
        (marked, 0) if marked == requests.len() => Ok(recording),
        (marked, silent) => {
            let sent = requests.len();
            Err(
                format!("the log has {marked} of {sent} requests, {silent} without a statement")
                    .into(),
            )
        }
    }
}

async fn path_of_log(admin: &mut PgConnection) -> Result<PathBuf, Failure> {
    let (folder, file): (String, String) =
        sqlx::query_as("SELECT current_setting('data_directory'), pg_current_logfile('jsonlog')")
            .fetch_one(admin)
            .await?;
    Ok(Path::new(&folder).join(file))
}

async fn log_statements(admin: &mut PgConnection, which: &str) -> Result<(), Failure> {
    run(
        admin,
        &format!("ALTER SYSTEM SET log_statement = '{which}'"),
    )
    .await?;
    run(admin, "SELECT pg_reload_conf()").await?;
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// What was logged behind a position, once the last mark is there.
async fn read_log(path: &Path, begins: u64, last: &str) -> Result<String, Failure> {
    let begun = Instant::now();
    loop {
        let log = std::fs::read(path)?;
        let written = &log[usize::try_from(begins)?..];
        // The line is whole if another one follows, and the end of logging is logged as well.
        let whole = written
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let text = std::str::from_utf8(&written[..whole])?;
        if text.contains(last) {
            return Ok(text.to_owned());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{} has no {last}", path.display()).into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

async fn run(admin: &mut PgConnection, statement: &str) -> Result<(), Failure> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(admin)
        .await?;
    Ok(())
}
