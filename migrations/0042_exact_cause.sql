-- A cause with `=` in front means that cause and no other. Causes are chains of errors, so one is often a part of another,
-- and a button beside one cause must not reach the letters of others.
CREATE OR REPLACE FUNCTION is_wanted(letter dead_letters, wanted_id uuid, wanted_tenant uuid, wanted_stream text,
                                     wanted_cause text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT letter.resolved_at IS NULL
       AND (wanted_id IS NULL OR letter.id = wanted_id)
       AND (wanted_tenant IS NULL OR letter.tenant_id = wanted_tenant)
       AND (wanted_stream IS NULL OR letter.stream = wanted_stream)
       AND (wanted_cause IS NULL
            OR CASE WHEN starts_with(wanted_cause, '=') THEN letter.cause = substr(wanted_cause, 2)
                    ELSE position(lower(wanted_cause) IN lower(letter.cause)) > 0 END)
$$;
