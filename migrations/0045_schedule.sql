-- What becomes due when, since when a stream fails, and the newest pauses of however many.

-- Only while `attempts` is above zero do the two mean something, so that success has nothing to clear.
ALTER TABLE streams ADD COLUMN failing_since timestamptz, ADD COLUMN failed_at timestamptz;

-- The list of pauses ends at a limit, newest first.
CREATE INDEX pauses_by_time ON pauses (paused_at);

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

-- A count of one tenant's open letters reads no other tenant's.
CREATE OR REPLACE FUNCTION count_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF wanted_tenant IS NOT NULL THEN
        RETURN (
            SELECT count(*)
            FROM (SELECT o AS letter FROM dead_letters o
                  WHERE o.tenant_id = wanted_tenant AND o.resolved_at IS NULL OFFSET 0) d
            WHERE is_wanted(d.letter, wanted_id, wanted_tenant, wanted_stream, wanted_cause));
    END IF;
    RETURN (
        SELECT count(*) FROM dead_letters d
        WHERE d.resolved_at IS NULL AND is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause));
END $$;

-- So does a list of them.
CREATE OR REPLACE FUNCTION find_dead_letters(wanted_id uuid, wanted_tenant uuid, wanted_stream text, wanted_cause text,
                                             after_id uuid, most integer)
RETURNS TABLE (tenant_id uuid, id uuid, connection_id uuid, stream text, cause text, attempts integer,
               died_at timestamptz, next_attempt_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_material = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF wanted_tenant IS NOT NULL THEN
        RETURN QUERY
        SELECT (d.letter).tenant_id, (d.letter).id, (d.letter).connection_id, (d.letter).stream, (d.letter).cause,
               (d.letter).attempts, (d.letter).died_at, s.due_at
        FROM (SELECT o AS letter FROM dead_letters o
              WHERE o.tenant_id = wanted_tenant AND o.resolved_at IS NULL OFFSET 0) d
        CROSS JOIN LATERAL (
            SELECT o.due_at FROM streams o
            WHERE o.tenant_id = (d.letter).tenant_id AND o.connection_id = (d.letter).connection_id
              AND o.stream = (d.letter).stream OFFSET 0) s
        WHERE is_wanted(d.letter, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
          AND (after_id IS NULL OR (d.letter).id > after_id)
        ORDER BY (d.letter).id LIMIT most;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT d.tenant_id, d.id, d.connection_id, d.stream, d.cause, d.attempts, d.died_at, s.due_at
    FROM dead_letters d
    CROSS JOIN LATERAL (
        SELECT o.due_at FROM streams o
        WHERE o.tenant_id = d.tenant_id AND o.connection_id = d.connection_id AND o.stream = d.stream OFFSET 0) s
    WHERE d.resolved_at IS NULL AND is_wanted(d, wanted_id, wanted_tenant, wanted_stream, wanted_cause)
      AND (after_id IS NULL OR d.id > after_id)
    ORDER BY d.id LIMIT most;
END $$;
