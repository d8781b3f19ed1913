-- Operator actions: what operators have done, written in the transaction of the action, so that neither is there without
-- the other. No role changes a row.
CREATE TABLE operator_actions (
    -- The nil id if the action was not about one tenant.
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    -- The set is closed in `shared/src/store/operator_actions.rs`.
    action      text NOT NULL CHECK (action ~ '^[a-z_]{1,40}\.[a-z_]{1,40}$'),
    -- How the operator came: with the key itself, or with a browser that was signed in with it.
    channel     text NOT NULL CHECK (channel IN ('key', 'browser')),
    -- The browser's session.
    session_id  uuid,
    -- What it was about: the fleet, a class, a tenant, or a filter of dead letters.
    subject     text NOT NULL CHECK (length(subject) BETWEEN 1 AND 1000),
    reason      text CHECK (length(reason) <= 500),
    -- How many rows it changed.
    changed     bigint NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK ((channel = 'browser') = (session_id IS NOT NULL))
);
SELECT isolate('operator_actions');
-- Ids are in the order of time.
CREATE INDEX operator_actions_newest ON operator_actions (id DESC);
-- Operators act across tenants, and see what others of them have done.
CREATE POLICY operations_read ON operator_actions FOR SELECT TO pathbound_operator USING (true);
CREATE POLICY operations_write ON operator_actions FOR INSERT TO pathbound_operator WITH CHECK (true);
GRANT SELECT, INSERT ON operator_actions TO pathbound_operator;
SELECT removable('operator_actions', 'at');
