-- Dead letters: work that was given up, with its cause. A stream has at most one open letter, and its next success
-- closes it.
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
CREATE INDEX dead_letters_oldest ON dead_letters (id) WHERE resolved_at IS NULL;
SELECT isolate('dead_letters');
GRANT SELECT, INSERT, UPDATE ON dead_letters TO pathbound_worker;
GRANT SELECT, DELETE ON dead_letters TO pathbound_api;
-- The disconnect is the API's transaction, so the API closes the letters.
GRANT UPDATE (resolved_at) ON dead_letters TO pathbound_api;

-- Operators look at them and retry them across tenants, by these functions and nothing else.
GRANT SELECT, UPDATE ON dead_letters TO pathbound_definer;
CREATE POLICY operations_read ON dead_letters FOR SELECT TO pathbound_definer USING (true);
CREATE POLICY operations_mark ON dead_letters FOR UPDATE TO pathbound_definer USING (true) WITH CHECK (true);

-- is_wanted(letter, ...): one filter for looking, counting, retrying and dropping, so that a dry run counts what the real
-- one takes. NULL is no condition.
CREATE FUNCTION is_wanted(letter dead_letters, wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT letter.resolved_at IS NULL
       AND (wanted_id IS NULL OR letter.id = wanted_id)
       AND (wanted_tenant IS NULL OR letter.tenant_id = wanted_tenant)
       AND (wanted_stream IS NULL OR letter.stream = wanted_stream)
       AND (wanted_cause IS NULL OR position(lower(wanted_cause) IN lower(letter.cause)) > 0)
$$;

CREATE FUNCTION find_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text,
                                  after_id uuid, most integer)
RETURNS TABLE (tenant_id uuid, id uuid, connection_id uuid, stream text, cause text, attempts integer,
               died_at timestamptz, next_attempt_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.tenant_id, d.id, d.connection_id, d.stream, d.cause, d.attempts, d.died_at, s.due_at
    FROM dead_letters d
    JOIN streams s ON s.tenant_id = d.tenant_id AND s.connection_id = d.connection_id AND s.stream = d.stream
    WHERE d.resolved_at IS NULL AND is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
      AND (after_id IS NULL OR d.id > after_id)
    ORDER BY d.id
    LIMIT most
$$;
SELECT across_tenants('find_dead_letters(uuid, uuid, text, text, uuid, integer)', 'pathbound_operator');

CREATE FUNCTION count_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text)
RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*) FROM dead_letters d
    WHERE d.resolved_at IS NULL AND is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
$$;
SELECT across_tenants('count_dead_letters(uuid, uuid, text, text)', 'pathbound_operator');

-- Retrying makes the stream due now, and its next success closes the letter. Streams are locked before letters, as a
-- slice does. A letter whose stream already is due now is not taken twice, and a letter of an ended connection makes
-- nothing due, because no slice could clear that due time again.
CREATE FUNCTION retry_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text,
                                   most integer)
RETURNS TABLE (tenant_id uuid, connection_id uuid, stream text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH chosen AS (
        SELECT s.tenant_id, s.connection_id, s.stream
        FROM dead_letters d
        JOIN streams s ON s.tenant_id = d.tenant_id AND s.connection_id = d.connection_id AND s.stream = d.stream
        JOIN connections c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
        WHERE d.resolved_at IS NULL AND is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
          AND (s.due_at IS NULL OR s.due_at > now()) AND c.state <> 'disconnected'
        ORDER BY d.id LIMIT most
        FOR UPDATE OF s
    )
    UPDATE streams s SET due_at = now(), ticketed_at = NULL, attempts = 0, restarts = 0
    FROM chosen c
    WHERE s.tenant_id = c.tenant_id AND s.connection_id = c.connection_id AND s.stream = c.stream
    RETURNING s.tenant_id, s.connection_id, s.stream
$$;
SELECT across_tenants('retry_dead_letters(uuid, uuid, text, text, integer)', 'pathbound_operator');

-- Dropping closes the letter and forgets the walk that died. The stream goes on with its next regular one.
CREATE FUNCTION drop_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text,
                                  most integer)
RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH chosen AS (
        SELECT s.tenant_id, s.connection_id, s.stream, d.id
        FROM dead_letters d
        JOIN streams s ON s.tenant_id = d.tenant_id AND s.connection_id = d.connection_id AND s.stream = d.stream
        WHERE d.resolved_at IS NULL AND is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
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
SELECT across_tenants('drop_dead_letters(uuid, uuid, text, text, integer)', 'pathbound_operator');
