-- What one scheduler measures of the whole fleet, for gauges, alerts and the number of workers.
--
-- A page reads the tenants behind one, with their connections, streams and open letters. So a statement costs the same in
-- every fleet, and nothing is read of threads or of what is due, however long the backlog is. The keys of all tables begin
-- with the tenant, so each is read in order along its key.

-- `target` is the lag up to which a tenant is up to date. `next_tenant` is the last tenant of the page, or NULL if no tenant
-- is behind it.
CREATE FUNCTION fleet_facts(after_tenant uuid, page_size integer, target interval)
RETURNS TABLE (next_tenant uuid, up_to_date bigint, behind bigint, first_sync bigint, blocked bigint, reauth_required bigint,
               error bigint, paused bigint, disconnected bigint, unconnected bigint, dead_letters bigint, thread_backlog bigint,
               longest_lag double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off
SET enable_material = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    last_tenant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
BEGIN
    SELECT t.id INTO next_tenant FROM tenants t WHERE t.id > after_tenant ORDER BY t.id OFFSET page_size - 1 LIMIT 1;
    last_tenant := coalesce(next_tenant, last_tenant);
    -- Ordered, so that it reads the letters of these tenants and no others.
    SELECT count(*) INTO dead_letters FROM (
        SELECT FROM dead_letters d
        WHERE d.resolved_at IS NULL AND d.tenant_id > after_tenant AND d.tenant_id <= last_tenant
        ORDER BY d.tenant_id, d.connection_id, d.stream OFFSET 0) letters;
    -- One state a tenant. The first one that fits counts.
    SELECT count(*) FILTER (WHERE f.state = 'up_to_date'), count(*) FILTER (WHERE f.state = 'behind'),
           count(*) FILTER (WHERE f.state = 'first_sync'), count(*) FILTER (WHERE f.state = 'blocked'),
           count(*) FILTER (WHERE f.state = 'reauth_required'), count(*) FILTER (WHERE f.state = 'error'),
           count(*) FILTER (WHERE f.state = 'paused'), count(*) FILTER (WHERE f.state = 'disconnected'),
           count(*) FILTER (WHERE f.state = 'unconnected'), coalesce(sum(f.pending), 0),
           coalesce(max(f.lag) FILTER (WHERE f.state IN ('up_to_date', 'behind')), 0)
    INTO up_to_date, behind, first_sync, blocked, reauth_required, error, paused, disconnected, unconnected, thread_backlog,
         longest_lag
    FROM (
        SELECT CASE
                   WHEN c.state IS NULL THEN 'unconnected'
                   WHEN c.state <> 'active' THEN c.state
                   WHEN EXISTS (SELECT FROM pauses p WHERE p.scope = t.id::text OFFSET 0) THEN 'paused'
                   WHEN c.is_blocked THEN 'blocked'
                   WHEN c.is_unread IS NOT FALSE THEN 'first_sync'
                   WHEN c.lag > extract(epoch FROM target) THEN 'behind'
                   ELSE 'up_to_date'
               END AS state, c.lag, c.pending
        FROM (SELECT o.id FROM tenants o WHERE o.id > after_tenant AND o.id <= last_tenant OFFSET 0) t
        CROSS JOIN LATERAL (
            SELECT CASE WHEN count(*) = 0 THEN NULL
                        WHEN bool_or(k.state = 'active') THEN 'active'
                        WHEN bool_or(k.state = 'reauth_required') THEN 'reauth_required'
                        WHEN bool_or(k.state = 'error') THEN 'error'
                        ELSE 'disconnected' END AS state,
                   bool_or(s.is_blocked) AS is_blocked, bool_or(s.is_unread) AS is_unread, max(s.lag) AS lag,
                   sum(s.pending) AS pending
            FROM connections k
            -- Of a connection that stands still nothing is expected.
            LEFT JOIN LATERAL (
                SELECT
                    -- A permission that somebody has to give keeps a stream back, and not the fleet.
                    bool_or(x.blocked_code IS NOT NULL) FILTER (WHERE x.stream <> 'threads') AS is_blocked,
                    bool_or(x.last_ok_at IS NULL) FILTER (WHERE x.stream <> 'threads') AS is_unread,
                    extract(epoch FROM now() - min(x.last_ok_at) FILTER (WHERE x.stream <> 'threads'))::double precision
                        AS lag,
                    sum(x.pending) AS pending
                FROM streams x
                WHERE x.tenant_id = k.tenant_id AND x.connection_id = k.id AND x.due_at IS NOT NULL
                  AND x.stream IN ('contacts', 'conversations', 'threads')
                OFFSET 0) s ON k.state = 'active'
            WHERE k.tenant_id = t.id AND k.source = 'intercom'
            OFFSET 0) c
        -- So that the state of a tenant is found once and not once for each count.
        OFFSET 0) f;
    RETURN NEXT;
END $$;
SELECT across_tenants('fleet_facts(uuid, integer, interval)', 'pathbound_scheduler');
