-- What becomes due when, since when a stream fails, and the newest pauses of however many.

-- Only while `attempts` is above zero do the two mean something, so that success has nothing to clear.
ALTER TABLE streams ADD COLUMN failing_since timestamptz, ADD COLUMN failed_at timestamptz;

-- The list of pauses ends at a limit, newest first.
CREATE INDEX pauses_by_time ON pauses (paused_at);
GRANT SELECT ON pauses TO pathbound_definer;
CREATE POLICY lookup ON pauses FOR SELECT TO pathbound_definer USING (true);

-- Streams that become due from a time on, soonest first, behind the last one of the page before. A stream with a ticket is
-- due already, and the queue knows when it goes on.
CREATE FUNCTION streams_due_from(from_at timestamptz, after_tenant uuid, after_connection uuid, after_stream text, most integer)
RETURNS TABLE (tenant_id uuid, connection_id uuid, stream text, due_at timestamptz, mode text, is_walking boolean,
               attempts integer, last_error text, blocked_code text, is_first boolean, is_active boolean, is_paused boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_material = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT s.tenant_id, s.connection_id, s.stream, s.due_at, s.mode, s.cursor IS NOT NULL, s.attempts,
           CASE WHEN s.attempts > 0 THEN s.last_error END, s.blocked_code, s.last_ok_at IS NULL, c.state = 'active',
           EXISTS (SELECT FROM pauses p WHERE p.scope = ANY (ARRAY[
               s.tenant_id::text, 'fleet', CASE WHEN s.stream = 'threads' THEN 'backfill' ELSE 'fresh' END]))
    FROM streams s
    CROSS JOIN LATERAL (SELECT k.state FROM connections k
                        WHERE k.tenant_id = s.tenant_id AND k.id = s.connection_id OFFSET 0) c
    WHERE s.ticketed_at IS NULL AND s.due_at IS NOT NULL AND s.due_at >= from_at
      AND (s.due_at, s.tenant_id, s.connection_id, s.stream) > (from_at, after_tenant, after_connection, after_stream)
    ORDER BY s.due_at, s.tenant_id, s.connection_id, s.stream
    LIMIT most;
END $$;
SELECT across_tenants('streams_due_from(timestamptz, uuid, uuid, text, integer)', 'pathbound_operator');
