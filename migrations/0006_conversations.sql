-- Conversations: stubs first, threads behind. A conversation's id is derived from its connection
-- and source id, so no lookup is needed to write it twice.

CREATE TABLE conversations (
    tenant_id         uuid NOT NULL,
    id                uuid NOT NULL,
    connection_id     uuid NOT NULL,
    source_id         text NOT NULL,
    title             text,
    state             text,
    open              boolean NOT NULL,
    priority          text,
    admin_assignee_id text,
    team_assignee_id  text,
    tags              text[] NOT NULL DEFAULT '{}',
    source_created_at timestamptz NOT NULL,
    source_updated_at timestamptz NOT NULL,
    deleted_at        timestamptz,
    sanitised         boolean NOT NULL DEFAULT false,
    raw               bytea NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX conversations_newest ON conversations (tenant_id, source_updated_at DESC, id DESC);
SELECT isolate('conversations');
SELECT keep_raw('conversations');
GRANT SELECT, INSERT, UPDATE ON conversations TO pathbound_worker;
GRANT SELECT, DELETE ON conversations TO pathbound_api;

-- Who takes part, by source id: a contact that has not synced yet is simply not found by the
-- join until its own upsert lands, so arrival order cannot change the final state.
CREATE TABLE conversation_contacts (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    conversation_id   uuid NOT NULL,
    contact_source_id text NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, contact_source_id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations ON DELETE CASCADE
);
CREATE INDEX conversation_contacts_by_contact ON conversation_contacts (tenant_id, connection_id, contact_source_id);
SELECT isolate('conversation_contacts');
GRANT SELECT, INSERT, DELETE ON conversation_contacts TO pathbound_worker;
GRANT SELECT ON conversation_contacts TO pathbound_api;

-- Threads: one row per conversation says whether its parts are held, and is the backfill's backlog.
--   pending    owed: never fetched, or changed since
--   complete   every part that Intercom counts is held
--   truncated  Intercom shows only the newest 500 parts, and older ones were never shown to us
--   gone       the conversation was deleted in Intercom; what we hold stays
--   blocked    it cannot be fetched now; `error` says why
CREATE TABLE threads (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    conversation_id   uuid NOT NULL,
    source_id         text NOT NULL,
    status            text NOT NULL CHECK (status IN ('pending', 'complete', 'truncated', 'gone', 'blocked')),
    -- The version the newest stub speaks of, and the version last fetched (source time).
    wanted_version    timestamptz NOT NULL,
    fetched_version   timestamptz,
    held              integer NOT NULL DEFAULT 0,
    expected          integer,
    due_at            timestamptz,
    attempts          integer NOT NULL DEFAULT 0,
    error             text,
    PRIMARY KEY (tenant_id, connection_id, conversation_id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations ON DELETE CASCADE,
    CHECK ((status = 'pending') = (due_at IS NOT NULL))
);
-- Newest changes first.
CREATE INDEX threads_pending ON threads (tenant_id, connection_id, wanted_version DESC) WHERE status = 'pending';
-- For the cascade from conversations: without it a purge reads the whole backlog once per conversation.
CREATE INDEX threads_by_conversation ON threads (tenant_id, conversation_id);
SELECT isolate('threads');
GRANT SELECT, INSERT, UPDATE ON threads TO pathbound_worker;
GRANT SELECT ON threads TO pathbound_api;

-- judge_thread(held, answer): what a thread is after an answer. `answer.status` is what the answer alone
-- says: 'pending' came too soon after the change, 'blocked' has parts that cannot be read, 'truncated' was
-- cut at 500 parts, 'complete' was not cut. A thread that is shorter than counted, though not cut, is read
-- again: count and parts come from different stores. The third time it is called truncated.
CREATE FUNCTION judge_thread(held threads, answer threads) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN held.wanted_version > answer.fetched_version OR answer.status = 'pending' THEN 'pending'
        WHEN answer.status = 'blocked' THEN 'blocked'
        WHEN answer.expected IS NULL OR held.held + answer.held >= answer.expected THEN 'complete'
        WHEN answer.status = 'complete' AND held.attempts < 2 THEN 'pending'
        ELSE 'truncated'
    END
$$;

-- Parts: the messages and events of a thread. The first message (`source` of the conversation)
-- is the row with source_id 'source'. Rows are only ever added or overwritten: Intercom shows the
-- newest 500, so a part missing from an answer is not a deleted part.
CREATE TABLE parts (
    tenant_id         uuid NOT NULL,
    conversation_id   uuid NOT NULL,
    source_id         text NOT NULL,
    kind              text NOT NULL,
    author_kind       text,
    author_source_id  text,
    author_name       text,
    body              text,
    redacted          boolean NOT NULL DEFAULT false,
    -- True for notes: teammates' internal remarks, never to be shown to the customer's customer.
    internal          boolean NOT NULL DEFAULT false,
    source_created_at timestamptz NOT NULL,
    source_updated_at timestamptz NOT NULL,
    sanitised         boolean NOT NULL DEFAULT false,
    raw               bytea NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, source_id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations ON DELETE CASCADE
);
SELECT isolate('parts');
SELECT keep_raw('parts');
GRANT SELECT, INSERT, UPDATE ON parts TO pathbound_worker;
GRANT SELECT ON parts TO pathbound_api;
