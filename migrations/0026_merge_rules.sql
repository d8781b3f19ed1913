-- Merge rules: which source a tenant believes before which. A tenant without a row has the default order.

CREATE TABLE merge_rules (
    tenant_id  uuid PRIMARY KEY REFERENCES tenants,
    -- As `GET /v1/merge_rules` gives them.
    rules      text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
SELECT isolate('merge_rules');
GRANT SELECT, INSERT, UPDATE ON merge_rules TO pathbound_api;
