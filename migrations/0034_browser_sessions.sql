-- Browser sessions: a one-time sign-in link, and the session that the press of its button starts. Only digests are kept, so a
-- copy of this table signs no browser in.

CREATE TABLE browser_sessions (
    tenant_id      uuid NOT NULL REFERENCES tenants,
    id             uuid NOT NULL,
    link_sha256    bytea NOT NULL CHECK (octet_length(link_sha256) = 32),
    -- Where the link leads: a page of ours.
    return_to      text NOT NULL CHECK (return_to ~ '^/[^/\\]' AND length(return_to) <= 500),
    created_at     timestamptz NOT NULL DEFAULT now(),
    -- Both are set when the link is spent.
    session_sha256 bytea CHECK (octet_length(session_sha256) = 32),
    started_at     timestamptz,
    -- When the link expires, and once it is spent, when the session does.
    expires_at     timestamptz NOT NULL,
    -- The browser has signed out.
    ended_at       timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((session_sha256 IS NULL) = (started_at IS NULL))
);
-- Not unique, because a unique index without the tenant could not be spread over several servers. Both are digests of
-- 256 random bits.
CREATE INDEX browser_sessions_by_link ON browser_sessions (link_sha256);
CREATE INDEX browser_sessions_by_session ON browser_sessions (session_sha256) WHERE session_sha256 IS NOT NULL;
SELECT isolate('browser_sessions');
GRANT SELECT, INSERT, UPDATE (ended_at) ON browser_sessions TO pathbound_api;

SELECT removable('browser_sessions', 'least(ended_at, expires_at)');

-- A browser brings only a link or a session, never a tenant. Both are resolved here.
CREATE POLICY session_lookup ON browser_sessions FOR SELECT TO pathbound_definer USING (true);
CREATE POLICY session_step ON browser_sessions FOR UPDATE TO pathbound_definer USING (true) WITH CHECK (true);

-- What the page of a link shows. Reading it changes nothing, so that a link preview or a scanner may.
CREATE FUNCTION sign_in_link(link_hash bytea) RETURNS TABLE (tenant_name text, fate text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.name, CASE WHEN s.started_at IS NOT NULL THEN 'used' WHEN s.expires_at <= now() THEN 'expired' ELSE 'open' END
    FROM browser_sessions s JOIN tenants t ON t.id = s.tenant_id
    WHERE s.link_sha256 = link_hash
$$;
SELECT across_tenants('sign_in_link(bytea)', 'pathbound_api');

-- One UPDATE spends the link on its first use, so of many equal presses exactly one signs in.
CREATE FUNCTION start_browser_session(link_hash bytea, session_hash bytea, life interval)
RETURNS TABLE (tenant_id uuid, id uuid, return_to text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE browser_sessions s
    SET session_sha256 = session_hash, started_at = now(), expires_at = now() + life
    WHERE s.link_sha256 = link_hash AND s.started_at IS NULL AND s.expires_at > now()
    RETURNING s.tenant_id, s.id, s.return_to
$$;
SELECT across_tenants('start_browser_session(bytea, bytea, interval)', 'pathbound_api');

CREATE FUNCTION find_browser_session(session_hash bytea)
RETURNS TABLE (tenant_id uuid, id uuid, tenant_name text, return_to text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.id, t.name, s.return_to
    FROM browser_sessions s JOIN tenants t ON t.id = s.tenant_id
    WHERE s.session_sha256 = session_hash AND s.ended_at IS NULL AND s.expires_at > now()
$$;
SELECT across_tenants('find_browser_session(bytea)', 'pathbound_api');

-- A flow that a signed-in browser has begun leads back to our page, and one that renews a connection takes no other workspace.
ALTER TABLE oauth_flows ADD COLUMN browser_session_id uuid, ADD COLUMN renews uuid;

-- What a signed-in browser does is its session's action.
ALTER TABLE audit_events DROP CONSTRAINT audit_events_check;
ALTER TABLE audit_events ADD CONSTRAINT audit_events_actor_id CHECK (
    CASE actor_kind WHEN 'tenant_key' THEN actor_id IS NOT NULL WHEN 'browser' THEN true ELSE actor_id IS NULL END) NOT VALID;
