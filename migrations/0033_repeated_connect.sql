-- A call that starts an OAuth flow stores its answer with the flow, in one transaction, as calls that write records do.
GRANT SELECT (tenant_id, route, key_sha256), UPDATE (status, answer) ON idempotency_keys TO pathbound_oauth;
