-- What operators see of the whole fleet: counts, and pages of tenants that cost the same however many tenants there are.
-- The functions are in plpgsql, which keeps their plans, and each plan reads an index.

-- The name of the one tenant that an operator looks at.
GRANT SELECT ON tenants TO pathbound_operator;

-- Names begin with what is searched for, in upper or lower case.
CREATE INDEX tenants_by_name ON tenants (lower(name) text_pattern_ops, id);
-- Only a statement that repeats the condition uses it, so that no look-up by tenant does.
CREATE INDEX connections_by_state ON connections (source, state, tenant_id) WHERE connected_at > '-infinity';
-- The polled streams by their last full read, never read first. A stream of a connection that stands still is not due, so
-- it is not here. The column changes together with `due_at`, which has indexes already.
CREATE INDEX streams_by_lag ON streams ((coalesce(last_ok_at, 'epoch'::timestamptz)), tenant_id, connection_id, stream)
    WHERE due_at IS NOT NULL AND stream IN ('contacts', 'conversations');

-- Counts of the fleet. Each ends at `most`, so that it costs the same in a large fleet.
CREATE FUNCTION fleet_counts(most integer)
RETURNS TABLE (tenants bigint, active bigint, reauth_required bigint, error bigint, disconnected bigint, dead_letters bigint,
               unticketed bigint, oldest_unticketed_at timestamptz, latest_tenant uuid, latest_read_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    SELECT count(*) INTO tenants FROM (SELECT FROM tenants t LIMIT most) counted;
    SELECT count(*) INTO active FROM (
        SELECT FROM connections c
        WHERE c.source = 'intercom' AND c.state = 'active' AND c.connected_at > '-infinity' LIMIT most) counted;
    SELECT count(*) INTO reauth_required FROM (
        SELECT FROM connections c
        WHERE c.source = 'intercom' AND c.state = 'reauth_required' AND c.connected_at > '-infinity' LIMIT most) counted;
    SELECT count(*) INTO error FROM (
        SELECT FROM connections c
        WHERE c.source = 'intercom' AND c.state = 'error' AND c.connected_at > '-infinity' LIMIT most) counted;
    SELECT count(*) INTO disconnected FROM (
        SELECT FROM connections c
        WHERE c.source = 'intercom' AND c.state = 'disconnected' AND c.connected_at > '-infinity' LIMIT most) counted;
    SELECT count(*) INTO dead_letters FROM (SELECT FROM dead_letters d WHERE d.resolved_at IS NULL LIMIT most) counted;
    SELECT count(*), min(counted.due_at) INTO unticketed, oldest_unticketed_at FROM (
        SELECT s.due_at FROM streams s WHERE s.ticketed_at IS NULL AND s.due_at IS NOT NULL AND s.due_at <= now()
        ORDER BY s.due_at LIMIT most) counted;
    SELECT s.tenant_id, s.last_ok_at INTO latest_tenant, latest_read_at FROM streams s
        WHERE s.due_at IS NOT NULL AND s.stream IN ('contacts', 'conversations')
        ORDER BY coalesce(s.last_ok_at, 'epoch'::timestamptz), s.tenant_id, s.connection_id, s.stream LIMIT 1;
    RETURN NEXT;
END $$;
SELECT across_tenants('fleet_counts(integer)', 'pathbound_operator');

-- Tenants by their lag, longest first, each at the stream that is furthest behind. A page continues behind a time and a
-- tenant.
CREATE FUNCTION tenants_by_lag(after_at timestamptz, after_tenant uuid, most integer)
RETURNS TABLE (tenant_id uuid, read_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_material = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT s.tenant_id, coalesce(s.last_ok_at, 'epoch'::timestamptz)
    FROM streams s
    WHERE s.due_at IS NOT NULL AND s.stream IN ('contacts', 'conversations')
      AND (coalesce(s.last_ok_at, 'epoch'::timestamptz), s.tenant_id) > (after_at, after_tenant)
      AND NOT EXISTS (
        -- By the tenant alone, so that the index by lag is no choice.
        SELECT FROM (SELECT x.due_at, x.last_ok_at, x.connection_id, x.stream FROM streams x
                     WHERE x.tenant_id = s.tenant_id OFFSET 0) o
        WHERE o.due_at IS NOT NULL AND o.stream IN ('contacts', 'conversations')
          AND (coalesce(o.last_ok_at, 'epoch'::timestamptz), o.connection_id, o.stream)
            < (coalesce(s.last_ok_at, 'epoch'::timestamptz), s.connection_id, s.stream))
    ORDER BY coalesce(s.last_ok_at, 'epoch'::timestamptz), s.tenant_id, s.connection_id, s.stream
    LIMIT most;
END $$;
SELECT across_tenants('tenants_by_lag(timestamptz, uuid, integer)', 'pathbound_operator');

-- Tenants with a connection in this state, in the order of their ids.
CREATE FUNCTION tenants_in_state(of_state text, after_tenant uuid, most integer) RETURNS TABLE (tenant_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashagg = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT DISTINCT c.tenant_id FROM connections c
    WHERE c.source = 'intercom' AND c.state = of_state AND c.connected_at > '-infinity' AND c.tenant_id > after_tenant
    ORDER BY c.tenant_id LIMIT most;
END $$;
SELECT across_tenants('tenants_in_state(text, uuid, integer)', 'pathbound_operator');

-- Tenants whose names begin with a text in lower case, in the order of their names. A page continues behind a name and a
-- tenant.
CREATE FUNCTION tenants_by_name(prefix text, after_name text, after_tenant uuid, most integer)
RETURNS TABLE (tenant_id uuid, lower_name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT t.id, lower(t.name) FROM tenants t
    WHERE lower(t.name) ~>=~ after_name AND lower(t.name) ~<~ (prefix || chr(1114111))
      AND (lower(t.name) ~>~ after_name OR t.id > after_tenant)
    ORDER BY lower(t.name) USING ~<~, t.id LIMIT most;
END $$;
SELECT across_tenants('tenants_by_name(text, text, uuid, integer)', 'pathbound_operator');

-- Tenants that a text names exactly: by the tenant's id, or by the id of a workspace.
CREATE FUNCTION tenants_named(by_id uuid, by_workspace text, most integer) RETURNS TABLE (tenant_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY SELECT t.id FROM tenants t WHERE t.id = by_id;
    RETURN QUERY SELECT DISTINCT c.tenant_id FROM (
        SELECT w.tenant_id FROM connections w WHERE w.workspace_id = by_workspace AND w.source = 'intercom' LIMIT most) c;
END $$;
SELECT across_tenants('tenants_named(uuid, text, integer)', 'pathbound_operator');

-- What a list says of each of these tenants.
CREATE FUNCTION describe_tenants(ids uuid[])
RETURNS TABLE (id uuid, name text, created_at timestamptz, active bigint, stopped bigint, ended bigint, read_at timestamptz,
               is_unread boolean, pending bigint, failing bigint, due bigint, blocked_code text, blocked_until timestamptz,
               dead_letters bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_material = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT t.id, t.name, t.created_at, c.active, c.stopped, c.ended, s.read_at, coalesce(s.is_unread, false),
           coalesce(s.pending, 0)::bigint, s.failing, s.due, s.blocked_code, s.blocked_until, d.dead_letters
    FROM unnest(ids) u (id)
    CROSS JOIN LATERAL (SELECT t.id, t.name, t.created_at FROM tenants t WHERE t.id = u.id OFFSET 0) t
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE c.state = 'active') AS active,
               count(*) FILTER (WHERE c.state IN ('reauth_required', 'error')) AS stopped,
               count(*) FILTER (WHERE c.state = 'disconnected') AS ended
        FROM connections c WHERE c.tenant_id = u.id AND c.source = 'intercom') c
    CROSS JOIN LATERAL (
        SELECT min(s.last_ok_at) FILTER (WHERE s.due_at IS NOT NULL AND s.stream IN ('contacts', 'conversations')) AS read_at,
               bool_or(s.last_ok_at IS NULL) FILTER (WHERE s.due_at IS NOT NULL AND s.stream IN ('contacts', 'conversations'))
                   AS is_unread,
               sum(s.pending) FILTER (WHERE s.due_at IS NOT NULL) AS pending,
               count(*) FILTER (WHERE s.due_at IS NOT NULL AND s.attempts > 0) AS failing,
               count(*) FILTER (WHERE s.due_at <= now()) AS due,
               min(s.blocked_code) FILTER (WHERE s.due_at IS NOT NULL) AS blocked_code,
               min(s.blocked_until) FILTER (WHERE s.due_at IS NOT NULL) AS blocked_until
        FROM streams s WHERE s.tenant_id = u.id) s
    CROSS JOIN LATERAL (
        SELECT count(*) AS dead_letters FROM dead_letters d WHERE d.tenant_id = u.id AND d.resolved_at IS NULL) d;
END $$;
SELECT across_tenants('describe_tenants(uuid[])', 'pathbound_operator');

-- Open dead letters by their cause, the most frequent first, among the oldest `of_letters` ones.
CREATE FUNCTION dead_letter_causes(of_letters integer, most integer)
RETURNS TABLE (cause text, letters bigint, tenants bigint, first_died_at timestamptz, last_died_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT d.cause, count(*), count(DISTINCT d.tenant_id), min(d.died_at), max(d.died_at)
    FROM (SELECT o.tenant_id, o.cause, o.died_at FROM dead_letters o WHERE o.resolved_at IS NULL
          ORDER BY o.id LIMIT of_letters) d
    GROUP BY d.cause ORDER BY count(*) DESC, d.cause LIMIT most;
END $$;
SELECT across_tenants('dead_letter_causes(integer, integer)', 'pathbound_operator');
