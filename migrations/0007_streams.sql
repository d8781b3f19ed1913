-- Streams: what is due. Redis holds tickets that name rows of this table. If Redis is emptied, the scheduler makes every
-- ticket anew from here.

CREATE TABLE streams (
    tenant_id       uuid NOT NULL,
    connection_id   uuid NOT NULL,
    -- The highest lease that began work here. An older one's transaction changes nothing.
    fence           bigint NOT NULL DEFAULT 0,
    -- How many slices of the stream have begun in a row while their workers died. A worker that dies before it took the
    -- stream over did not die of the slice.
    begun           integer NOT NULL DEFAULT 0,
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- How often the walk started over since one ended, because pages in between are no progress.
    restarts        integer NOT NULL DEFAULT 0,
    -- How long and how often Intercom has refused the stream. The next object that it serves forgets all of it.
    refusals        integer NOT NULL DEFAULT 0,
    blocked_times   integer NOT NULL DEFAULT 0,
    refused_since   timestamptz,
    blocked_until   timestamptz,
    -- When it is due. A stream without a time is not due. `ticketed_at` says when the scheduler last made a ticket.
    due_at          timestamptz,
    ticketed_at     timestamptz,
    -- The time up to which every change is known to be stored, and the contact from which a search by seconds begins:
    -- it changed before the watermark, so that it shows in every answer that left nothing out.
    watermark       timestamptz,
    overlap_probe   timestamptz,
    walked_at       timestamptz,
    last_ok_at      timestamptz,
    -- When the stream last stored an object.
    progress_at     timestamptz,
    -- The proof: alive objects that are stored, and objects that Intercom says exist (NULL if it does not say).
    held            bigint NOT NULL DEFAULT 0,
    expected        bigint,
    -- Of the stream `threads` only: its threads by status, those of the pending ones that have failed, and the parts of
    -- the truncated ones that Intercom counts and does not show. Each transaction that changes a thread counts it here.
    pending         bigint NOT NULL DEFAULT 0,
    failing         bigint NOT NULL DEFAULT 0,
    complete        bigint NOT NULL DEFAULT 0,
    truncated       bigint NOT NULL DEFAULT 0,
    gone            bigint NOT NULL DEFAULT 0,
    blocked         bigint NOT NULL DEFAULT 0,
    missing_parts   bigint NOT NULL DEFAULT 0,
    stream          text NOT NULL CHECK (stream IN ('contacts', 'companies', 'conversations', 'threads', 'reference')),
    -- The mode that the next walk has to have. The walk under way keeps its own in `cursor`.
    mode            text NOT NULL DEFAULT 'full' CHECK (mode IN ('incremental', 'full', 'reconcile')),
    refused_code    text,
    blocked_code    text,
    blocked_message text,
    blocked_action  text,
    last_error      text,
    -- How far the walk under way has come.
    cursor          jsonb,
    PRIMARY KEY (tenant_id, connection_id, stream),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE,
    CHECK ((blocked_code IS NULL) = (blocked_message IS NULL))
-- Half of each page stays free, because every slice updates its row twice and a row that stays on its page costs no
-- index entry.
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
-- Two small indexes, so that a look at what is due costs the same however much already has its ticket.
CREATE INDEX streams_due ON streams (due_at) WHERE ticketed_at IS NULL AND due_at IS NOT NULL;
CREATE INDEX streams_ticketed ON streams (ticketed_at) WHERE ticketed_at IS NOT NULL AND due_at IS NOT NULL;
SELECT isolate('streams');
GRANT SELECT, UPDATE ON streams TO pathbound_api, pathbound_worker;
GRANT SELECT, INSERT, UPDATE ON streams TO pathbound_oauth;

-- The scheduler sees ids and due times of all tenants, through these functions and nothing else. SKIP LOCKED lets any
-- number of schedulers run at once.
GRANT SELECT, UPDATE ON streams TO pathbound_definer;
CREATE POLICY planning_read ON streams FOR SELECT TO pathbound_definer USING (true);
CREATE POLICY planning_mark ON streams FOR UPDATE TO pathbound_definer USING (true) WITH CHECK (true);

-- What became due since it was last ticketed.
CREATE FUNCTION claim_due_streams(most integer)
RETURNS TABLE (tenant_id uuid, connection_id uuid, stream text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE streams s
    SET ticketed_at = now()
    FROM (
        SELECT d.tenant_id, d.connection_id, d.stream
        FROM streams d
        WHERE d.due_at <= now() AND d.ticketed_at IS NULL
        ORDER BY d.due_at
        LIMIT most
        FOR UPDATE SKIP LOCKED
    ) due
    WHERE s.tenant_id = due.tenant_id AND s.connection_id = due.connection_id AND s.stream = due.stream
    RETURNING s.tenant_id, s.connection_id, s.stream
$$;
SELECT across_tenants('claim_due_streams(integer)', 'pathbound_scheduler');

-- What is due and was ticketed before `before`, because its ticket may be lost.
CREATE FUNCTION claim_stale_tickets(most integer, before timestamptz)
RETURNS TABLE (tenant_id uuid, connection_id uuid, stream text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE streams s
    SET ticketed_at = now()
    FROM (
        SELECT d.tenant_id, d.connection_id, d.stream
        FROM streams d
        WHERE d.ticketed_at < before AND d.due_at <= now()
        ORDER BY d.ticketed_at
        LIMIT most
        FOR UPDATE SKIP LOCKED
    ) stale
    WHERE s.tenant_id = stale.tenant_id AND s.connection_id = stale.connection_id AND s.stream = stale.stream
    RETURNING s.tenant_id, s.connection_id, s.stream
$$;
SELECT across_tenants('claim_stale_tickets(integer, timestamptz)', 'pathbound_scheduler');

-- The first `most` due streams behind a place (the nil ids are before all), for a Redis that was emptied. It only reads,
-- because claiming a hundred thousand rows to make their tickets anew would write each of them.
CREATE FUNCTION due_streams_after(after_tenant uuid, after_connection uuid, after_stream text, most integer)
RETURNS TABLE (tenant_id uuid, connection_id uuid, stream text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.connection_id, s.stream
    FROM streams s
    WHERE (s.tenant_id, s.connection_id, s.stream) > (after_tenant, after_connection, after_stream)
      AND s.due_at <= now()
    ORDER BY s.tenant_id, s.connection_id, s.stream
    LIMIT most
$$;
SELECT across_tenants('due_streams_after(uuid, uuid, text, integer)', 'pathbound_scheduler');
