-- Operations: what an operator may see and do. Across tenants it is the functions of dead letters and events, and pauses.
-- Of one tenant, named in the transaction, it is how far it has come and what keeps it.

-- What is not worked on for now: 'fleet', a class ('fresh', 'backfill') or a tenant's id. Redis knows it too, as an
-- index, and the scheduler applies this table when Redis was emptied.
CREATE TABLE pauses (
    scope     text PRIMARY KEY CHECK (length(scope) BETWEEN 1 AND 64),
    reason    text CHECK (length(reason) <= 500),
    paused_at timestamptz NOT NULL DEFAULT now()
);
-- Not a tenant's table, so no tenant's role may see it at all.
ALTER TABLE pauses ENABLE ROW LEVEL SECURITY;
ALTER TABLE pauses FORCE ROW LEVEL SECURITY;
CREATE POLICY operations ON pauses TO pathbound_scheduler, pathbound_operator USING (true) WITH CHECK (true);
GRANT SELECT ON pauses TO pathbound_scheduler;
GRANT SELECT, INSERT, DELETE ON pauses TO pathbound_operator;

-- No token, no raw bytes, no text that a customer wrote and no reason that may quote it.
GRANT SELECT ON connections, streams, sync_runs, absences, audits, company_fetches, dead_letters TO pathbound_operator;
GRANT SELECT (tenant_id, connection_id, conversation_id, source_id, status, held, expected, due_at, attempts, failure, trouble)
    ON threads TO pathbound_operator;
GRANT SELECT (tenant_id, connection_id, kind, source_id, last_seen_at, resolved_at, retry, next_try_at, trouble)
    ON quarantine TO pathbound_operator;

-- Every process reads which migrations are applied, because it must not work on a schema that is older than its build.
GRANT SELECT (version, success) ON _sqlx_migrations
    TO pathbound_api, pathbound_oauth, pathbound_worker, pathbound_scheduler, pathbound_operator, pathbound_sources;
