-- Audit events: who did what. A row for each action of a caller, written in the transaction of the action, so that neither
-- is there without the other.

CREATE TABLE audit_events (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    at          timestamptz NOT NULL DEFAULT now(),
    id          uuid NOT NULL,
    -- The set is closed in `shared/src/domain/audit_event.rs`, so that a new action needs no migration.
    action      text NOT NULL CHECK (action ~ '^[a-z_]{1,40}\.[a-z_]{1,40}$'),
    actor_kind  text NOT NULL CHECK (actor_kind IN ('service_key', 'tenant_key', 'operator', 'browser', 'system')),
    -- Of a tenant key. It stays when the key is removed.
    actor_id    uuid,
    object_type text NOT NULL CHECK (length(object_type) BETWEEN 1 AND 40),
    object_id   uuid NOT NULL,
    -- No personal data and no secret, because nothing of a row is ever changed.
    details     jsonb NOT NULL CHECK (jsonb_typeof(details) = 'object' AND pg_column_size(details) <= 4000),
    PRIMARY KEY (tenant_id, at, id),
    CHECK ((actor_kind = 'tenant_key') = (actor_id IS NOT NULL))
);
-- A rare action is listed without a look at the others.
CREATE INDEX audit_events_by_action ON audit_events (tenant_id, action, at, id) WHERE at > '-infinity';
SELECT isolate('audit_events');
-- Each role that acts may add, and the one that readers use may read. No role may change or remove a row, or a trail would prove nothing.
GRANT INSERT ON audit_events TO pathbound_api, pathbound_oauth;
GRANT SELECT ON audit_events TO pathbound_api;

-- Only age removes. The janitor's function locks what it removes, and a lock needs the right to change some column. A
-- changed tenant is refused by every policy, so this one changes nothing.
SELECT removable('audit_events', 'at');
REVOKE UPDATE ON audit_events FROM pathbound_definer;
GRANT UPDATE (tenant_id) ON audit_events TO pathbound_definer;
