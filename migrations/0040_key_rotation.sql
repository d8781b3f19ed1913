-- Which key of the ring sealed what, so that an old key can be taken out once nothing needs it. A key's id is no secret,
-- and each blob names its own: `version | length of the id | id | nonce | ciphertext`.

CREATE FUNCTION sealing_key(sealed bytea) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- An id has ASCII characters only. Of anything else this makes a text all the same, because one damaged blob must not
    -- hide the others. The longest id has 64 characters, so the rest of a large blob is not read.
    SELECT CASE WHEN octet_length(head) > 2 THEN encode(substring(head FROM 3 FOR get_byte(head, 1)), 'escape') ELSE '' END
    FROM (SELECT substring(sealed FROM 1 FOR 66) AS head) blob
$$;

-- Sealed bytes alone, of which the functions below tell the key's id.
GRANT SELECT (tenant_id, connection_id, sealed) ON connection_secrets TO pathbound_definer;
CREATE POLICY key_rotation ON connection_secrets FOR SELECT TO pathbound_definer USING (true);
GRANT SELECT (answer) ON idempotency_keys TO pathbound_definer;
CREATE POLICY key_rotation ON idempotency_keys FOR SELECT TO pathbound_definer USING (true);

CREATE FUNCTION sealing_keys()
RETURNS TABLE (kid text, tokens bigint, answers bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT u.kid, sum(u.tokens)::bigint, sum(u.answers)::bigint
    FROM (
        SELECT sealing_key(s.sealed) AS kid, count(*) AS tokens, 0 AS answers FROM connection_secrets s GROUP BY 1
        UNION ALL
        SELECT sealing_key(i.answer), 0, count(*) FROM idempotency_keys i WHERE i.answer IS NOT NULL GROUP BY 1
    ) u
    GROUP BY u.kid ORDER BY u.kid
$$;
SELECT across_tenants('sealing_keys()', 'pathbound_operator');

-- In the order of the primary key, so that a page costs what it returns and those before it that are sealed anew.
CREATE FUNCTION tokens_of_other_keys(wanted_kid text, after_tenant uuid, after_connection uuid, page_size integer)
RETURNS TABLE (tenant_id uuid, connection_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.connection_id FROM connection_secrets s
    WHERE (s.tenant_id, s.connection_id) > (after_tenant, after_connection) AND sealing_key(s.sealed) <> wanted_kid
    ORDER BY s.tenant_id, s.connection_id LIMIT page_size
$$;
SELECT across_tenants('tokens_of_other_keys(text, uuid, uuid, integer)', 'pathbound_operator');
