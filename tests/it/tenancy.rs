//! Tenants never see each other: the catalogue says so, and so does trying.

use intercom_simulator::WorkspaceSpec;
use sqlx::{Connection, Executor, PgConnection, Row};

use crate::support::{Case, World, tiny};

async fn superuser(world: &World) -> PgConnection {
    PgConnection::connect(world.config.database.url.expose())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_has_row_security_and_keys_begin_with_the_tenant() {
    let world = World::new().await;
    let mut admin = superuser(&world).await;
    let tables = sqlx::query(
        "SELECT relname::text AS name, relrowsecurity AND relforcerowsecurity AS guarded FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> '_sqlx_migrations'
           AND NOT relispartition",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert!(tables.len() > 15);
    for table in tables {
        assert!(
            table.get::<bool, _>("guarded"),
            "{} is not guarded",
            table.get::<String, _>("name")
        );
    }
    // A partition has no policy of its own, because nobody may name it.
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relispartition AND relkind = 'r' AND relacl IS NOT NULL",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(open, Vec::<String>::new());
    // Pauses belong to the operators.
    let loose: Vec<String> = sqlx::query_scalar(
        "SELECT i.indexrelid::regclass::text FROM pg_index i
         JOIN pg_class c ON c.oid = i.indrelid
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
         WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND c.relname NOT IN ('_sqlx_migrations', 'tenants') AND NOT c.relispartition
           AND a.attname <> 'tenant_id' ORDER BY 1",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(loose, ["pauses_pkey"]);
    let sequences: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(sequences, Vec::<String>::new());
    let bypass: Vec<String> = sqlx::query_scalar("SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'pathbound\\_%' AND (rolbypassrls OR rolsuper OR rolcanlogin)")
        .fetch_all(&mut admin)
        .await
        .unwrap();
    assert_eq!(bypass, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_without_its_where_sees_one_tenant_or_none() {
    let world = World::new().await;
    let spec = |seed| WorkspaceSpec {
        seed,
        contacts: 8,
        companies: 3,
        conversations: 4,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    };
    let (acme, zeta) = (world.connect(spec(1)).await, world.connect(spec(2)).await);
    let _fleet = world.fleet(1);
    acme.until_complete().await;
    zeta.until_complete().await;

    let mut admin = superuser(&world).await;
    for role in ["pathbound_api", "pathbound_worker", "pathbound_sources"] {
        for (tenant, contacts) in [(Some(&acme), 8), (Some(&zeta), 8), (None, 0)] {
            // A role and a tenant last as long as their transaction.
            let mut tx = admin.begin().await.unwrap();
            sqlx::query(
                "SELECT set_config('role', $1, true), set_config('app.tenant_id', $2, true)",
            )
            .bind(role)
            .bind(tenant.map_or_else(String::new, |case| case.tenant.to_string()))
            .execute(&mut *tx)
            .await
            .unwrap();
            let held: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT tenant_id FROM contact_sources")
                .fetch_all(&mut *tx)
                .await
                .unwrap();
            assert_eq!(held.len(), contacts, "{role}");
            assert!(
                held.iter()
                    .all(|held| Some(*held) == tenant.map(|case| case.tenant.0))
            );
            tx.rollback().await.unwrap();
        }
    }
    // The API's own role cannot read a token, even its tenant's.
    let mut tx = admin.begin().await.unwrap();
    sqlx::query(
        "SELECT set_config('role', 'pathbound_api', true), set_config('app.tenant_id', $1, true)",
    )
    .bind(acme.tenant.to_string())
    .execute(&mut *tx)
    .await
    .unwrap();
    assert!(
        sqlx::query("SELECT sealed FROM connection_secrets")
            .fetch_all(&mut *tx)
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_sealed_and_redis_holds_ids_only() {
    let world = World::new().await;
    let case = world
        .connect(WorkspaceSpec {
            contacts: 5,
            companies: 2,
            conversations: 3,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let mut admin = superuser(&world).await;
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM connection_secrets")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    let token = case.workspace.token();
    assert!(
        !sealed
            .windows(token.len())
            .any(|window| window == token.as_bytes())
    );
    // Every ticket that is waiting reads back as ids.
    assert_eq!(world.queue.stats().await.unwrap().live, 5);
    let _fleet = world.fleet(1);
    case.until_complete().await;
}

/// An operator sees how far a tenant is, and nothing that a customer wrote.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_no_content() {
    let world = World::new().await;
    let case = world.connect(tiny()).await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    for (table, column) in [
        ("changes", "*"),
        ("contact_sources", "*"),
        ("conversations", "*"),
        ("parts", "*"),
        ("connection_secrets", "*"),
        ("quarantine", "raw"),
        ("quarantine", "reason"),
        ("threads", "error"),
        ("walk_pages", "*"),
    ] {
        let refused = refused_to_operator(&case, &format!("SELECT {column} FROM {table}")).await;
        assert!(refused, "{column} of {table}");
    }
    assert!(!refused_to_operator(&case, "SELECT status FROM threads").await);
}

/// A trail proves something only if no one can change it. Who may do what with it is exactly this.
#[tokio::test(flavor = "multi_thread")]
async fn no_role_changes_an_audit_event() {
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let mut admin = superuser(&world).await;
    let rights: Vec<String> = sqlx::query_scalar(
        "SELECT r.rolname || ' ' || lower(a.privilege_type) FROM pg_class c, aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
         WHERE c.relname = 'audit_events' AND a.grantee <> c.relowner
         UNION ALL
         SELECT r.rolname || ' ' || lower(a.privilege_type) || ' of ' || t.attname
         FROM pg_attribute t, aclexplode(t.attacl) a JOIN pg_roles r ON r.oid = a.grantee
         WHERE t.attrelid = 'audit_events'::regclass ORDER BY 1",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(
        rights,
        [
            "pathbound_api insert",
            "pathbound_api select",
            // The janitor's function. It locks what it removes, and a tenant cannot be changed into another.
            "pathbound_definer delete",
            "pathbound_definer select",
            "pathbound_definer update of tenant_id",
            "pathbound_oauth insert",
        ]
    );
    for role in ["api", "oauth", "worker", "sources", "operator", "scheduler"] {
        for change in [
            "UPDATE audit_events SET action = 'tenant.forged'",
            "UPDATE audit_events SET at = now()",
            "DELETE FROM audit_events",
            "TRUNCATE audit_events",
        ] {
            let refused = refused_to(&world, role, tenant.0, change).await;
            assert!(refused, "{role}: {change}");
        }
    }
    let moved = "UPDATE audit_events SET tenant_id = gen_random_uuid()";
    assert!(refused_to(&world, "definer", tenant.0, moved).await);
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_events WHERE tenant_id = $1")
        .bind(tenant.0)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(kept, 1);
}

/// Whether Postgres refuses a statement to a session that has the operators' role.
async fn refused_to_operator(case: &Case, query: &str) -> bool {
    refused_to(&case.world, "operator", case.tenant.0, query).await
}

/// Whether Postgres refuses a statement to a session that has this role, because the role lacks a right.
async fn refused_to(world: &World, role: &str, tenant: uuid::Uuid, query: &str) -> bool {
    let mut session = superuser(world).await;
    session
        .execute(sqlx::AssertSqlSafe(format!("SET ROLE pathbound_{role}")))
        .await
        .expect("the role is there");
    sqlx::query("SELECT set_config('app.tenant_id', $1, false)")
        .bind(tenant.to_string())
        .execute(&mut session)
        .await
        .expect("a setting");
    match session.execute(sqlx::AssertSqlSafe(query.to_owned())).await {
        Ok(_) => false,
        // 42501 is the lack of a right. Any other error would hide a misspelt query.
        Err(sqlx::Error::Database(error)) => error.code().as_deref() == Some("42501"),
        Err(error) => panic!("{query}: {error}"),
    }
}
