-- Tenants: Pathbound's customers, and the keys that they call with.

CREATE TABLE tenants (
    id         uuid PRIMARY KEY,
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now()
);
SELECT isolate('tenants', 'id');
GRANT SELECT, INSERT ON tenants TO pathbound_api;

-- The secret half of a key is 256 random bits, so a plain SHA-256 is enough to store.
CREATE TABLE api_keys (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    id            uuid NOT NULL,
    name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    scopes        text[] NOT NULL CHECK (
        cardinality(scopes) > 0 AND scopes <@ ARRAY['profiles:read', 'conversations:read',
            'connections:read', 'connections:write', 'sources:write']),
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz,
    revoked_at    timestamptz,
    PRIMARY KEY (tenant_id, id)
);
SELECT isolate('api_keys');
GRANT SELECT, INSERT, UPDATE ON api_keys TO pathbound_api;

-- A key is looked up before its tenant is known. It is the one read across tenants that the API makes.
CREATE INDEX api_keys_by_id ON api_keys (id);
GRANT SELECT ON api_keys, tenants TO pathbound_definer;
CREATE POLICY lookup ON api_keys FOR SELECT TO pathbound_definer USING (true);
CREATE POLICY lookup ON tenants FOR SELECT TO pathbound_definer USING (true);

CREATE FUNCTION find_api_key(key_id uuid)
RETURNS TABLE (tenant_id uuid, secret_sha256 bytea, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.tenant_id, k.secret_sha256, k.scopes
    FROM api_keys k
    WHERE k.id = key_id
      AND k.revoked_at IS NULL
      AND (k.expires_at IS NULL OR k.expires_at > now())
$$;
SELECT across_tenants('find_api_key(uuid)', 'pathbound_api');

-- The service key and the operator name a tenant by its id. Whether it exists is asked here.
CREATE FUNCTION tenant_exists(wanted uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM tenants WHERE id = wanted)
$$;
SELECT across_tenants('tenant_exists(uuid)', 'pathbound_api');
GRANT EXECUTE ON FUNCTION tenant_exists(uuid) TO pathbound_operator;
