-- An ended connection owes nothing: its dead letters close with it, and retrying letters makes no stream of it due.

-- The disconnect is the API's transaction, so the API closes the letters.
GRANT UPDATE (resolved_at) ON dead_letters TO pathbound_api;
CREATE POLICY operations_read ON connections FOR SELECT TO pathbound_definer USING (true);

-- As before, without the streams of ended connections, because no slice could clear their due time again.
CREATE OR REPLACE FUNCTION retry_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text,
                                              most integer)
RETURNS TABLE (tenant_id uuid, connection_id uuid, stream text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH chosen AS (
        SELECT s.tenant_id, s.connection_id, s.stream
        FROM dead_letters d
        JOIN streams s ON s.tenant_id = d.tenant_id AND s.connection_id = d.connection_id AND s.stream = d.stream
        JOIN connections c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
        WHERE is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
          AND (s.due_at IS NULL OR s.due_at > now()) AND c.state <> 'disconnected'
        ORDER BY d.id LIMIT most
        FOR UPDATE OF s
    )
    UPDATE streams s SET due_at = now(), ticketed_at = NULL, attempts = 0, restarts = 0
    FROM chosen c
    WHERE s.tenant_id = c.tenant_id AND s.connection_id = c.connection_id AND s.stream = c.stream
    RETURNING s.tenant_id, s.connection_id, s.stream
$$;

-- What earlier builds left behind. The definer's role sees every tenant, which the owner of the tables does not.
SET LOCAL ROLE pathbound_definer;
UPDATE streams s SET due_at = NULL, ticketed_at = NULL
FROM connections c
WHERE c.tenant_id = s.tenant_id AND c.id = s.connection_id AND c.state = 'disconnected' AND s.due_at IS NOT NULL;
UPDATE dead_letters d SET resolved_at = now()
FROM connections c
WHERE c.tenant_id = d.tenant_id AND c.id = d.connection_id AND c.state = 'disconnected' AND d.resolved_at IS NULL;
RESET ROLE;
