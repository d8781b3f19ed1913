-- Events: what people did, as other sources tell it: a mail that was opened, a page that was seen. They show on the
-- timeline of the contact that their source's record of the person belongs to, whichever of the two came first.

CREATE TABLE events (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    id                uuid NOT NULL,
    occurred_at       timestamptz NOT NULL,
    source_updated_at timestamptz NOT NULL,
    deleted_at        timestamptz,
    raw_hash          bigint NOT NULL,
    source_id         text NOT NULL,
    -- The source's own id of the person.
    contact_source_id text NOT NULL,
    raw               bytea NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, source_id)
) PARTITION BY HASH (tenant_id);
SELECT keep_raw('events');
SELECT partition('events', 'autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05');
CREATE INDEX events_of_contact ON events (contact_source_id, tenant_id, connection_id, occurred_at DESC, id DESC)
    WHERE deleted_at IS NULL;
SELECT isolate('events');
GRANT SELECT, INSERT, UPDATE ON events TO pathbound_sources;
GRANT SELECT, DELETE ON events TO pathbound_api;
