-- Audits: once a day what the walks call complete is compared with Intercom by another way: its counts, and a few
-- threads read anew. And what an operator may read to say why a tenant is behind.

-- The last audit of each connection.
CREATE TABLE audits (
    tenant_id             uuid NOT NULL,
    connection_id         uuid NOT NULL,
    audited_at            timestamptz NOT NULL DEFAULT now(),
    -- Objects that Intercom counts beyond those that are held; NULL where it did not say.
    contacts_missing      bigint,
    conversations_missing bigint,
    -- Threads called complete that were read anew, and how many of them were not what is held.
    threads_read          integer NOT NULL,
    threads_differing     integer NOT NULL,
    PRIMARY KEY (tenant_id, connection_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
SELECT isolate('audits');
GRANT SELECT, INSERT, UPDATE ON audits TO pathbound_worker;
GRANT SELECT, DELETE ON audits TO pathbound_api;

-- judge_fetched(before, answer): judge_thread of 0006, with `answer.held` the parts that are held now rather than
-- those that the answer added. Counted anew with each answer, it cannot drift from what is there.
CREATE FUNCTION judge_fetched(before threads, answer threads) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN before.wanted_version > answer.fetched_version OR answer.status = 'pending' THEN 'pending'
        WHEN answer.status = 'blocked' THEN 'blocked'
        WHEN answer.expected IS NULL OR answer.held >= answer.expected THEN 'complete'
        WHEN answer.status = 'complete' AND before.attempts < 2 THEN 'pending'
        ELSE 'truncated'
    END
$$;

-- An operator reads how far a tenant is and what keeps it, and nothing that a customer wrote: no token, no raw bytes,
-- no reason that may quote them. The tenant's policy holds here too: one tenant at a time, named in the transaction.
GRANT SELECT ON connections, streams, sync_runs, absences, audits, company_wants, dead_letters TO pathbound_operator;
GRANT SELECT (tenant_id, connection_id, conversation_id, status, held, expected, due_at, attempts) ON threads TO pathbound_operator;
GRANT SELECT (tenant_id, connection_id, kind, source_id, last_seen_at, resolved_at) ON quarantine TO pathbound_operator;
