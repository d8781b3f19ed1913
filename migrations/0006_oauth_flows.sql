-- OAuth flows: a start link, opened in a browser (state and session are set), consumed once. Only hashes are kept, so a
-- copy of this table starts or ends no flow.
CREATE TABLE oauth_flows (
    tenant_id      uuid NOT NULL REFERENCES tenants,
    id             uuid NOT NULL,
    region         text NOT NULL CHECK (region IN ('us', 'eu', 'au')),
    start_sha256   bytea NOT NULL,
    state_sha256   bytea,
    session_sha256 bytea,
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    consumed_at    timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((state_sha256 IS NULL) = (session_sha256 IS NULL))
);
-- Not unique, because a unique index without the tenant could not be spread over several servers. Both are digests of
-- 256 random bits.
CREATE INDEX oauth_flows_by_start ON oauth_flows (start_sha256);
CREATE INDEX oauth_flows_by_state ON oauth_flows (state_sha256) WHERE state_sha256 IS NOT NULL;
SELECT isolate('oauth_flows');
GRANT SELECT, INSERT ON oauth_flows TO pathbound_oauth;

-- A browser brings only a start token or a state, never a tenant. Both are resolved here.
GRANT SELECT, UPDATE ON oauth_flows TO pathbound_definer;
CREATE POLICY flow_lookup ON oauth_flows FOR SELECT TO pathbound_definer USING (true);
CREATE POLICY flow_step ON oauth_flows FOR UPDATE TO pathbound_definer USING (true) WITH CHECK (true);

-- The start page names the tenant before anything is opened. Reading it changes nothing, so that a link preview or a
-- scanner may.
CREATE FUNCTION oauth_start_page(start_hash bytea)
RETURNS TABLE (tenant_name text, region text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.name, f.region
    FROM oauth_flows f JOIN tenants t ON t.id = f.tenant_id
    WHERE f.start_sha256 = start_hash AND f.consumed_at IS NULL AND f.expires_at > now()
$$;
SELECT across_tenants('oauth_start_page(bytea)', 'pathbound_oauth');

-- Opening a start link again (a reload, a link preview) replaces the state, and only the last one counts.
CREATE FUNCTION open_oauth_flow(start_hash bytea, state_hash bytea, session_hash bytea)
RETURNS TABLE (tenant_id uuid, id uuid, region text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE oauth_flows f
    SET state_sha256 = state_hash, session_sha256 = session_hash
    WHERE f.start_sha256 = start_hash AND f.consumed_at IS NULL AND f.expires_at > now()
    RETURNING f.tenant_id, f.id, f.region
$$;
SELECT across_tenants('open_oauth_flow(bytea, bytea, bytea)', 'pathbound_oauth');

-- One UPDATE burns the state on its first use, so of many equal callbacks exactly one goes on. The state is burnt even
-- when the session does not match, so that there is no second try.
CREATE FUNCTION burn_oauth_flow(state_hash bytea)
RETURNS TABLE (tenant_id uuid, id uuid, region text, session_sha256 bytea)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE oauth_flows f
    SET consumed_at = now()
    WHERE f.state_sha256 = state_hash AND f.consumed_at IS NULL AND f.expires_at > now()
    RETURNING f.tenant_id, f.id, f.region, f.session_sha256
$$;
SELECT across_tenants('burn_oauth_flow(bytea)', 'pathbound_oauth');

-- Why a callback was refused, for the error page: used, expired or never issued.
CREATE FUNCTION oauth_flow_fate(state_hash bytea) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN f.consumed_at IS NOT NULL THEN 'used' WHEN f.expires_at <= now() THEN 'expired' ELSE 'open' END
    FROM oauth_flows f WHERE f.state_sha256 = state_hash
$$;
SELECT across_tenants('oauth_flow_fate(bytea)', 'pathbound_oauth');
