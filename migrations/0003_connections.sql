-- Connections: one Intercom workspace of one tenant, its sealed token, and the OAuth flow that made it.

-- `generation` is the fence of the connection: a reconnect or a disconnect raises it, and a
-- write that was begun under an older generation is refused.
CREATE TABLE connections (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    source          text NOT NULL CHECK (source IN ('intercom')),
    state           text NOT NULL CHECK (state IN ('active', 'reauth_required', 'disconnected', 'error')),
    generation      bigint NOT NULL DEFAULT 1 CHECK (generation > 0),
    region          text NOT NULL CHECK (region IN ('us', 'eu', 'au')),
    workspace_id    text NOT NULL,
    workspace_name  text NOT NULL,
    timezone        text NOT NULL,
    api_version     text NOT NULL,
    connected_at    timestamptz NOT NULL,
    disconnected_at timestamptz,
    -- Set when the end was asked for with `data=purge`, until every row that it brought is deleted.
    purge_requested_at timestamptz,
    error_code      text,
    error_message   text,
    error_action    text,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, source, workspace_id),
    CHECK ((state = 'disconnected') = (disconnected_at IS NOT NULL)),
    CHECK (purge_requested_at IS NULL OR state = 'disconnected'),
    CHECK ((error_code IS NULL) = (error_message IS NULL))
);
SELECT isolate('connections');
GRANT SELECT, UPDATE ON connections TO pathbound_api, pathbound_worker;
GRANT SELECT, INSERT, UPDATE ON connections TO pathbound_oauth;

-- Purges outlive the process that began them: any API process asks here what is still owed.
CREATE INDEX connections_to_purge ON connections (purge_requested_at) WHERE purge_requested_at IS NOT NULL;
GRANT SELECT ON connections TO pathbound_definer;
CREATE POLICY purge_lookup ON connections FOR SELECT TO pathbound_definer USING (purge_requested_at IS NOT NULL);

CREATE FUNCTION owed_purges(most integer) RETURNS TABLE (tenant_id uuid, connection_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.tenant_id, c.id FROM connections c
    WHERE c.purge_requested_at IS NOT NULL ORDER BY c.purge_requested_at LIMIT most
$$;
ALTER FUNCTION owed_purges(integer) OWNER TO pathbound_definer;
REVOKE ALL ON FUNCTION owed_purges(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION owed_purges(integer) TO pathbound_api;

-- Tokens at rest: AES-256-GCM, bound to tenant, connection and purpose. The API's own role has
-- no grant to read here: only workers and the OAuth path do. It may delete, to disconnect.
CREATE TABLE connection_secrets (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    purpose       text NOT NULL CHECK (purpose IN ('access_token')),
    sealed        bytea NOT NULL,
    sealed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, connection_id, purpose),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
SELECT isolate('connection_secrets');
GRANT SELECT ON connection_secrets TO pathbound_worker;
GRANT SELECT, INSERT, UPDATE ON connection_secrets TO pathbound_oauth;
GRANT DELETE ON connection_secrets TO pathbound_api;
GRANT SELECT (tenant_id, connection_id) ON connection_secrets TO pathbound_api;

-- An OAuth flow: start link → opened in a browser (state and session are set) → consumed once.
-- Only hashes are kept, so a copy of this table starts or ends no flow.
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
CREATE UNIQUE INDEX oauth_flows_by_start ON oauth_flows (start_sha256);
CREATE UNIQUE INDEX oauth_flows_by_state ON oauth_flows (state_sha256);
SELECT isolate('oauth_flows');
GRANT SELECT, INSERT, DELETE ON oauth_flows TO pathbound_oauth;

-- A browser brings only a start token or a state, never a tenant: both are resolved here.
GRANT SELECT, UPDATE ON oauth_flows TO pathbound_definer;
CREATE POLICY flow_lookup ON oauth_flows FOR SELECT TO pathbound_definer USING (true);
CREATE POLICY flow_step ON oauth_flows FOR UPDATE TO pathbound_definer USING (true) WITH CHECK (true);

-- Opening a start link again (a reload, a link preview) replaces the state: only the last one counts.
CREATE FUNCTION open_oauth_flow(start_hash bytea, state_hash bytea, session_hash bytea)
RETURNS TABLE (tenant_id uuid, id uuid, region text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE oauth_flows f
    SET state_sha256 = state_hash, session_sha256 = session_hash
    WHERE f.start_sha256 = start_hash AND f.consumed_at IS NULL AND f.expires_at > now()
    RETURNING f.tenant_id, f.id, f.region
$$;
ALTER FUNCTION open_oauth_flow(bytea, bytea, bytea) OWNER TO pathbound_definer;
REVOKE ALL ON FUNCTION open_oauth_flow(bytea, bytea, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_oauth_flow(bytea, bytea, bytea) TO pathbound_oauth;

-- One UPDATE burns the state on its first use, so of many equal callbacks exactly one goes on.
-- The state is burnt even when the session does not match: whoever brought it gets no second try.
CREATE FUNCTION burn_oauth_flow(state_hash bytea)
RETURNS TABLE (tenant_id uuid, id uuid, region text, session_sha256 bytea)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE oauth_flows f
    SET consumed_at = now()
    WHERE f.state_sha256 = state_hash AND f.consumed_at IS NULL AND f.expires_at > now()
    RETURNING f.tenant_id, f.id, f.region, f.session_sha256
$$;
ALTER FUNCTION burn_oauth_flow(bytea) OWNER TO pathbound_definer;
REVOKE ALL ON FUNCTION burn_oauth_flow(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION burn_oauth_flow(bytea) TO pathbound_oauth;

-- Why a callback was refused, for the error page: used, expired or never issued.
CREATE FUNCTION oauth_flow_fate(state_hash bytea) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN f.consumed_at IS NOT NULL THEN 'used' WHEN f.expires_at <= now() THEN 'expired' ELSE 'open' END
    FROM oauth_flows f WHERE f.state_sha256 = state_hash
$$;
ALTER FUNCTION oauth_flow_fate(bytea) OWNER TO pathbound_definer;
REVOKE ALL ON FUNCTION oauth_flow_fate(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION oauth_flow_fate(bytea) TO pathbound_oauth;
