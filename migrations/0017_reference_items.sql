-- Admins, teams, tags, segments, attribute definitions: what ids in other records stand for. A row that Intercom no
-- longer lists stays, marked, because old records still point to it.
CREATE TABLE reference_items (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('admin', 'team', 'tag', 'segment',
                                                'contact_attribute', 'company_attribute', 'conversation_attribute')),
    source_id     text NOT NULL,
    name          text,
    doc           jsonb NOT NULL,
    removed_at    timestamptz,
    sanitised     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, connection_id, kind, source_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
SELECT isolate('reference_items');
GRANT SELECT, INSERT, UPDATE ON reference_items TO pathbound_worker;
GRANT SELECT, DELETE ON reference_items TO pathbound_api;
