-- Which contact belongs to which company, as one connection says. Source ids on both sides: either may arrive first, and
-- readers resolve them through the source records.
CREATE TABLE contact_companies (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    contact_source_id text NOT NULL,
    company_source_id text NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, contact_source_id, company_source_id)
) PARTITION BY HASH (tenant_id);
SELECT partition('contact_companies', 'autovacuum_vacuum_scale_factor = 0.05');
CREATE INDEX contact_companies_by_company ON contact_companies (company_source_id, tenant_id, connection_id);
SELECT isolate('contact_companies');
GRANT SELECT, INSERT, DELETE ON contact_companies TO pathbound_worker, pathbound_sources;
GRANT SELECT, DELETE ON contact_companies TO pathbound_api;
