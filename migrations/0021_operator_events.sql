-- What operators should know of, and what no tenant may see.
--   workspace_shared   a tenant connected a workspace that another tenant has connected as well
CREATE TABLE operator_events (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    id            uuid NOT NULL,
    code          text NOT NULL CHECK (code IN ('workspace_shared')),
    connection_id uuid,
    workspace_id  text,
    -- How many other tenants have the workspace.
    others        bigint NOT NULL,
    happened_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
SELECT isolate('operator_events');
-- Ids are in the order of time.
CREATE INDEX operator_events_newest ON operator_events (id DESC);
GRANT SELECT, INSERT ON operator_events TO pathbound_definer;
CREATE POLICY operations_read ON operator_events FOR SELECT TO pathbound_definer USING (true);
CREATE POLICY operations_write ON operator_events FOR INSERT TO pathbound_definer WITH CHECK (true);

-- Writes the event, if another tenant has this connection's workspace. Returns how many others have it.
CREATE FUNCTION note_shared_workspace(new_tenant uuid, new_connection uuid, event uuid) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH mine AS (
        SELECT source, workspace_id FROM connections WHERE tenant_id = new_tenant AND id = new_connection
    ), theirs AS (
        SELECT mine.workspace_id, count(DISTINCT c.tenant_id) AS others
        FROM mine JOIN connections c ON c.source = mine.source AND c.workspace_id = mine.workspace_id
        WHERE c.tenant_id <> new_tenant AND c.state <> 'disconnected'
        GROUP BY mine.workspace_id
    ), noted AS (
        INSERT INTO operator_events (tenant_id, id, code, connection_id, workspace_id, others)
        SELECT new_tenant, event, 'workspace_shared', new_connection, workspace_id, others FROM theirs
    )
    SELECT coalesce((SELECT others FROM theirs), 0)
$$;
SELECT across_tenants('note_shared_workspace(uuid, uuid, uuid)', 'pathbound_oauth');

CREATE FUNCTION find_operator_events(before_id uuid, most integer)
RETURNS TABLE (id uuid, code text, tenant_id uuid, connection_id uuid, workspace_id text, others bigint,
               happened_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.id, e.code, e.tenant_id, e.connection_id, e.workspace_id, e.others, e.happened_at
    FROM operator_events e
    WHERE before_id IS NULL OR e.id < before_id
    ORDER BY e.id DESC
    LIMIT most
$$;
SELECT across_tenants('find_operator_events(uuid, integer)', 'pathbound_operator');
