-- Runs: what was requested (the first sync, a resync), and how it ended. The regular polls are not runs. They show as
-- `last_ok_at` of their stream.
CREATE TABLE sync_runs (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL,
    connection_id uuid NOT NULL,
    mode          text NOT NULL CHECK (mode IN ('incremental', 'full', 'reconcile')),
    streams       text[] NOT NULL CHECK (cardinality(streams) > 0),
    pending       text[] NOT NULL,
    status        text NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'partial', 'failed', 'cancelled')),
    requested_at  timestamptz NOT NULL DEFAULT now(),
    started_at    timestamptz,
    finished_at   timestamptz,
    counters      jsonb NOT NULL DEFAULT '{}',
    error_code    text,
    error_message text,
    -- It is old, and it stays because no newer run over its streams has ended so. See 0022_retention.sql.
    is_last       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE,
    CHECK (pending <@ streams),
    CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL))
);
CREATE INDEX sync_runs_by_connection ON sync_runs (tenant_id, connection_id, requested_at DESC);
CREATE INDEX sync_runs_active ON sync_runs (tenant_id, connection_id) WHERE finished_at IS NULL;
SELECT isolate('sync_runs');
-- The API deletes what a connection brought when its end is asked for with `data=purge`, here and in later files.
GRANT SELECT, INSERT, UPDATE, DELETE ON sync_runs TO pathbound_api;
GRANT SELECT, INSERT, UPDATE ON sync_runs TO pathbound_oauth;
GRANT SELECT, UPDATE ON sync_runs TO pathbound_worker;

-- When the newest open run that waits for a stream was requested. NULL if no run waits.
CREATE FUNCTION run_requested_at(of_tenant uuid, of_connection uuid, of_stream text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT max(requested_at) FROM sync_runs
    WHERE tenant_id = of_tenant AND connection_id = of_connection AND finished_at IS NULL AND of_stream = ANY (pending)
$$;
