-- Every request looks its key or its tenant up. A function in plpgsql keeps its plan for the session, and one in SQL is
-- planned at each call. The plan reads the index, because it may be made when the table is empty. Who owns the functions,
-- and who may call them, stays as it is.
CREATE OR REPLACE FUNCTION find_api_key(key_id uuid)
RETURNS TABLE (tenant_id uuid, secret_sha256 bytea, scopes text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT k.tenant_id, k.secret_sha256, k.scopes
    FROM api_keys k
    WHERE k.id = key_id
      AND k.revoked_at IS NULL
      AND (k.expires_at IS NULL OR k.expires_at > now());
END $$;

CREATE OR REPLACE FUNCTION tenant_exists(wanted uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN EXISTS (SELECT FROM tenants WHERE id = wanted);
END $$;
