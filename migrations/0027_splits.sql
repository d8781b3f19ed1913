-- Splits: records of contacts that are not one person, because somebody said so. No record of one side and another record
-- of the other side are ever joined, whatever values they hold. A split outlives its records, so that it holds again for
-- a source that was removed and comes back.

CREATE TABLE split_records (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    source_id     text NOT NULL,
    split_id      uuid NOT NULL,
    -- Which of the two sides the record is on.
    is_left       boolean NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, connection_id, source_id, split_id)
);
CREATE INDEX split_records_by_split ON split_records (split_id, tenant_id);
SELECT isolate('split_records');
GRANT SELECT, INSERT, DELETE ON split_records TO pathbound_api;
GRANT SELECT ON split_records TO pathbound_worker, pathbound_sources;
