-- Threads that have failed are few beside the backlog, and every slice looks for those that are due again.

-- Not concurrently: a concurrent build waits for every other session, and a second `migrate` that waits for this one
-- would never let it end. Slices that write threads wait for the build and lose no attempt.
CREATE INDEX threads_failing ON threads (tenant_id, connection_id, due_at) WHERE status = 'pending' AND error IS NOT NULL;
CREATE INDEX threads_blocked ON threads (tenant_id, connection_id, retry_at) WHERE status = 'blocked' AND retry_at IS NOT NULL;
