-- Companies: what one connection says of each, as with contacts. A workspace has a hundredth of its contacts' number of
-- them, so they are not partitioned.

CREATE TABLE company_sources (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    -- The record's own id, and the company that it belongs to: the own id of the oldest record of the same company.
    record_id         uuid NOT NULL,
    company_id        uuid NOT NULL,
    source_created_at timestamptz NOT NULL,
    source_updated_at timestamptz NOT NULL,
    deleted_at        timestamptz,
    raw_hash          bigint NOT NULL,
    sanitised         boolean NOT NULL DEFAULT false,
    source_id         text NOT NULL,
    external_id       text,
    -- As a contact's.
    identity_values   text NOT NULL DEFAULT '[]',
    raw               bytea NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, source_id)
);
CREATE INDEX company_sources_by_company ON company_sources (company_id, tenant_id);
CREATE INDEX company_sources_joined ON company_sources (tenant_id, record_id) WHERE record_id <> company_id;
SELECT isolate('company_sources');
SELECT keep_raw('company_sources');
GRANT SELECT, INSERT, UPDATE ON company_sources TO pathbound_worker, pathbound_sources;
GRANT SELECT, DELETE, UPDATE (company_id) ON company_sources TO pathbound_api;

-- Company fetches: companies to be asked for one by one, between two full walks.
CREATE TABLE company_fetches (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    source_id     text NOT NULL,
    requested_at  timestamptz NOT NULL DEFAULT now(),
    -- It comes from an absence. A full walk does not serve it, because it has just not shown the company.
    absent        boolean NOT NULL DEFAULT false,
    -- It is requested only because the company is not stored. Whatever stores it serves the fetch.
    unknown       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, connection_id, source_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
SELECT isolate('company_fetches');
GRANT SELECT, INSERT, UPDATE, DELETE ON company_fetches TO pathbound_worker;
GRANT SELECT, DELETE ON company_fetches TO pathbound_api;
