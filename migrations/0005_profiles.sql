-- Profiles: raw source record → per-source fields → profile. Each layer can be derived again from
-- the one before it. `*_sources` is what one connection says; the plain table is what readers see.
--
-- The big tables have no foreign key to their connection: every transaction that writes to them holds the
-- row of its stream, which has one. A check per row would be a tenth of a first sync.

CREATE TABLE contacts (
    tenant_id         uuid NOT NULL REFERENCES tenants,
    id                uuid NOT NULL,
    role              text,
    email             text,
    name              text,
    phone             text,
    owner             text,
    attributes        jsonb NOT NULL DEFAULT '{}',
    location          jsonb NOT NULL DEFAULT '{}',
    last_seen_at      timestamptz,
    last_replied_at   timestamptz,
    last_contacted_at timestamptz,
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX contacts_newest ON contacts (tenant_id, updated_at DESC, id DESC);
SELECT isolate('contacts');
GRANT SELECT, INSERT, UPDATE ON contacts TO pathbound_worker;
GRANT SELECT, DELETE ON contacts TO pathbound_api;

CREATE TABLE contact_sources (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    source_id         text NOT NULL,
    contact_id        uuid NOT NULL,
    external_id       text,
    fields            jsonb NOT NULL,
    source_updated_at timestamptz NOT NULL,
    -- Set when Intercom merged this contact into another (`merge_history` of the survivor).
    merged_into       text,
    deleted_at        timestamptz,
    -- True when NUL or a lone surrogate had to be replaced in the fields; `raw` is untouched.
    sanitised         boolean NOT NULL DEFAULT false,
    raw               bytea NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, source_id),
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX contact_sources_by_contact ON contact_sources (tenant_id, contact_id);
-- From a survivor to whom it absorbed: their conversations are its own.
CREATE INDEX contact_sources_absorbed ON contact_sources (tenant_id, connection_id, merged_into) WHERE merged_into IS NOT NULL;
SELECT isolate('contact_sources');
SELECT keep_raw('contact_sources');
GRANT SELECT, INSERT, UPDATE ON contact_sources TO pathbound_worker;
GRANT SELECT, DELETE ON contact_sources TO pathbound_api;

CREATE TABLE companies (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    id            uuid NOT NULL,
    name          text,
    domain        text,
    plan          text,
    size          bigint,
    industry      text,
    user_count    bigint,
    session_count bigint,
    attributes    jsonb NOT NULL DEFAULT '{}',
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX companies_newest ON companies (tenant_id, updated_at DESC, id DESC);
SELECT isolate('companies');
GRANT SELECT, INSERT, UPDATE ON companies TO pathbound_worker;
GRANT SELECT, DELETE ON companies TO pathbound_api;

CREATE TABLE company_sources (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    source_id         text NOT NULL,
    company_id        uuid NOT NULL,
    external_id       text,
    fields            jsonb NOT NULL,
    source_updated_at timestamptz NOT NULL,
    deleted_at        timestamptz,
    sanitised         boolean NOT NULL DEFAULT false,
    raw               bytea NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, source_id),
    FOREIGN KEY (tenant_id, company_id) REFERENCES companies DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX company_sources_by_company ON company_sources (tenant_id, company_id);
SELECT isolate('company_sources');
SELECT keep_raw('company_sources');
GRANT SELECT, INSERT, UPDATE ON company_sources TO pathbound_worker;
GRANT SELECT, DELETE ON company_sources TO pathbound_api;

-- Which contact belongs to which company, as one connection says. Source ids on both sides:
-- either may arrive first, and readers resolve them through `*_sources`.
CREATE TABLE contact_companies (
    tenant_id         uuid NOT NULL,
    connection_id     uuid NOT NULL,
    contact_source_id text NOT NULL,
    company_source_id text NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, contact_source_id, company_source_id)
);
CREATE INDEX contact_companies_by_company ON contact_companies (tenant_id, connection_id, company_source_id);
SELECT isolate('contact_companies');
GRANT SELECT, INSERT, DELETE ON contact_companies TO pathbound_worker;
GRANT SELECT, DELETE ON contact_companies TO pathbound_api;

-- Companies seen on changed contacts, to be fetched one by one between two full walks.
CREATE TABLE company_wants (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    source_id     text NOT NULL,
    wanted_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, connection_id, source_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
SELECT isolate('company_wants');
GRANT SELECT, INSERT, UPDATE, DELETE ON company_wants TO pathbound_worker;
GRANT SELECT, DELETE ON company_wants TO pathbound_api;

-- Admins, teams, tags, segments, attribute definitions: what ids in other records stand for.
-- A row that Intercom no longer lists stays, marked: old records still point to it.
CREATE TABLE reference_items (
    tenant_id     uuid NOT NULL,
    connection_id uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('admin', 'team', 'tag', 'segment',
                                                'contact_attribute', 'company_attribute', 'conversation_attribute')),
    source_id     text NOT NULL,
    name          text,
    doc           jsonb NOT NULL,
    removed_at    timestamptz,
    PRIMARY KEY (tenant_id, connection_id, kind, source_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections ON DELETE CASCADE
);
SELECT isolate('reference_items');
GRANT SELECT, INSERT, UPDATE ON reference_items TO pathbound_worker;
GRANT SELECT, DELETE ON reference_items TO pathbound_api;
