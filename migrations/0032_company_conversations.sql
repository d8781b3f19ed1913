-- The conversations of companies: which ones a company has, and how many of them are open. Workers count them behind the
-- commits, in the order of the feed, together with search documents, so that no writer waits for it.

-- The company that Intercom names in the conversation. NULL in those that were stored before this column, until they change.
ALTER TABLE conversations ADD COLUMN company_source_id text;
CREATE INDEX conversations_by_company ON conversations (company_source_id, tenant_id, connection_id)
    WHERE company_source_id IS NOT NULL;
-- Which conversations a company of another source is shown by, and nothing else of them.
GRANT SELECT (tenant_id, id, connection_id, company_source_id) ON conversations TO pathbound_sources;

-- One row for each company that a listed conversation shows.
CREATE TABLE company_conversations (
    tenant_id       uuid NOT NULL,
    conversation_id uuid NOT NULL,
    company_id      uuid NOT NULL,
    open            boolean NOT NULL,
    -- When the conversation last changed at its source.
    last_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, company_id)
) PARTITION BY HASH (tenant_id);
SELECT partition('company_conversations', 'autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05');
CREATE INDEX company_conversations_newest ON company_conversations (company_id, tenant_id, last_at DESC);
SELECT isolate('company_conversations');
GRANT SELECT, INSERT, UPDATE, DELETE ON company_conversations TO pathbound_api;

-- The same counted, because a company may have a million. It has no row if it has no conversation.
CREATE TABLE company_totals (
    tenant_id     uuid NOT NULL,
    company_id    uuid NOT NULL,
    conversations bigint NOT NULL CHECK (conversations > 0),
    open          bigint NOT NULL CHECK (open BETWEEN 0 AND conversations),
    PRIMARY KEY (tenant_id, company_id)
) PARTITION BY HASH (tenant_id);
SELECT partition('company_totals', 'fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05');
SELECT isolate('company_totals');
GRANT SELECT, INSERT, UPDATE, DELETE ON company_totals TO pathbound_api;

-- What is indexed already is counted by indexing it once more. The owner of the tables sees no row of them otherwise.
ALTER TABLE search_progress NO FORCE ROW LEVEL SECURITY;
UPDATE search_progress SET indexed_until = 'epoch';
ALTER TABLE search_progress FORCE ROW LEVEL SECURITY;
ALTER TABLE feeds NO FORCE ROW LEVEL SECURITY;
UPDATE feeds SET unindexed_since = clock_timestamp() WHERE unindexed_since IS NULL;
ALTER TABLE feeds FORCE ROW LEVEL SECURITY;
