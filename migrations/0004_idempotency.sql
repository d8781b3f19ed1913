-- Answers to repeated POSTs. An answer is sealed, because it may hold a new key's secret, and it is given again only to
-- the same tenant, route and body. A row without an answer is a call still in progress. A key that is older than a day is as good as new. Calls of the service key that
-- act for no tenant are kept under the nil uuid.
CREATE TABLE idempotency_keys (
    tenant_id   uuid NOT NULL,
    route       text NOT NULL,
    key_sha256  bytea NOT NULL,
    body_sha256 bytea NOT NULL,
    status      smallint,
    answer      bytea,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, route, key_sha256),
    CHECK ((status IS NULL) = (answer IS NULL))
);
SELECT isolate('idempotency_keys');
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO pathbound_api;
-- A call that writes records stores its answer with them, in one transaction.
GRANT SELECT (tenant_id, route, key_sha256), UPDATE (status, answer) ON idempotency_keys TO pathbound_sources;
