-- Operations: what an operator may see and do across tenants, and nothing else: dead letters and pauses.
-- All of it by name, through functions: `pathbound_operator` has no right on any table.

-- What is not worked on for now: 'fleet', a class ('fresh', 'backfill') or a tenant's id. Redis knows it
-- too, as an index; the scheduler applies this table when Redis was emptied.
CREATE TABLE pauses (
    scope     text PRIMARY KEY CHECK (length(scope) BETWEEN 1 AND 64),
    reason    text CHECK (length(reason) <= 500),
    paused_at timestamptz NOT NULL DEFAULT now()
);
-- Not a tenant's table: no tenant's role may see it at all.
ALTER TABLE pauses ENABLE ROW LEVEL SECURITY;
ALTER TABLE pauses FORCE ROW LEVEL SECURITY;
CREATE POLICY operations ON pauses TO pathbound_scheduler, pathbound_operator USING (true) WITH CHECK (true);
GRANT SELECT ON pauses TO pathbound_scheduler;
GRANT SELECT, INSERT, DELETE ON pauses TO pathbound_operator;

GRANT SELECT, UPDATE ON dead_letters TO pathbound_definer;
CREATE POLICY operations_read ON dead_letters FOR SELECT TO pathbound_definer USING (true);
CREATE POLICY operations_mark ON dead_letters FOR UPDATE TO pathbound_definer USING (true) WITH CHECK (true);

-- is_wanted(letter, ...): one filter for looking, counting, retrying and dropping, so that a dry run
-- counts what the real one takes. NULL is no condition.
CREATE FUNCTION is_wanted(letter dead_letters, wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT letter.resolved_at IS NULL
       AND (wanted_id IS NULL OR letter.id = wanted_id)
       AND (wanted_tenant IS NULL OR letter.tenant_id = wanted_tenant)
       AND (wanted_stream IS NULL OR letter.stream = wanted_stream)
       AND (wanted_cause IS NULL OR position(lower(wanted_cause) IN lower(letter.cause)) > 0)
$$;
CREATE INDEX dead_letters_oldest ON dead_letters (id) WHERE resolved_at IS NULL;

CREATE FUNCTION find_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text,
                                  after_id uuid, most integer)
RETURNS TABLE (tenant_id uuid, id uuid, connection_id uuid, stream text, cause text, attempts integer,
               died_at timestamptz, next_attempt_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.tenant_id, d.id, d.connection_id, d.stream, d.cause, d.attempts, d.died_at, s.due_at
    FROM dead_letters d
    JOIN streams s ON s.tenant_id = d.tenant_id AND s.connection_id = d.connection_id AND s.stream = d.stream
    WHERE is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
      AND (after_id IS NULL OR d.id > after_id)
    ORDER BY d.id
    LIMIT most
$$;

CREATE FUNCTION count_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text)
RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*) FROM dead_letters d WHERE is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
$$;

-- Retrying makes the stream due now; its next success closes the letter. Streams are locked before
-- letters, as a slice does. A letter whose stream already is due now is not taken twice.
CREATE FUNCTION retry_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text, most integer)
RETURNS TABLE (tenant_id uuid, connection_id uuid, stream text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH chosen AS (
        SELECT s.tenant_id, s.connection_id, s.stream
        FROM dead_letters d
        JOIN streams s ON s.tenant_id = d.tenant_id AND s.connection_id = d.connection_id AND s.stream = d.stream
        WHERE is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
          AND (s.due_at IS NULL OR s.due_at > now())
        ORDER BY d.id LIMIT most
        FOR UPDATE OF s
    )
    UPDATE streams s SET due_at = now(), ticketed_at = NULL, attempts = 0, restarts = 0
    FROM chosen c
    WHERE s.tenant_id = c.tenant_id AND s.connection_id = c.connection_id AND s.stream = c.stream
    RETURNING s.tenant_id, s.connection_id, s.stream
$$;

-- Dropping closes the letter and forgets the walk that died; the stream goes on with its next regular one.
CREATE FUNCTION drop_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text, most integer)
RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH chosen AS (
        SELECT s.tenant_id, s.connection_id, s.stream, d.id
        FROM dead_letters d
        JOIN streams s ON s.tenant_id = d.tenant_id AND s.connection_id = d.connection_id AND s.stream = d.stream
        WHERE is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
        ORDER BY d.id LIMIT most
        FOR UPDATE OF s
    ), forgotten AS (
        UPDATE streams s SET cursor = NULL, attempts = 0, restarts = 0, last_error = NULL
        FROM chosen c
        WHERE s.tenant_id = c.tenant_id AND s.connection_id = c.connection_id AND s.stream = c.stream
    ), closed AS (
        UPDATE dead_letters d SET resolved_at = now() FROM chosen c
        WHERE d.tenant_id = c.tenant_id AND d.id = c.id AND d.resolved_at IS NULL
        RETURNING d.id
    )
    SELECT count(*) FROM closed
$$;

DO $$
DECLARE
    f regprocedure;
BEGIN
    FOREACH f IN ARRAY ARRAY[
        'find_dead_letters(uuid, uuid, text, text, uuid, integer)', 'count_dead_letters(uuid, uuid, text, text)',
        'retry_dead_letters(uuid, uuid, text, text, integer)', 'drop_dead_letters(uuid, uuid, text, text, integer)'
    ]::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO pathbound_definer', f);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pathbound_operator', f);
    END LOOP;
END $$;

-- The operator names tenants by id; whether one exists is asked here, as the API does.
GRANT EXECUTE ON FUNCTION tenant_exists(uuid) TO pathbound_operator;
