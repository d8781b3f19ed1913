-- Streams: what is owed. Redis holds tickets that name rows of this table; flush it and the
-- scheduler rebuilds every ticket from here.

CREATE TABLE streams (
    tenant_id       uuid NOT NULL,
    connection_id   uuid NOT NULL,
    stream          text NOT NULL CHECK (stream IN ('contacts', 'companies', 'conversations', 'threads', 'reference')),
    -- Who is due: NULL owes nothing. `ticketed_at` says when the scheduler last made a ticket of it.
    due_at          timestamptz,
    ticketed_at     timestamptz,
    -- The mode the next walk has to have; the walk under way keeps its own in `cursor`.
    mode            text NOT NULL DEFAULT 'full' CHECK (mode IN ('incremental', 'full', 'reconcile')),
    -- How far: the walk under way, and the time up to which every change is known to be held.
    cursor          jsonb,
    watermark       timestamptz,
    walked_at       timestamptz,
    -- The highest lease that began work here: an older one's transaction changes nothing.
    fence           bigint NOT NULL DEFAULT 0,
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- How often the walk started over since one ended: pages in between are no progress.
    restarts        integer NOT NULL DEFAULT 0,
    last_error      text,
    last_ok_at      timestamptz,
    -- The proof: rows held and rows that Intercom says exist (NULL: it does not say).
    held            bigint NOT NULL DEFAULT 0,
    expected        bigint,
    blocked_code    text,
    blocked_message text,
    blocked_action  text,
    blocked_until   timestamptz,
    PRIMARY KEY (tenant_id, connection_id, stream),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE,
    CHECK ((blocked_code IS NULL) = (blocked_message IS NULL))
);
-- Two small indexes, so that a look at what is due costs the same however much already has its ticket.
CREATE INDEX streams_due ON streams (due_at) WHERE ticketed_at IS NULL AND due_at IS NOT NULL;
CREATE INDEX streams_ticketed ON streams (ticketed_at) WHERE ticketed_at IS NOT NULL AND due_at IS NOT NULL;
SELECT isolate('streams');
GRANT SELECT, UPDATE ON streams TO pathbound_api, pathbound_worker;
GRANT SELECT, INSERT, UPDATE ON streams TO pathbound_oauth;

-- The scheduler sees ids and due times of all tenants, through two functions and nothing else.
-- SKIP LOCKED lets any number of schedulers run at once.
GRANT SELECT, UPDATE ON streams TO pathbound_definer;
GRANT SELECT ON connections TO pathbound_definer;
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

-- What is due and was ticketed before `before`: its ticket may be lost.
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

DO $$
DECLARE
    f regprocedure;
BEGIN
    FOREACH f IN ARRAY ARRAY['claim_due_streams(integer)', 'claim_stale_tickets(integer, timestamptz)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO pathbound_definer', f);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pathbound_scheduler', f);
    END LOOP;
END $$;

-- Runs: what somebody asked for (the first sync, a resync) and how it ended.
-- The regular polls are not runs: they show as `last_ok_at` of their stream.
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
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE,
    CHECK (pending <@ streams),
    CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL))
);
CREATE INDEX sync_runs_by_connection ON sync_runs (tenant_id, connection_id, requested_at DESC);
CREATE INDEX sync_runs_active ON sync_runs (tenant_id, connection_id) WHERE finished_at IS NULL;
SELECT isolate('sync_runs');
GRANT SELECT, INSERT, UPDATE ON sync_runs TO pathbound_api, pathbound_oauth;
-- The API deletes what a connection brought when its end is asked for with `data=purge`: here and below.
GRANT DELETE ON sync_runs TO pathbound_api;
GRANT SELECT, UPDATE ON sync_runs TO pathbound_worker;

-- Dead letters: work that was given up, with its cause. At most one open per stream;
-- the stream's next success closes it.
CREATE TABLE dead_letters (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL,
    connection_id uuid NOT NULL,
    stream        text NOT NULL,
    cause         text NOT NULL,
    attempts      integer NOT NULL,
    died_at       timestamptz NOT NULL DEFAULT now(),
    resolved_at   timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, connection_id, stream) REFERENCES streams ON DELETE CASCADE
);
CREATE UNIQUE INDEX dead_letters_open ON dead_letters (tenant_id, connection_id, stream) WHERE resolved_at IS NULL;
SELECT isolate('dead_letters');
GRANT SELECT, INSERT, UPDATE ON dead_letters TO pathbound_worker;
GRANT SELECT, DELETE ON dead_letters TO pathbound_api;

-- Quarantine: one bad object, its bytes and the reason; its page and the cursor went on.
-- A later good version of the same object resolves it.
CREATE TABLE quarantine (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('contact', 'company', 'conversation', 'part', 'reference')),
    source_id     text NOT NULL,
    reason        text NOT NULL,
    raw           bytea NOT NULL,
    seen          integer NOT NULL DEFAULT 1,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now(),
    resolved_at   timestamptz,
    PRIMARY KEY (tenant_id, connection_id, kind, source_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
CREATE INDEX quarantine_open ON quarantine (tenant_id, connection_id, kind) WHERE resolved_at IS NULL;
SELECT isolate('quarantine');
SELECT keep_raw('quarantine');
GRANT SELECT, INSERT, UPDATE ON quarantine TO pathbound_worker;
GRANT SELECT, DELETE ON quarantine TO pathbound_api;
