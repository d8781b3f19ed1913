-- Bulk actions: a retry or a drop of all dead letters that match a filter. The schedulers work through them in batches, so
-- that a hundred thousand letters need no call that waits for them.

-- When a letter was opened, by Postgres' clock. Its id has the time of a worker's clock, and `died_at` moves when its stream
-- fails again. A bulk action is about the letters that were open when it was asked for.
ALTER TABLE dead_letters ADD COLUMN opened_at timestamptz NOT NULL DEFAULT now();
-- The stream's fence when a bulk action retried the letter. No worker has taken the stream over while it has this fence.
ALTER TABLE dead_letters ADD COLUMN retried_fence bigint;

CREATE TABLE bulk_actions (
    -- The nil id if it is about all tenants.
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    action       text NOT NULL CHECK (action IN ('retry', 'drop')),
    -- The filter, beside the tenant.
    stream       text,
    cause        text,
    -- Who asked for it, as in `operator_actions`.
    channel      text NOT NULL CHECK (channel IN ('key', 'browser')),
    session_id   uuid,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    cancelled    boolean NOT NULL DEFAULT false,
    -- Letters that it is about, that were changed, that needed no change any more, and of the last batch those whose streams
    -- wait for a worker.
    total        bigint NOT NULL CHECK (total >= 0),
    done         bigint NOT NULL DEFAULT 0,
    skipped      bigint NOT NULL DEFAULT 0,
    waiting      bigint NOT NULL DEFAULT 0,
    -- The last letter that was read, and the last one of the batch before. Both move in the transaction of a batch.
    cursor_id    uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    batch_after  uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    PRIMARY KEY (tenant_id, id),
    CHECK ((channel = 'browser') = (session_id IS NOT NULL)),
    CHECK (NOT cancelled OR finished_at IS NOT NULL)
);
SELECT isolate('bulk_actions');
-- A second press of a button finds the action that is under way.
CREATE UNIQUE INDEX bulk_actions_open ON bulk_actions (tenant_id, action, coalesce(stream, ''), md5(coalesce(cause, '')))
    WHERE finished_at IS NULL;
CREATE INDEX bulk_actions_newest ON bulk_actions (id DESC);
CREATE POLICY operations ON bulk_actions TO pathbound_operator, pathbound_scheduler USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON bulk_actions TO pathbound_operator;
GRANT SELECT, UPDATE ON bulk_actions TO pathbound_scheduler;
SELECT removable('bulk_actions', 'finished_at');

-- The scheduler ends a bulk action, and writes what it has done beside it.
GRANT INSERT ON operator_actions TO pathbound_scheduler;
CREATE POLICY bulk_write ON operator_actions FOR INSERT TO pathbound_scheduler WITH CHECK (true);

CREATE FUNCTION count_bulk_letters(wanted_tenant uuid, wanted_stream text, wanted_cause text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*) FROM dead_letters d
    WHERE d.resolved_at IS NULL AND is_wanted(d, NULL, wanted_tenant, wanted_stream, wanted_cause) AND d.opened_at <= now()
$$;
SELECT across_tenants('count_bulk_letters(uuid, text, text)', 'pathbound_operator');

-- The next open letters behind one of them, whether the filter means them or not, so that a batch costs the same for every
-- filter.
CREATE FUNCTION bulk_letters(wanted_tenant uuid, wanted_stream text, wanted_cause text, opened_until timestamptz,
                             after_id uuid, page_size integer)
RETURNS TABLE (tenant_id uuid, id uuid, connection_id uuid, stream text, is_meant boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT d.tenant_id, d.id, d.connection_id, d.stream,
           is_wanted(d, NULL, wanted_tenant, wanted_stream, wanted_cause) AND d.opened_at <= opened_until
    FROM dead_letters d WHERE d.resolved_at IS NULL AND d.id > after_id
    ORDER BY d.id LIMIT page_size;
END $$;
SELECT across_tenants('bulk_letters(uuid, text, text, timestamptz, uuid, integer)', 'pathbound_scheduler');

-- Does to each letter what `retry_dead_letters` does, in the order of the given keys. The caller sorts them by their streams,
-- because every transaction that locks several streams locks them in the order of their keys.
CREATE FUNCTION retry_letters(tenants uuid[], ids uuid[])
RETURNS TABLE (tenant_id uuid, connection_id uuid, stream text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_material = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    WITH chosen AS MATERIALIZED (
        SELECT u.tenant_id, u.id, d.connection_id, d.stream, s.fence
        FROM unnest(tenants, ids) u (tenant_id, id)
        CROSS JOIN LATERAL (
            SELECT o.connection_id, o.stream FROM dead_letters o
            WHERE o.tenant_id = u.tenant_id AND o.id = u.id AND o.resolved_at IS NULL OFFSET 0) d
        CROSS JOIN LATERAL (
            SELECT FROM connections c
            WHERE c.tenant_id = u.tenant_id AND c.id = d.connection_id AND c.state <> 'disconnected' OFFSET 0) c
        CROSS JOIN LATERAL (
            SELECT o.fence FROM streams o
            WHERE o.tenant_id = u.tenant_id AND o.connection_id = d.connection_id AND o.stream = d.stream
              AND (o.due_at IS NULL OR o.due_at > now()) FOR UPDATE) s
    ), marked AS (
        UPDATE dead_letters d SET retried_fence = c.fence FROM chosen c WHERE d.tenant_id = c.tenant_id AND d.id = c.id
    )
    UPDATE streams s SET due_at = now(), ticketed_at = NULL, attempts = 0, restarts = 0
    FROM chosen c
    WHERE s.tenant_id = c.tenant_id AND s.connection_id = c.connection_id AND s.stream = c.stream
    RETURNING s.tenant_id, s.connection_id, s.stream;
END $$;
SELECT across_tenants('retry_letters(uuid[], uuid[])', 'pathbound_scheduler');

-- The same for `drop_dead_letters`. Returns how many letters were closed.
CREATE FUNCTION drop_letters(tenants uuid[], ids uuid[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_material = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    dropped bigint;
BEGIN
    WITH chosen AS MATERIALIZED (
        SELECT u.tenant_id, u.id, d.connection_id, d.stream
        FROM unnest(tenants, ids) u (tenant_id, id)
        CROSS JOIN LATERAL (
            SELECT o.connection_id, o.stream FROM dead_letters o
            WHERE o.tenant_id = u.tenant_id AND o.id = u.id AND o.resolved_at IS NULL OFFSET 0) d
        CROSS JOIN LATERAL (
            SELECT FROM streams o
            WHERE o.tenant_id = u.tenant_id AND o.connection_id = d.connection_id AND o.stream = d.stream FOR UPDATE) s
    ), forgotten AS (
        UPDATE streams s SET cursor = NULL, attempts = 0, restarts = 0, last_error = NULL
        FROM chosen c
        WHERE s.tenant_id = c.tenant_id AND s.connection_id = c.connection_id AND s.stream = c.stream
    ), closed AS (
        UPDATE dead_letters d SET resolved_at = now() FROM chosen c
        WHERE d.tenant_id = c.tenant_id AND d.id = c.id AND d.resolved_at IS NULL
        RETURNING 1
    )
    SELECT count(*) INTO dropped FROM closed;
    RETURN dropped;
END $$;
SELECT across_tenants('drop_letters(uuid[], uuid[])', 'pathbound_scheduler');

-- Of the letters between two of them: those that a bulk action has retried and whose streams no worker has taken over since.
-- What is paused is left out, because no worker takes it until an operator says so.
GRANT SELECT ON pauses TO pathbound_definer;
CREATE POLICY bulk_read ON pauses FOR SELECT TO pathbound_definer USING (true);
CREATE FUNCTION waiting_letters(after_id uuid, until_id uuid, paused_streams text[]) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_material = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
        SELECT count(*)
        FROM dead_letters d
        CROSS JOIN LATERAL (
            SELECT FROM streams o
            WHERE o.tenant_id = d.tenant_id AND o.connection_id = d.connection_id AND o.stream = d.stream
              AND o.fence = d.retried_fence AND o.due_at <= now() OFFSET 0) s
        WHERE d.resolved_at IS NULL AND d.id > after_id AND d.id <= until_id AND d.stream <> ALL (paused_streams)
          AND NOT EXISTS (SELECT FROM pauses p WHERE p.scope = d.tenant_id::text));
END $$;
SELECT across_tenants('waiting_letters(uuid, uuid, text[])', 'pathbound_scheduler');
