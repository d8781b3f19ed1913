-- The history: every commit of the fleet, written down from inside Postgres, where no worker can leave it out.
--
-- Each process logs in as a user of its own, and `session_user` stays that user under SET ROLE: that is
-- who wrote. A sequence's value is taken while the row's lock is held, so the order of `seq` is the order
-- of commits of one stream.

CREATE SCHEMA chaos;

CREATE TABLE chaos.history (
    seq           bigserial PRIMARY KEY,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    who           text NOT NULL DEFAULT session_user,
    -- `streams`, or the table of records that was written.
    relation      text NOT NULL,
    connection_id uuid NOT NULL,
    stream        text,
    old_fence     bigint,
    fence         bigint,
    -- Whether it takes the stream over, or changes what a slice changes. The rest is planning.
    effect        boolean NOT NULL
);
CREATE INDEX history_of_stream ON chaos.history (connection_id, stream, seq DESC) WHERE effect AND relation = 'streams';
CREATE INDEX history_in_time ON chaos.history (at) WHERE effect AND relation = 'streams';

CREATE FUNCTION chaos.note_stream() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    others text[] := '{due_at,ticketed_at,mode,held,expected,pending,failing,complete,truncated,gone,blocked,missing_parts}';
BEGIN
    INSERT INTO chaos.history (relation, connection_id, stream, old_fence, fence, effect)
    VALUES ('streams', NEW.connection_id, NEW.stream, OLD.fence, NEW.fence,
            -- When it is due is anybody's to say: the scheduler, the API, a slice of another stream. A page of stubs
            -- counts the threads that it makes pending, and a thread that is gone is a conversation less.
            to_jsonb(NEW) - others <> to_jsonb(OLD) - others);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note AFTER UPDATE ON public.streams FOR EACH ROW EXECUTE FUNCTION chaos.note_stream();

CREATE FUNCTION chaos.note_records() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO chaos.history (relation, connection_id, effect)
    SELECT DISTINCT TG_TABLE_NAME, w.connection_id, true FROM written w;
    RETURN NULL;
END $$;

CREATE FUNCTION chaos.note_parts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO chaos.history (relation, connection_id, effect)
    SELECT DISTINCT TG_TABLE_NAME, c.connection_id, true
    FROM written w JOIN public.conversations c ON c.tenant_id = w.tenant_id AND c.id = w.conversation_id;
    RETURN NULL;
END $$;

DO $$
DECLARE
    name text;
    event text;
BEGIN
    FOREACH name IN ARRAY '{contact_sources,company_sources,conversations,parts}'::text[] LOOP
        FOREACH event IN ARRAY '{insert,update}'::text[] LOOP
            EXECUTE format(
                'CREATE TRIGGER chaos_%s AFTER %s ON public.%I REFERENCING NEW TABLE AS written
                 FOR EACH STATEMENT EXECUTE FUNCTION chaos.%s()',
                event, event, name, CASE name WHEN 'parts' THEN 'note_parts' ELSE 'note_records' END);
        END LOOP;
    END LOOP;
END $$;
