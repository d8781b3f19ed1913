-- Statistics: a first sync fills its tables faster than autovacuum comes round. The worker has them analyzed when a large
-- first walk has ended. No plan depends on it, but estimates of operators' own queries and of autovacuum do.

-- analyze_filled(tenant, stream): analyzes the tables that a walk of the stream fills. Of a split table it is the
-- partition that has the tenant. Only a table's owner may analyze it, so the function is the owner's. A table that another
-- session is analyzing or changing is left out.
CREATE FUNCTION analyze_filled(of_tenant uuid, of_stream text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    filled regclass[] := CASE of_stream
        WHEN 'contacts' THEN ARRAY['public.contact_sources', 'public.contact_companies', 'public.changes', 'public.identity_values']
        WHEN 'companies' THEN ARRAY['public.company_sources']
        WHEN 'conversations' THEN ARRAY['public.conversations', 'public.conversation_contacts', 'public.threads']
    END;
    target regclass;
BEGIN
    FOREACH target IN ARRAY filled LOOP
        SELECT coalesce(max(p.inhrelid), target) INTO target
        FROM pg_catalog.pg_inherits p JOIN pg_catalog.pg_class c ON c.oid = p.inhrelid,
             pg_catalog.regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid), 'modulus (\d+), remainder (\d+)') AS bound
        WHERE p.inhparent = target
          AND pg_catalog.satisfies_hash_partition(target, bound[1]::integer, bound[2]::integer, of_tenant);
        EXECUTE pg_catalog.format('ANALYZE (SKIP_LOCKED) %s', target);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION analyze_filled(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION analyze_filled(uuid, text) TO pathbound_worker;
