-- Audits: once a day what the walks call complete is compared with Intercom by another way: its counts, and a few
-- threads read anew. This is the last audit of each connection.
CREATE TABLE audits (
    tenant_id             uuid NOT NULL,
    connection_id         uuid NOT NULL,
    audited_at            timestamptz NOT NULL DEFAULT now(),
    -- Objects that Intercom counts beyond those that are stored. NULL where it did not say.
    contacts_missing      bigint,
    conversations_missing bigint,
    -- Threads called complete that were read anew, and how many of them differed from what is stored.
    threads_read          integer NOT NULL,
    threads_differing     integer NOT NULL,
    PRIMARY KEY (tenant_id, connection_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
SELECT isolate('audits');
GRANT SELECT, INSERT, UPDATE ON audits TO pathbound_worker;
GRANT SELECT, DELETE ON audits TO pathbound_api;
