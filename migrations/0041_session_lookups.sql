-- Every page looks its session up, as every call looks its key up (0036): planned once per database session, and by the
-- index, because the plan may be made when the table is empty. Who owns the functions, and who may call them, stays as it
-- is.
CREATE OR REPLACE FUNCTION sign_in_link(link_hash bytea) RETURNS TABLE (tenant_name text, fate text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT t.name, CASE WHEN s.started_at IS NOT NULL THEN 'used' WHEN s.expires_at <= now() THEN 'expired' ELSE 'open' END
    FROM browser_sessions s
    CROSS JOIN LATERAL (SELECT tenants.name FROM tenants WHERE tenants.id = s.tenant_id OFFSET 0) t
    WHERE s.link_sha256 = link_hash;
END $$;

CREATE OR REPLACE FUNCTION find_browser_session(session_hash bytea)
RETURNS TABLE (tenant_id uuid, id uuid, tenant_name text, return_to text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT s.tenant_id, s.id, t.name, s.return_to
    FROM browser_sessions s
    CROSS JOIN LATERAL (SELECT tenants.name FROM tenants WHERE tenants.id = s.tenant_id OFFSET 0) t
    WHERE s.session_sha256 = session_hash AND s.ended_at IS NULL AND s.expires_at > now();
END $$;
