-- Search: what readers find contacts, companies and conversations by. A worker derives a document from each object behind
-- its commit, in the order of the feed, so that no writer waits for it and a lost document cannot stay unnoticed.

-- Since when the newest changes of a tenant are not indexed. NULL if all are. What the feed holds by now is not.
ALTER TABLE feeds ADD COLUMN unindexed_since timestamptz DEFAULT now();
CREATE INDEX feeds_to_index ON feeds (unindexed_since) WHERE unindexed_since IS NOT NULL;
GRANT SELECT ON feeds TO pathbound_definer;
CREATE POLICY across_tenants ON feeds FOR SELECT TO pathbound_definer USING (true);

CREATE FUNCTION tenants_to_index(most integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT tenant_id FROM feeds WHERE unindexed_since IS NOT NULL ORDER BY unindexed_since LIMIT most
$$;
SELECT across_tenants('tenants_to_index(integer)', 'pathbound_api');

-- How far a tenant's feed is indexed. Its lock is the right to index more of it.
CREATE TABLE search_progress (
    tenant_id     uuid PRIMARY KEY,
    indexed_until timestamptz NOT NULL,
    -- The kinds and quarters of a year that may have a document (`WordScope`), so that a search asks for no others.
    scopes        smallint[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
SELECT isolate('search_progress');
GRANT SELECT, INSERT, UPDATE ON search_progress TO pathbound_api;

CREATE TABLE search_documents (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    -- 1 contact, 2 company, 3 conversation.
    kind        smallint NOT NULL,
    -- When the object last changed at its source.
    active_at   timestamptz NOT NULL,
    title       text NOT NULL,
    -- What snippets are cut from.
    body        text NOT NULL,
    -- Each word begins with the tenant, kind and quarter of its object, so that the index reads no other's.
    words       tsvector NOT NULL
) PARTITION BY HASH (tenant_id);
SELECT partition('search_documents', 'autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05');
-- With a condition that is always true, so that a search, which does not repeat it, cannot read all rows of a tenant
-- instead of those with a word.
CREATE UNIQUE INDEX search_documents_by_id ON search_documents (tenant_id, id) WHERE kind > 0;
-- Each query of a search would read the whole list of what is not merged into the index yet, so there is no such list.
CREATE INDEX search_documents_by_word ON search_documents USING gin (words) WITH (fastupdate = off);
SELECT isolate('search_documents');
GRANT SELECT, INSERT, UPDATE, DELETE ON search_documents TO pathbound_api;
-- Writers delete the documents of what they remove.
GRANT SELECT (tenant_id, id, kind), DELETE ON search_documents TO pathbound_worker, pathbound_sources;
GRANT SELECT ON search_documents TO pathbound_definer;
CREATE POLICY across_tenants ON search_documents FOR SELECT TO pathbound_definer USING (true);

-- search_candidates(…): documents of the transaction's tenant that a query finds, those of the first query first. There is
-- a query for each kind and quarter, and one to rank by, which may be empty. The operators of words are not leakproof, so
-- that under row-level security they could use no index. Hence the function, which names the tenant itself. An index of words
-- is read by bitmaps alone.
CREATE FUNCTION search_candidates(queries text[], ranks text[], since timestamptz, before timestamptz, most integer)
RETURNS TABLE (id uuid, kind smallint, active_at timestamptz, score real)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET enable_bitmapscan = on SET enable_seqscan = off AS $$
DECLARE
    tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
BEGIN
    RETURN QUERY
    SELECT d.id, d.kind, d.active_at,
           CASE WHEN q.rank = '' THEN 0 ELSE ts_rank(d.words, q.rank::tsquery, 1 | 32) END
    FROM unnest(queries, ranks) AS q(query, rank)
    CROSS JOIN LATERAL (
        SELECT s.id, s.kind, s.active_at, s.words FROM search_documents s
        WHERE s.tenant_id = tenant AND s.words @@ q.query::tsquery AND s.active_at >= since AND s.active_at < before
        LIMIT most OFFSET 0) d
    LIMIT most;
END $$;
SELECT across_tenants('search_candidates(text[], text[], timestamptz, timestamptz, integer)', 'pathbound_api');
