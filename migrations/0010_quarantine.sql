-- Quarantine: objects that could not be read, each with its bytes and the reason, while its page and the cursor went on.
-- A later good version of the same object resolves it. Records that Intercom does not give are set aside here too,
-- without bytes, each with the time of its next try.
CREATE TABLE quarantine (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('contact', 'company', 'conversation', 'part', 'reference')),
    source_id     text NOT NULL,
    reason        text NOT NULL,
    raw           bytea NOT NULL,
    seen          integer NOT NULL DEFAULT 1,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now(),
    resolved_at   timestamptz,
    -- How a record that was set aside is asked for: by its id, by its list of companies, or by a walk because its id is
    -- unknown. NULL for an object whose bytes could not be read. Only those count in `streams.expected`.
    retry         text CHECK (retry IN ('record', 'list', 'walk')),
    tries         integer NOT NULL DEFAULT 0,
    next_try_at   timestamptz,
    -- What has been read so far, from which the next try continues.
    progress      jsonb,
    -- What operators read of the reason: our own words, never what a customer wrote. The reason of an unreadable object
    -- may quote it.
    trouble       text GENERATED ALWAYS AS (CASE WHEN retry IS NOT NULL THEN reason END) STORED,
    PRIMARY KEY (tenant_id, connection_id, kind, source_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
CREATE INDEX quarantine_open ON quarantine (tenant_id, connection_id, kind) WHERE resolved_at IS NULL;
CREATE INDEX quarantine_retries ON quarantine (tenant_id, connection_id, kind, next_try_at)
    WHERE resolved_at IS NULL AND retry IS NOT NULL;
SELECT isolate('quarantine');
SELECT keep_raw('quarantine');
GRANT SELECT, INSERT, UPDATE ON quarantine TO pathbound_worker;
GRANT SELECT, DELETE ON quarantine TO pathbound_api;
