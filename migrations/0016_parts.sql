-- Parts: the messages and events of a thread. The first message (`source` of the conversation) is the row with source_id
-- 'source'. Rows are only ever added or overwritten, because Intercom shows the newest 500 parts, and a part that is
-- missing from an answer is not a deleted part.
--
-- This is the largest table, so it has one index.
CREATE TABLE parts (
    tenant_id         uuid NOT NULL,
    conversation_id   uuid NOT NULL,
    source_created_at timestamptz NOT NULL,
    source_updated_at timestamptz NOT NULL,
    raw_hash          bigint NOT NULL,
    redacted          boolean NOT NULL DEFAULT false,
    -- True for notes: teammates' internal remarks, never to be shown to the customer's customer.
    internal          boolean NOT NULL DEFAULT false,
    sanitised         boolean NOT NULL DEFAULT false,
    source_id         text NOT NULL,
    kind              text NOT NULL,
    author_kind       text,
    author_source_id  text,
    author_name       text,
    body              text,
    raw               bytea NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, source_id)
) PARTITION BY HASH (tenant_id);
SELECT keep_raw('parts');
-- A vacuum after a hundredth of new rows, so that an index-only look at them needs no heap for long.
SELECT partition('parts', 'autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.05');
SELECT isolate('parts');
GRANT SELECT, INSERT, UPDATE ON parts TO pathbound_worker;
GRANT SELECT, DELETE ON parts TO pathbound_api;
