-- Each end of a poll and each ticket adds an entry to every index of its stream's row, so the index of lags has no more
-- columns than its pages continue behind.

CREATE INDEX streams_by_lag_of_tenant ON streams ((coalesce(last_ok_at, 'epoch'::timestamptz)), tenant_id)
    WHERE due_at IS NOT NULL AND stream IN ('contacts', 'conversations');
-- The few streams of one tenant that were read at the same instant are put in order when they are listed.
DROP INDEX streams_by_lag;
