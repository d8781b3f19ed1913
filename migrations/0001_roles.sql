-- Roles and the isolation rule.
--
-- Nothing queries as the login role. Every transaction takes one of these narrow roles, so row-level security holds
-- whatever the login may do. None of them can log in or bypass a policy. Roles belong to the server and not to the
-- database, hence the IF NOT EXISTS.
DO $$
DECLARE
    r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['pathbound_api', 'pathbound_oauth', 'pathbound_worker',
                             'pathbound_scheduler', 'pathbound_operator', 'pathbound_sources', 'pathbound_definer'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', r);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- another database of this server is being migrated at the same moment
        END;
        EXECUTE format('GRANT %I TO CURRENT_USER', r);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', r);
    END LOOP;
END $$;

-- pathbound_definer owns the few reviewed functions that look across tenants (the look-up of a key, an OAuth state,
-- what is due). It sees only what its own policies name.
GRANT CREATE ON SCHEMA public TO pathbound_definer;

-- isolate('t'): the one policy of every tenant table. Without a tenant in the transaction the setting is unset or '',
-- the comparison is NULL, and no row is visible, so it fails closed. The setting is read in a sub-select, once a
-- statement and not once a row.
CREATE FUNCTION isolate(target regclass, tenant_column text DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format(
        'CREATE POLICY tenant ON %s '
        'USING (%I = (SELECT nullif(current_setting(''app.tenant_id'', true), '''')::uuid)) '
        'WITH CHECK (%I = (SELECT nullif(current_setting(''app.tenant_id'', true), '''')::uuid))',
        target, tenant_column, tenant_column);
END $$;

-- across_tenants('f(args)', 'role'): a function of pathbound_definer that looks across tenants, and that one role may
-- call.
CREATE FUNCTION across_tenants(target regprocedure, caller text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER FUNCTION %s OWNER TO pathbound_definer', target);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', target);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', target, caller);
END $$;
