-- Retention: what has ended is removed when it is as old as the options say. The scheduler's janitor calls one function
-- for each kind. A call removes a batch, oldest first, and reads by an index what it removes and nothing else.
--
-- What is not here stays: tombstones, absences, reference items that are no longer listed, and ended connections. They
-- say what an id stands for that is still in use, and they grow with the customer's objects and not with time.

-- removable('t', 'ended_at'): makes `remove_ended_t(before, most)`. `ended_at` is the column or expression that says when
-- a row ended, and it is NULL before. The policy lets only ended rows be removed, whatever the function asks for.
-- SKIP LOCKED lets any number of schedulers run at once, and no batch waits for a request. The batch is found by its
-- position, because a join could be planned from the wrong side.
CREATE FUNCTION removable(target regclass, ended_at text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    remover text := format('remove_ended_%s', target);
BEGIN
    EXECUTE format('CREATE INDEX %I ON %s ((%s)) WHERE (%s) IS NOT NULL', target || '_ended', target, ended_at, ended_at);
    EXECUTE format('GRANT SELECT, UPDATE, DELETE ON %s TO pathbound_definer', target);
    EXECUTE format('CREATE POLICY retention ON %s TO pathbound_definer USING ((%s) < now()) WITH CHECK (false)', target, ended_at);
    EXECUTE format($function$
        CREATE FUNCTION %1$I(before timestamptz, most integer) RETURNS TABLE (removed bigint, more boolean)
        LANGUAGE sql SECURITY DEFINER
        SET search_path = public, pg_temp SET enable_bitmapscan = off SET enable_sort = off AS $body$
            WITH removed AS (
                DELETE FROM %2$s WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM %2$s WHERE (%3$s) < before ORDER BY (%3$s) LIMIT most FOR UPDATE SKIP LOCKED))
                RETURNING 1
            )
            SELECT count(*), count(*) = most FROM removed
        $body$
    $function$, remover, target, ended_at);
    PERFORM across_tenants(format('%I(timestamptz, integer)', remover)::regprocedure, 'pathbound_scheduler');
END $$;

SELECT removable('dead_letters', 'resolved_at');
SELECT removable('quarantine', 'resolved_at');
-- A key ends when it is revoked or when it expires, whichever comes first.
SELECT removable('api_keys', 'least(revoked_at, expires_at)');
SELECT removable('oauth_flows', 'expires_at');
SELECT removable('idempotency_keys', 'created_at');
SELECT removable('operator_events', 'happened_at');

-- Runs. The last run over a set of streams that ended stays, and so does the last one that succeeded. A run that is found
-- to be one of them is marked, and it is looked at again only with the next old run of its connection, so that a round
-- does not read all of them again.
CREATE INDEX sync_runs_ended ON sync_runs (finished_at) WHERE finished_at IS NOT NULL AND NOT is_last;
CREATE INDEX sync_runs_last ON sync_runs (tenant_id, connection_id) WHERE is_last;
GRANT SELECT, UPDATE, DELETE ON sync_runs TO pathbound_definer;
CREATE POLICY retention ON sync_runs TO pathbound_definer USING (finished_at < now()) WITH CHECK (finished_at < now());

CREATE FUNCTION remove_ended_sync_runs(before timestamptz, most integer) RETURNS TABLE (removed bigint, more boolean)
LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp SET enable_bitmapscan = off SET enable_sort = off AS $$
    WITH old AS MATERIALIZED (
        SELECT ctid AS row_id, tenant_id, connection_id, id, requested_at, streams, status, is_last FROM sync_runs
        WHERE finished_at < before AND NOT is_last ORDER BY finished_at LIMIT most FOR UPDATE SKIP LOCKED
    ), looked_at AS MATERIALIZED (
        TABLE old UNION ALL
        SELECT k.* FROM (SELECT DISTINCT tenant_id, connection_id FROM old) c
        CROSS JOIN LATERAL (
            SELECT ctid, tenant_id, connection_id, id, requested_at, streams, status, is_last FROM sync_runs r
            WHERE r.tenant_id = c.tenant_id AND r.connection_id = c.connection_id AND r.is_last FOR UPDATE SKIP LOCKED
        ) k
    ), judged AS MATERIALIZED (
        SELECT l.row_id, l.is_last, EXISTS (
            SELECT FROM sync_runs n
            WHERE n.tenant_id = l.tenant_id AND n.connection_id = l.connection_id
              AND n.requested_at >= l.requested_at AND (n.requested_at, n.id) > (l.requested_at, l.id)
              AND n.finished_at IS NOT NULL AND n.streams @> l.streams AND (n.status = 'succeeded' OR l.status <> 'succeeded')
        ) AS is_superseded
        FROM looked_at l
    ), removed AS (
        DELETE FROM sync_runs WHERE ctid = ANY (ARRAY(SELECT row_id FROM judged WHERE is_superseded)) RETURNING 1
    ), kept AS (
        UPDATE sync_runs SET is_last = true
        WHERE ctid = ANY (ARRAY(SELECT row_id FROM judged WHERE NOT is_superseded AND NOT is_last))
    )
    SELECT (SELECT count(*) FROM removed), (SELECT count(*) = most FROM old)
$$;
SELECT across_tenants('remove_ended_sync_runs(timestamptz, integer)', 'pathbound_scheduler');
