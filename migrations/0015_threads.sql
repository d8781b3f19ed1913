-- Threads: one row per conversation says whether its parts are stored. The pending rows are the backlog.
--   pending    to be fetched: never fetched, or changed since
--   complete   every part that Intercom counts is stored
--   truncated  Intercom shows only the newest 500 parts, and older ones were never shown to us
--   gone       the conversation was deleted in Intercom, and what is stored stays
--   blocked    it cannot be fetched now, and `error` says why
CREATE TABLE threads (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    conversation_id   uuid NOT NULL,
    -- The version that the newest stub speaks of, and the version last fetched (source time).
    stub_version    timestamptz NOT NULL,
    fetched_version   timestamptz,
    due_at            timestamptz,
    -- The next attempt of a blocked thread, as `due_at` is that of a pending one.
    retry_at          timestamptz,
    held              integer NOT NULL DEFAULT 0,
    expected          integer,
    attempts          integer NOT NULL DEFAULT 0,
    status            text NOT NULL CHECK (status IN ('pending', 'complete', 'truncated', 'gone', 'blocked')),
    source_id         text NOT NULL,
    -- Why its attempts fail, since when for this reason, and the last attempt.
    failed_since      timestamptz,
    tried_at          timestamptz,
    failure           text,
    error             text,
    -- What operators read of the error: our own words. An answer that is not what it should be may be quoted in it.
    trouble           text GENERATED ALWAYS AS (
        CASE WHEN failure IN ('garbled', 'unreadable') THEN 'intercom answers with something else than the thread' ELSE error END
    ) STORED,
    PRIMARY KEY (tenant_id, connection_id, conversation_id),
    CHECK ((status = 'pending') = (due_at IS NOT NULL))
) PARTITION BY HASH (tenant_id);
SELECT partition('threads', 'fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05');
-- The backlog, newest changes first.
CREATE INDEX threads_fresh ON threads (tenant_id, connection_id, stub_version DESC)
    WHERE status = 'pending' AND failure IS NULL;
-- Threads that have failed are few beside the backlog. Every slice looks for those that are due again, and for those
-- that were last tried before a run was requested.
CREATE INDEX threads_failing ON threads (tenant_id, connection_id, due_at) WHERE status = 'pending' AND failure IS NOT NULL;
CREATE INDEX threads_failing_tried ON threads (tenant_id, connection_id, tried_at) WHERE status = 'pending' AND failure IS NOT NULL;
CREATE INDEX threads_blocked ON threads (tenant_id, connection_id, retry_at) WHERE status = 'blocked' AND retry_at IS NOT NULL;
CREATE INDEX threads_blocked_tried ON threads (tenant_id, connection_id, tried_at) WHERE status = 'blocked' AND retry_at IS NOT NULL;
SELECT isolate('threads');
GRANT SELECT, INSERT, UPDATE ON threads TO pathbound_worker;
GRANT SELECT, DELETE ON threads TO pathbound_api;

-- thread_counts(tenant, connection): the threads by status, counted row by row. `streams` keeps the same numbers, and the
-- audit compares them.
CREATE FUNCTION thread_counts(of_tenant uuid, of_connection uuid)
RETURNS TABLE (pending bigint, failing bigint, complete bigint, truncated bigint, gone bigint, blocked bigint, missing_parts bigint)
LANGUAGE sql STABLE AS $$
    SELECT count(*) FILTER (WHERE status = 'pending'),
           count(*) FILTER (WHERE status = 'pending' AND failure IS NOT NULL),
           count(*) FILTER (WHERE status = 'complete'), count(*) FILTER (WHERE status = 'truncated'),
           count(*) FILTER (WHERE status = 'gone'), count(*) FILTER (WHERE status = 'blocked'),
           coalesce(sum(expected - held) FILTER (WHERE status = 'truncated'), 0)::bigint
    FROM threads WHERE tenant_id = of_tenant AND connection_id = of_connection
$$;
