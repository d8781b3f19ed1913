-- How long and how often Intercom has refused something, because a refusal is believed only after it has repeated.

-- A stream: the refusal that is asked about again, and the checks of a block so far. All of it is forgotten by the
-- next object that Intercom serves.
ALTER TABLE streams
    ADD COLUMN refused_code text,
    ADD COLUMN refused_since timestamptz,
    ADD COLUMN refusals integer NOT NULL DEFAULT 0,
    ADD COLUMN blocked_times integer NOT NULL DEFAULT 0,
    -- When the stream last stored an object.
    ADD COLUMN progress_at timestamptz;

-- A thread: why its attempts fail, since when for this reason, and the last attempt. `retry_at` is the next attempt of
-- a blocked thread, as `due_at` is that of a pending one.
ALTER TABLE threads
    ADD COLUMN failure text,
    ADD COLUMN failed_since timestamptz,
    ADD COLUMN tried_at timestamptz,
    ADD COLUMN retry_at timestamptz;

-- `why` names a thread that waits, and its reason.
GRANT SELECT (source_id, error) ON threads TO pathbound_operator;
