-- Set aside: records that exist and that Intercom does not give. Each is asked for again on a timer of its own.

-- How such a record is asked for: by its id, by its list of companies, or by a walk because its id is unknown. NULL
-- for an object whose bytes could not be read. Only those count in `streams.expected`.
ALTER TABLE quarantine ADD COLUMN retry text CHECK (retry IN ('record', 'list', 'walk'));
ALTER TABLE quarantine ADD COLUMN tries integer NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN next_try_at timestamptz;
-- What has been read so far, from which the next try continues.
ALTER TABLE quarantine ADD COLUMN progress jsonb;

CREATE INDEX quarantine_retries ON quarantine (tenant_id, connection_id, kind, next_try_at)
    WHERE resolved_at IS NULL AND retry IS NOT NULL;
