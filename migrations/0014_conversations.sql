-- Conversations: stubs first, threads behind. A conversation's id is derived from its connection and source id, so no
-- look-up is needed to write it twice.

CREATE TABLE conversations (
    tenant_id         uuid NOT NULL,
    id                uuid NOT NULL,
    connection_id     uuid NOT NULL,
    source_created_at timestamptz NOT NULL,
    source_updated_at timestamptz NOT NULL,
    deleted_at        timestamptz,
    raw_hash          bigint NOT NULL,
    open              boolean NOT NULL,
    sanitised         boolean NOT NULL DEFAULT false,
    source_id         text NOT NULL,
    state             text,
    priority          text,
    title             text,
    admin_assignee_id text,
    team_assignee_id  text,
    tags              text[] NOT NULL DEFAULT '{}',
    raw               bytea NOT NULL,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY HASH (tenant_id);
SELECT keep_raw('conversations');
SELECT partition('conversations', 'autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05');
CREATE INDEX conversations_newest ON conversations (tenant_id, source_updated_at DESC, id DESC)
    WHERE source_updated_at > '-infinity';
-- The same list of one state, which may be rare.
CREATE INDEX conversations_newest_of_state ON conversations (state, tenant_id, source_updated_at DESC, id DESC);
SELECT isolate('conversations');
GRANT SELECT, INSERT, UPDATE ON conversations TO pathbound_worker;
GRANT SELECT, DELETE ON conversations TO pathbound_api;

-- Who takes part, by source id. A contact that has not synced yet is not found until its own upsert lands, so the order
-- of arrival cannot change the final state.
CREATE TABLE conversation_contacts (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    conversation_id   uuid NOT NULL,
    contact_source_id text NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, contact_source_id)
) PARTITION BY HASH (tenant_id);
SELECT partition('conversation_contacts', 'autovacuum_vacuum_scale_factor = 0.05');
CREATE INDEX conversation_contacts_by_contact ON conversation_contacts (contact_source_id, tenant_id, connection_id);
SELECT isolate('conversation_contacts');
GRANT SELECT, INSERT, DELETE ON conversation_contacts TO pathbound_worker;
GRANT SELECT ON conversation_contacts TO pathbound_sources;
GRANT SELECT, DELETE ON conversation_contacts TO pathbound_api;
