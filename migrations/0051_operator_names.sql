-- Names of operators: what an operator calls itself, so that the next one on call knows whom to ask. The key proves an
-- operator and no name, so a name is a claim. Builds from before write none.
ALTER TABLE operator_actions ADD COLUMN operator text CHECK (length(operator) BETWEEN 1 AND 80);
ALTER TABLE bulk_actions ADD COLUMN operator text CHECK (length(operator) BETWEEN 1 AND 80);
ALTER TABLE pauses ADD COLUMN operator text CHECK (length(operator) BETWEEN 1 AND 80);

-- The names of some tenants, for lists of what is about several of them.
CREATE FUNCTION tenant_names(ids uuid[]) RETURNS TABLE (id uuid, name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_material = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT t.id, t.name FROM unnest(ids) u (id)
    CROSS JOIN LATERAL (SELECT o.id, o.name FROM tenants o WHERE o.id = u.id OFFSET 0) t;
END $$;
SELECT across_tenants('tenant_names(uuid[])', 'pathbound_operator');
