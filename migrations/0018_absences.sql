-- Absences: what a full walk under way has shown, and what complete walks did not show. Nothing is deleted by absence.
-- What is absent from two complete walks is asked for by id, and only Intercom's 404 or 410 is believed.

-- The ids on each page of the walk under way. One row a page, because a row an object would double a first sync's
-- writes. `page` is a random id.
CREATE TABLE walk_pages (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    stream        text NOT NULL CHECK (stream IN ('contacts', 'companies', 'conversations')),
    page          uuid NOT NULL,
    source_ids    text[] NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, stream, page),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
SELECT isolate('walk_pages');
GRANT SELECT, INSERT, DELETE ON walk_pages TO pathbound_worker;
GRANT SELECT, DELETE ON walk_pages TO pathbound_api;

-- Stored, alive, and absent from the last complete walks in a row.
CREATE TABLE absences (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    stream        text NOT NULL CHECK (stream IN ('contacts', 'companies', 'conversations')),
    source_id     text NOT NULL,
    walks         integer NOT NULL DEFAULT 1 CHECK (walks > 0),
    -- After how many absences it was last asked for by id, and answered.
    asked         integer NOT NULL DEFAULT 0,
    since         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, connection_id, stream, source_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
SELECT isolate('absences');
GRANT SELECT, INSERT, UPDATE, DELETE ON absences TO pathbound_worker;
GRANT SELECT, DELETE ON absences TO pathbound_api;

-- is_asked_for(walks, asked): the second absence in a row, then the fourth, the eighth. Some live objects are in no list
-- (companies without users), and asking for each of them after every walk would cost more than the walk.
CREATE FUNCTION is_asked_for(walks integer, asked integer) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT walks >= 2 AND walks > asked AND walks & (walks - 1) = 0
$$;

-- What is stored and alive, of every kind of object that a full walk shows. Each table says in its own way that an object
-- has ended, and here they say it alike.
CREATE VIEW alive WITH (security_invoker = true) AS
    SELECT tenant_id, connection_id, 'contacts' AS stream, source_id
    FROM contact_sources WHERE deleted_at IS NULL AND merged_into IS NULL
    UNION ALL
    SELECT tenant_id, connection_id, 'companies', source_id FROM company_sources WHERE deleted_at IS NULL
    UNION ALL
    SELECT tenant_id, connection_id, 'conversations', source_id FROM conversations WHERE deleted_at IS NULL;
-- The reader's own grants and row-level security hold, not those of the view's owner.
GRANT SELECT ON alive TO pathbound_worker;
