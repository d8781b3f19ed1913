-- Refill: what is due, in the order of its key, for a Redis that was emptied. It only reads: claiming a hundred
-- thousand rows to make their tickets anew would write each of them, and walk over what the last claim left dead.

-- The first `most` due streams behind a place (the nil ids are before all).
CREATE FUNCTION due_streams_after(after_tenant uuid, after_connection uuid, after_stream text, most integer)
RETURNS TABLE (tenant_id uuid, connection_id uuid, stream text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.connection_id, s.stream
    FROM streams s
    WHERE (s.tenant_id, s.connection_id, s.stream) > (after_tenant, after_connection, after_stream)
      AND s.due_at <= now()
    ORDER BY s.tenant_id, s.connection_id, s.stream
    LIMIT most
$$;
ALTER FUNCTION due_streams_after(uuid, uuid, text, integer) OWNER TO pathbound_definer;
REVOKE ALL ON FUNCTION due_streams_after(uuid, uuid, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION due_streams_after(uuid, uuid, text, integer) TO pathbound_scheduler;
