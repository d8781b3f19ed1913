-- Contacts: what one connection says of each, as it was sent. Fields and profiles are derived from the bytes when they are
-- read, so that they can never be behind them.
--
-- The big tables have no foreign keys. Every transaction that writes to them holds the row of its stream, which has one,
-- or of its connection, and a purge deletes from each of them by itself. A check per row would be a tenth of a first
-- sync, and would lock the row that it finds.

CREATE TABLE contact_sources (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    -- The record's own id, and the contact that it belongs to: the own id of the oldest record of the same person.
    record_id         uuid NOT NULL,
    contact_id        uuid NOT NULL,
    source_created_at timestamptz NOT NULL,
    source_updated_at timestamptz NOT NULL,
    deleted_at        timestamptz,
    -- A digest of the bytes as Intercom sent them, by which a version is compared without reading them.
    raw_hash          bigint NOT NULL,
    -- True if NUL or a lone surrogate has to be replaced when the fields are read. The bytes are untouched.
    sanitised         boolean NOT NULL DEFAULT false,
    source_id         text NOT NULL,
    -- Set when Intercom merged this contact into another (`merge_history` of the survivor).
    merged_into       text,
    external_id       text,
    -- The values that it may be linked by, as in `identity_values`: a JSON array of texts.
    identity_values   text NOT NULL DEFAULT '[]',
    raw               bytea NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, source_id)
) PARTITION BY HASH (tenant_id);
SELECT keep_raw('contact_sources');
SELECT partition('contact_sources', 'autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05');
-- An index for a look-up leads with what only that look-up knows, so that no other statement takes it by mistake.
CREATE INDEX contact_sources_by_contact ON contact_sources (contact_id, tenant_id);
-- From the own id of a record to the contact that it was joined to, and all records that were joined. Most records are
-- contacts by themselves, and no statement takes the index that does not repeat its condition.
CREATE INDEX contact_sources_joined ON contact_sources (tenant_id, record_id) WHERE record_id <> contact_id;
-- From a survivor to what it absorbed, because their conversations are its own.
CREATE INDEX contact_sources_absorbed ON contact_sources (merged_into, tenant_id, connection_id) WHERE merged_into IS NOT NULL;
SELECT isolate('contact_sources');
GRANT SELECT, INSERT, UPDATE ON contact_sources TO pathbound_worker, pathbound_sources;
GRANT SELECT, DELETE, UPDATE (contact_id) ON contact_sources TO pathbound_api;
