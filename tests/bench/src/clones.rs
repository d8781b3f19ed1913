//! Many tenants from one: copies of every row that a real sync has written, under other tenants.
//!
//! Every key begins with the tenant, so a copy may keep the connection's id and all ids that are derived from it. A copy
//! is then exactly what a sync of the same workspace would have written, and a poll of it finds nothing new.

use intercom_simulator::{Latency, WorkspaceSpec};
use shared::{
    domain::{ConnectionId, TenantId},
    vault::{KeyRing, SealContext},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::{
    fleet::{Fleet, FleetOptions},
    report::{Failure, SEED},
    roles::{self, NO_LIMIT, Role, Scene},
    sync::{self, WORKSPACE},
};

/// The encryption keys of a fleet whose tenants are copied, so that each copy's token can be sealed for its tenant.
pub(crate) const KEYS: &str = "bench:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Tables that no copy needs, beside the connections' secrets, which are sealed anew.
const LEFT_OUT: &[&str] = &[
    "connection_secrets",
    "api_keys",
    "idempotency_keys",
    "oauth_flows",
    "browser_sessions",
    "operator_events",
    "audit_events",
    "pauses",
    // Their words begin with their tenant (see `api/documents.rs`).
    "search_documents",
    "_sqlx_migrations",
];
/// Rows that one statement copies, about.
const ROWS_AT_ONCE: i64 = 200_000;

/// A fleet whose one tenant was synced, and is copied.
pub(crate) struct Original {
    pub(crate) fleet: Fleet,
    /// Of the simulator.
    pub(crate) intercom: String,
    pub(crate) admin: PgConnection,
    token: String,
    // Ends with the measurement.
    _simulator: Role,
}

impl Original {
    /// Syncs a workspace of this size. No rate limit is in the way.
    pub(crate) async fn sync(spec: WorkspaceSpec, options: FleetOptions) -> Result<Self, Failure> {
        let spec = WorkspaceSpec {
            id_code: Some(WORKSPACE.to_owned()),
            seed: SEED,
            limit_per_window: NO_LIMIT,
            ..spec
        };
        let token = sync::token_of(&spec).await?;
        let (simulator, intercom) = roles::simulator(&Scene {
            spec,
            latency: Latency::None,
        })?;
        let mut options = options;
        options
            .environment
            .push(("ENCRYPTION_KEYS", KEYS.to_owned()));
        let fleet = Fleet::start_with(&intercom, options).await?;
        fleet.until_complete().await?;
        Ok(Self {
            admin: PgConnection::connect(&fleet.servers.database_url()).await?,
            fleet,
            intercom,
            token,
            _simulator: simulator,
        })
    }

    /// Copies the tenant's rows `count` times. Each copy names a workspace of its own, so that it has its own rate budget.
    pub(crate) async fn multiply(&mut self, count: u32) -> Result<Vec<TenantId>, Failure> {
        let (tenant, connection) = (self.fleet.tenant, self.fleet.connection);
        multiply(&mut self.admin, tenant, connection, count, &self.token).await
    }

    /// Checks that each copy has what the original has: as many rows in every table, with the same bytes.
    pub(crate) async fn verify(&mut self, copies: &[TenantId]) -> Result<(), Failure> {
        verify(&mut self.admin, self.fleet.tenant, copies).await
    }
}

async fn multiply(
    admin: &mut PgConnection,
    tenant: TenantId,
    connection: ConnectionId,
    count: u32,
    token: &str,
) -> Result<Vec<TenantId>, Failure> {
    let clones: Vec<Uuid> = (0..count).map(clone_id).collect();
    sqlx::raw_sql(
        "CREATE SCHEMA IF NOT EXISTS bench;
         CREATE TABLE IF NOT EXISTS bench.clones (number bigint PRIMARY KEY, id uuid NOT NULL)",
    )
    .execute(&mut *admin)
    .await?;
    sqlx::query("INSERT INTO bench.clones SELECT n - 1, id FROM unnest($1::uuid[]) WITH ORDINALITY AS i(id, n)")
        .bind(&clones)
        .execute(&mut *admin)
        .await?;
    for table in tables(admin).await? {
        copy(admin, &table, tenant, count).await?;
        if table == "connections" {
            seal(admin, connection, &clones, token).await?;
        }
    }
    Ok(clones.into_iter().map(TenantId).collect())
}

/// The same ids in each run, spread over the partitions.
fn clone_id(number: u32) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_be_bytes())
}

/// The tables that have a tenant, parents before those that refer to them.
async fn tables(admin: &mut PgConnection) -> Result<Vec<String>, Failure> {
    let with_tenant: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND NOT c.relname = ANY ($1)
         ORDER BY c.relname <> 'connections', c.relname",
    )
    .bind(LEFT_OUT)
    .fetch_all(admin)
    .await?;
    Ok([vec!["tenants".to_owned()], with_tenant].concat())
}

async fn copy(
    admin: &mut PgConnection,
    table: &str,
    original: TenantId,
    count: u32,
) -> Result<(), Failure> {
    let key = if table == "tenants" {
        "id"
    } else {
        "tenant_id"
    };
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(column_name) FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER' ORDER BY ordinal_position",
    )
    .bind(table)
    .fetch_all(&mut *admin)
    .await?;
    let values: Vec<String> = columns
        .iter()
        .map(|column| match column.as_str() {
            column if column == key => "c.id".to_owned(),
            "workspace_id" => "'clone' || c.number".to_owned(),
            column => format!("t.{column}"),
        })
        .collect();
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT count(*) FROM {table} WHERE {key} = $1"
    )))
    .bind(original.0)
    .fetch_one(&mut *admin)
    .await?;
    if rows == 0 {
        return Ok(());
    }
    let statement = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM bench.clones c CROSS JOIN (SELECT * FROM {table} WHERE {key} = $1) t
         WHERE c.number >= $2 AND c.number < $3 {}",
        columns.join(", "),
        values.join(", "),
        if table == "search_progress" {
            // The indexer may have begun with a copy already.
            "ON CONFLICT DO NOTHING"
        } else {
            ""
        },
    );
    let at_once = (ROWS_AT_ONCE / rows).max(1);
    let mut from = 0;
    while from < i64::from(count) {
        sqlx::query(AssertSqlSafe(statement.clone()))
            .bind(original.0)
            .bind(from)
            .bind(from + at_once)
            .execute(&mut *admin)
            .await?;
        from += at_once;
    }
    Ok(())
}

/// Gives each copy the token, sealed for its own tenant.
async fn seal(
    admin: &mut PgConnection,
    connection: ConnectionId,
    clones: &[Uuid],
    token: &str,
) -> Result<(), Failure> {
    let keys = KeyRing::parse(KEYS)?;
    for batch in clones.chunks(5_000) {
        let sealed = batch
            .iter()
            .map(|clone| {
                let context = SealContext::access_token(TenantId(*clone), connection);
                keys.seal(&context, token.as_bytes())
            })
            .collect::<Result<Vec<_>, _>>()?;
        sqlx::query(
            "INSERT INTO connection_secrets (tenant_id, connection_id, purpose, sealed)
             SELECT id, $1, 'access_token', sealed FROM unnest($2::uuid[], $3::bytea[]) AS i(id, sealed)",
        )
        .bind(connection.0)
        .bind(batch)
        .bind(&sealed)
        .execute(&mut *admin)
        .await?;
    }
    Ok(())
}

async fn verify(
    admin: &mut PgConnection,
    original: TenantId,
    tenants: &[TenantId],
) -> Result<(), Failure> {
    for (table, content) in [
        ("contact_sources", "raw"),
        ("contact_companies", "company_source_id"),
        ("conversations", "raw"),
        ("conversation_contacts", "contact_source_id"),
        ("threads", "held"),
        ("parts", "raw"),
    ] {
        let differing: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "WITH of_tenant AS (
                SELECT tenant_id, count(*) AS rows, sum(hashtextextended({content}::text, 0)) AS digest
                FROM {table} GROUP BY tenant_id
             )
             SELECT count(*) FROM unnest($1::uuid[]) AS i(id) LEFT JOIN of_tenant t ON t.tenant_id = i.id
             WHERE (t.rows, t.digest) IS DISTINCT FROM (SELECT (rows, digest) FROM of_tenant WHERE tenant_id = $2)"
        )))
        .bind(tenants.iter().map(|tenant| tenant.0).collect::<Vec<_>>())
        .bind(original.0)
        .fetch_one(&mut *admin)
        .await?;
        if differing > 0 {
            return Err(format!("{differing} tenants differ from the original in {table}").into());
        }
    }
    Ok(())
}
