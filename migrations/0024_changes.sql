-- Changes: the feed. One row for each contact, company and conversation, at the time of its last change, in the order of
-- commits.
--
-- Times of statements lose changes, because a transaction that began early may commit late, behind a reader that has gone
-- on. So a transaction takes the times of its changes by its last statement, from the one row of its tenant in `feeds`,
-- and keeps that row until it has committed. Times only grow, and no two changes of a tenant have the same one.
--
-- They follow the clock, so that a database that was restored from an older copy goes on behind every time that a reader
-- may have seen.

CREATE TABLE feeds (
    tenant_id uuid PRIMARY KEY,
    last_at   timestamptz NOT NULL
) WITH (fillfactor = 50);
SELECT isolate('feeds');
GRANT SELECT, INSERT, UPDATE ON feeds TO pathbound_worker, pathbound_api, pathbound_sources;

CREATE TABLE changes (
    tenant_id uuid NOT NULL,
    id        uuid NOT NULL,
    at        timestamptz NOT NULL,
    -- What the object is. Conversations of each state are a kind of their own, because a state may be rare:
    -- 1 contact, 2 company, conversations: 3 open, 4 closed, 5 snoozed, 6 another state.
    kind      smallint NOT NULL,
    -- What has become of it: 0 listed, 1 deleted in every source, 2 merged into another, 3 no longer stored.
    fate      smallint NOT NULL,
    -- The last change: 1 upsert, 2 delete, 3 merge, 4 split, 5 link, 6 erase.
    op        smallint NOT NULL,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY HASH (tenant_id);
SELECT partition('changes', 'autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05');
CREATE INDEX changes_in_order ON changes (tenant_id, kind, fate, at);
SELECT isolate('changes');
GRANT SELECT, INSERT, UPDATE ON changes TO pathbound_worker, pathbound_api, pathbound_sources;
