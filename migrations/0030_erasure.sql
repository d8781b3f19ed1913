-- Erasure: a person is removed everywhere and kept out.

-- The salt of a tenant's digests. A tenant without one has erased nobody, so that a look for what is kept out ends here.
CREATE TABLE erasure_salts (
    tenant_id uuid PRIMARY KEY,
    salt      bytea NOT NULL CHECK (octet_length(salt) = 32)
);
SELECT isolate('erasure_salts');
GRANT SELECT, INSERT ON erasure_salts TO pathbound_api;
GRANT SELECT ON erasure_salts TO pathbound_worker, pathbound_sources;

-- What was asked for, what it removed, and the proof that nothing is left.
CREATE TABLE erasures (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    id            uuid NOT NULL,
    contact_id    uuid NOT NULL,
    requested_at  timestamptz NOT NULL DEFAULT now(),
    -- When its first batch was removed, and when nothing was left.
    started_at    timestamptz,
    finished_at   timestamptz,
    -- How many of each were removed, and after the end how many of each a last look has found.
    records       bigint NOT NULL DEFAULT 0,
    links         bigint NOT NULL DEFAULT 0,
    conversations bigint NOT NULL DEFAULT 0,
    participations bigint NOT NULL DEFAULT 0,
    parts         bigint NOT NULL DEFAULT 0,
    events        bigint NOT NULL DEFAULT 0,
    quarantined   bigint NOT NULL DEFAULT 0,
    answers       bigint NOT NULL DEFAULT 0,
    left_over     jsonb,
    PRIMARY KEY (tenant_id, id),
    CHECK (finished_at IS NULL OR left_over IS NOT NULL)
);
CREATE INDEX erasures_newest ON erasures (tenant_id, requested_at, id) WHERE requested_at > '-infinity';
CREATE INDEX erasures_pending ON erasures (requested_at) WHERE finished_at IS NULL;
SELECT isolate('erasures');
GRANT SELECT, INSERT, UPDATE ON erasures TO pathbound_api;

-- The records of a person while the erasure is under way, because their conversations and events are found by them.
CREATE TABLE erasure_records (
    tenant_id     uuid NOT NULL,
    erasure_id    uuid NOT NULL,
    connection_id uuid NOT NULL,
    source_id     text NOT NULL,
    PRIMARY KEY (tenant_id, erasure_id, connection_id, source_id),
    FOREIGN KEY (tenant_id, erasure_id) REFERENCES erasures ON DELETE CASCADE
);
SELECT isolate('erasure_records');
GRANT SELECT, INSERT, DELETE ON erasure_records TO pathbound_api;

-- What is kept out, as digests that say nothing to who does not know the value already. A name is that of a record or of
-- a conversation at its source, and holds for another connection of the same workspace as well.
CREATE TABLE erased (
    tenant_id     uuid NOT NULL,
    digest        bytea NOT NULL CHECK (octet_length(digest) = 32),
    kind          text NOT NULL CHECK (kind IN ('id', 'value', 'contact', 'conversation')),
    erasure_id    uuid NOT NULL,
    -- Of a name: where it was seen, so that counts of the source can be compared with what is stored.
    connection_id uuid,
    PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX erased_names ON erased (tenant_id, connection_id, kind) WHERE connection_id IS NOT NULL;
SELECT isolate('erased');
GRANT SELECT, INSERT ON erased TO pathbound_api, pathbound_worker, pathbound_sources;

-- erased_digest(salt, value): 256 random bits that only this tenant has keep digests of two tenants apart. They lie beside
-- the digests, because a key outside of the database could be rotated away, and a digest cannot be made anew without its
-- value.
CREATE FUNCTION erased_digest(salt bytea, value text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT sha256(salt || convert_to(value, 'UTF8'))
$$;

-- erased_name(kind, source, workspace, id): what an object is called at its source. It is the same for every connection of
-- the workspace, also in a database that was made anew.
CREATE FUNCTION erased_name(kind text, source text, workspace text, id text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT kind || chr(10) || source || chr(10) || workspace || chr(10) || id
$$;

-- Erasures outlive the process that began them. Any API process asks here what is still to be removed.
GRANT SELECT ON erasures TO pathbound_definer;
CREATE POLICY across_tenants ON erasures FOR SELECT TO pathbound_definer USING (true);
CREATE FUNCTION pending_erasures(most integer) RETURNS TABLE (tenant_id uuid, erasure_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.tenant_id, e.id FROM erasures e
    WHERE e.finished_at IS NULL ORDER BY e.requested_at LIMIT most
$$;
SELECT across_tenants('pending_erasures(integer)', 'pathbound_api');

-- What an erasure removes and a purge does not. In a group conversation the messages of others stay, so those of the
-- person are emptied and keep their places.
GRANT UPDATE (raw, title) ON conversations TO pathbound_api;
GRANT UPDATE (kind, author_kind, author_source_id, author_name, body, redacted, internal, sanitised, raw_hash, raw)
    ON parts TO pathbound_api;
GRANT DELETE ON profile_aliases TO pathbound_api;
-- From a record to the ids that it answers for.
CREATE INDEX profile_aliases_by_record ON profile_aliases (record_id, tenant_id);

-- Events that their source has deleted still have their bytes, and the other index leaves them out.
CREATE INDEX events_deleted_of_contact ON events (contact_source_id, tenant_id, connection_id)
    WHERE deleted_at IS NOT NULL;
