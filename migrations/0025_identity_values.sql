-- Identity values: what contacts are found to be one person by, and companies one company. A row for each value of each
-- record, so that a record that comes finds the others that hold one of its values.

CREATE TABLE identity_values (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    source_id     text NOT NULL,
    -- The kind and the normalised text, such as `email:ann@acme.example`. Kinds of contacts and of companies differ.
    value         text NOT NULL COLLATE "C",
    PRIMARY KEY (tenant_id, value, connection_id, source_id)
) PARTITION BY HASH (tenant_id);
SELECT partition('identity_values', 'autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05');
SELECT isolate('identity_values');
GRANT SELECT, INSERT, DELETE ON identity_values TO pathbound_worker, pathbound_sources;
GRANT SELECT, DELETE ON identity_values TO pathbound_api;

-- Aliases: ids of profiles whose own record is no longer stored. What is left of the profile answers for them.
CREATE TABLE profile_aliases (
    tenant_id uuid NOT NULL,
    id        uuid NOT NULL,
    -- The own id of a record that is left.
    record_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
SELECT isolate('profile_aliases');
GRANT SELECT ON profile_aliases TO pathbound_worker;
GRANT SELECT, INSERT, UPDATE ON profile_aliases TO pathbound_api;
