-- Blocked values: what a tenant says is no identity, such as the number of a switchboard. They link no records. A process
-- of an older build does not ask for them, so a list holds for all records once every process is of this build.

CREATE TABLE blocked_values (
    tenant_id uuid NOT NULL REFERENCES tenants,
    -- As `identity_values` has it, so that a writer asks for both with one statement.
    value     text NOT NULL COLLATE "C",
    PRIMARY KEY (tenant_id, value)
);
SELECT isolate('blocked_values');
GRANT SELECT, INSERT, DELETE ON blocked_values TO pathbound_api;
GRANT SELECT ON blocked_values TO pathbound_worker, pathbound_sources;
