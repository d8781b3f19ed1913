-- Who is held and alive, of every kind of object that a full walk shows: what a walk's pages and Intercom's own counts
-- are held against. Each table says in its own way that an object has ended; here they say it alike.

CREATE VIEW alive WITH (security_invoker = true) AS
    SELECT tenant_id, connection_id, 'contacts' AS stream, source_id
    FROM contact_sources WHERE deleted_at IS NULL AND merged_into IS NULL
    UNION ALL
    SELECT tenant_id, connection_id, 'companies', source_id FROM company_sources WHERE deleted_at IS NULL
    UNION ALL
    SELECT tenant_id, connection_id, 'conversations', source_id FROM conversations WHERE deleted_at IS NULL;
-- The reader's own grants and row-level security hold, not those of whoever made the view.
GRANT SELECT ON alive TO pathbound_worker;
