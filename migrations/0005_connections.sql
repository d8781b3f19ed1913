-- Connections: one Intercom workspace of one tenant, and its sealed token. The records that another source sends belong
-- to a connection too. It is made by the first of them, it syncs nothing, and its `workspace_id` is the source's name.

-- `generation` is the fence of the connection. A reconnect or a disconnect raises it, and a write that was begun under
-- an older generation is refused.
CREATE TABLE connections (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    id              uuid NOT NULL,
    source          text NOT NULL CHECK (source IN ('crm', 'email', 'analytics', 'intercom')),
    state           text NOT NULL CHECK (state IN ('active', 'reauth_required', 'disconnected', 'error')),
    generation      bigint NOT NULL DEFAULT 1 CHECK (generation > 0),
    -- These four are a workspace's.
    region          text CHECK (region IN ('us', 'eu', 'au')),
    workspace_id    text NOT NULL,
    workspace_name  text,
    timezone        text,
    api_version     text,
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
    CHECK ((error_code IS NULL) = (error_message IS NULL)),
    CHECK (source <> 'intercom' OR num_nulls(region, workspace_name, timezone, api_version) = 0)
);
SELECT isolate('connections');
GRANT SELECT, UPDATE ON connections TO pathbound_api, pathbound_worker;
GRANT SELECT, INSERT, UPDATE ON connections TO pathbound_oauth, pathbound_sources;

-- Purges outlive the process that began them. Any API process asks here what is still to be deleted.
CREATE INDEX connections_to_purge ON connections (purge_requested_at) WHERE purge_requested_at IS NOT NULL;
CREATE INDEX connections_by_workspace ON connections (workspace_id);
GRANT SELECT ON connections TO pathbound_definer;
CREATE POLICY across_tenants ON connections FOR SELECT TO pathbound_definer USING (true);

CREATE FUNCTION pending_purges(most integer) RETURNS TABLE (tenant_id uuid, connection_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.tenant_id, c.id FROM connections c
    WHERE c.purge_requested_at IS NOT NULL ORDER BY c.purge_requested_at LIMIT most
$$;
SELECT across_tenants('pending_purges(integer)', 'pathbound_api');

-- Tokens at rest: AES-256-GCM, bound to tenant, connection and purpose. The API's own role may not read them. Only
-- workers and the OAuth path do. It may delete, to disconnect.
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
