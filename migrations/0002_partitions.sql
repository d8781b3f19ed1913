-- Partitions: the tables that grow with what customers write are split by a hash of the tenant. A vacuum, an index and
-- a cache then have a sixteenth of the rows before them, and every statement that names its tenant reads one partition.

-- partition('t', 'settings'): the partitions of a table that is declared as PARTITION BY HASH (tenant_id). Their number
-- is the option `database_partitions` at the first migration. It cannot be changed afterwards, because the rows would
-- have to move. `settings` are storage settings, which Postgres keeps by partition.
CREATE FUNCTION partition(target regclass, settings text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    number integer := coalesce(nullif(current_setting('pathbound.partitions', true), ''), '16')::integer;
BEGIN
    FOR i IN 0 .. number - 1 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %s FOR VALUES WITH (MODULUS %s, REMAINDER %s) WITH (%s)',
                       target || '_' || lpad(i::text, 4, '0'), target, number, i, settings);
    END LOOP;
END $$;

-- keep_raw('t'): `raw` holds the bytes as Intercom sent them. They are packed before they come here, so Postgres does not
-- try to make them smaller. Large ones lie beside the rows.
CREATE FUNCTION keep_raw(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN raw SET STORAGE EXTERNAL', target);
END $$;
