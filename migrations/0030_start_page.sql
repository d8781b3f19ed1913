-- The start page names the tenant before anything is opened. Reading it changes nothing, so that a link preview or a
-- scanner may.
CREATE FUNCTION oauth_start_page(start_hash bytea)
RETURNS TABLE (tenant_name text, region text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.name, f.region
    FROM oauth_flows f JOIN tenants t ON t.id = f.tenant_id
    WHERE f.start_sha256 = start_hash AND f.consumed_at IS NULL AND f.expires_at > now()
$$;
ALTER FUNCTION oauth_start_page(bytea) OWNER TO pathbound_definer;
REVOKE ALL ON FUNCTION oauth_start_page(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION oauth_start_page(bytea) TO pathbound_oauth;
