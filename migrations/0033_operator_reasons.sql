-- What operators read of a reason: our own words, never what a customer wrote. An answer that is not what it should be
-- may be quoted in `threads.error` and `quarantine.reason`, so both stay closed to operators.
REVOKE SELECT (error) ON threads FROM pathbound_operator;
ALTER TABLE threads ADD COLUMN trouble text GENERATED ALWAYS AS (
    CASE WHEN failure IN ('garbled', 'unreadable') THEN 'intercom answers with something else than the thread' ELSE error END
) STORED;
GRANT SELECT (trouble) ON threads TO pathbound_operator;

ALTER TABLE quarantine ADD COLUMN trouble text GENERATED ALWAYS AS (CASE WHEN retry IS NOT NULL THEN reason END) STORED;
GRANT SELECT (retry, next_try_at, trouble) ON quarantine TO pathbound_operator;
