//! The roles of a login that does not own the schema.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    StoreError,
    connecting::{CATALOG_LIMIT, Servers, close, timed_out},
    migrate::owner,
    roles::WORDS,
};
use crate::{config::DatabaseConfig, domain::Secret};

/// What became of the roles of the login that the fleet works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantOutcome {
    /// It may take them all already.
    Unchanged,
    /// They were granted now.
    Granted,
    /// The owner of the schema may not grant them. A login that may has to run this statement.
    Refused { statement: String },
}

/// Lets the login of `database_url` take the roles, as the schema's owner of `migrate_url`.
///
/// # Errors
/// When Postgres cannot be reached, or the roles do not exist.
#[tracing::instrument(name = "db.grant_roles", level = "debug", skip_all)]
pub async fn grant_roles(
    runtime: &DatabaseConfig,
    migrate_url: &Secret,
) -> Result<GrantOutcome, StoreError> {
    let login = Servers::of(&runtime.url, &runtime.role_prefix)?
        .user()
        .to_owned();
    let mut session = owner(&Servers::of(migrate_url, &runtime.role_prefix)?).await?;
    let granting = grant(&mut session, &login, &runtime.role_prefix);
    let outcome = tokio::time::timeout(CATALOG_LIMIT, granting).await;
    let outcome = outcome.unwrap_or_else(|_| Err(timed_out(CATALOG_LIMIT).into()));
    close(session).await;
    outcome
}

async fn grant(
    session: &mut PgConnection,
    login: &str,
    prefix: &str,
) -> Result<GrantOutcome, StoreError> {
    let roles = WORDS.map(|word| format!("{prefix}_{word}"));
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int")
        .fetch_one(&mut *session)
        .await?;
    let can_limit = version >= 160_000;
    let lacking: Vec<String> = sqlx::query_scalar(
        "SELECT role FROM unnest($1::text[]) role
         WHERE NOT coalesce((SELECT pg_has_role(oid, role, $3) FROM pg_roles WHERE rolname = $2), false)",
    )
    .bind(&roles[..])
    .bind(login)
    .bind(if can_limit { "SET" } else { "MEMBER" })
    .fetch_all(&mut *session)
    .await?;
    if lacking.is_empty() {
        return Ok(GrantOutcome::Unchanged);
    }
    let statement = statement(&lacking, login, can_limit);
    match sqlx::raw_sql(AssertSqlSafe(statement.clone()))
        .execute(session)
        .await
        .map_err(StoreError::from)
    {
        Ok(_) => Ok(GrantOutcome::Granted),
        // The login does not exist yet, or the owner may not grant the roles.
        Err(error) if error.is_undefined_or_refused() => Ok(GrantOutcome::Refused { statement }),
        Err(error) => Err(error),
    }
}

/// From Postgres 16 on, a login can be allowed to take roles without having their rights all the time.
fn statement(roles: &[String], login: &str, can_limit: bool) -> String {
    let roles: Vec<String> = roles.iter().map(|role| quoted(role)).collect();
    let limit = if can_limit {
        " WITH INHERIT FALSE, SET TRUE"
    } else {
        ""
    };
    format!("GRANT {} TO {}{limit}", roles.join(", "), quoted(login))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let roles = ["eu_api".to_owned(), "eu_worker".to_owned()];
        assert_eq!(
            statement(&roles, "we\"ird", true),
            r#"GRANT "eu_api", "eu_worker" TO "we""ird" WITH INHERIT FALSE, SET TRUE"#
        );
    }
}
