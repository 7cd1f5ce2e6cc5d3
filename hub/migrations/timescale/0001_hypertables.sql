-- The same tables as hypertables, for a database with TimescaleDB; run behind the plain files, and only there
-- (hub/core/timescale.py). A partitioned table can't become a hypertable, so each is made anew and filled from the old
-- one. A later plain file that touches these tables must work on both forms. Row-level security and compression exclude
-- each other on a hypertable: these tables grant nothing to hub_app instead.

-- Functions that return rows of a table hold on to it: taken down, and put up again unchanged at the end.
CREATE TEMP TABLE returning_rows ON COMMIT DROP AS
SELECT p.oid::regprocedure::text AS signature, pg_get_functiondef(p.oid) AS definition,
    has_function_privilege('hub_app', p.oid, 'EXECUTE') AS for_app,
    has_function_privilege('hub_ingest', p.oid, 'EXECUTE') AS for_ingest
FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype
WHERE t.typrelid IN ('ecg_packet'::regclass, 'ecg_block'::regclass, 'vital'::regclass);

DO $$
DECLARE
    one record;
    privilege record;
BEGIN
    FOR one IN SELECT signature FROM returning_rows LOOP
        EXECUTE 'DROP FUNCTION ' || one.signature;
    END LOOP;
    FOR one IN SELECT * FROM (VALUES ('ecg_packet', interval '1 day'), ('ecg_block', interval '30 days'),
        ('vital', interval '7 days')) AS tables (name, span)
    LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', one.name, one.name || '_plain');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES'
            ' INCLUDING STORAGE)', one.name, one.name || '_plain');
        EXECUTE format('SELECT create_hypertable(%L::regclass, by_range(''at'', %L::interval),'
            ' create_default_indexes => false)', one.name, one.span);
        FOR privilege IN
            SELECT grantee, string_agg(privilege_type, ', ') AS kinds FROM information_schema.role_table_grants
            WHERE table_schema = 'public' AND table_name = one.name || '_plain' AND grantee IN ('hub_app', 'hub_ingest')
            GROUP BY grantee
        LOOP
            EXECUTE format('GRANT %s ON %I TO %I', privilege.kinds, one.name, privilege.grantee);
        END LOOP;
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', one.name, one.name || '_plain');
        EXECUTE format('DROP TABLE %I', one.name || '_plain');
    END LOOP;
    FOR one IN SELECT * FROM returning_rows LOOP
        EXECUTE one.definition;
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one.signature);
        IF one.for_app THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO hub_app', one.signature);
        END IF;
        IF one.for_ingest THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO hub_ingest', one.signature);
        END IF;
    END LOOP;
END $$;

-- TimescaleDB makes the chunks; what remains is to remember the days.
CREATE OR REPLACE FUNCTION hub_ensure_day(day date) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS
$$ INSERT INTO ecg_day VALUES (day) ON CONFLICT DO NOTHING $$;
CREATE OR REPLACE FUNCTION hub_ensure_month(month date) RETURNS void LANGUAGE sql AS $$ SELECT $$;
-- A chunk of packets is dropped once nothing before its end is hot any more.
CREATE OR REPLACE FUNCTION hub_forget_days(before date) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    before_at timestamptz := before::timestamp AT TIME ZONE 'UTC';
    gone int := 0;
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    IF NOT EXISTS (SELECT FROM ecg_packet WHERE at < before_at) THEN
        PERFORM drop_chunks('ecg_packet', older_than => before_at);
        DELETE FROM ecg_day WHERE day < before;
        GET DIAGNOSTICS gone = ROW_COUNT;
    END IF;
    RETURN gone;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END $$;

-- Compression is in the community edition only; without it everything else stands. Packets live for minutes and blocks are
-- packed already, so it is for vitals. A policy would need an owner who may log in, and its own clock: the hub's timer
-- compresses instead (hub_pack_vitals). What is removed from a compressed chunk is unpacked first, without a limit.
DO $$
DECLARE
    one record;
BEGIN
    IF current_setting('timescaledb.license', true) = 'timescale' THEN
        EXECUTE 'ALTER TABLE vital SET (timescaledb.compress, timescaledb.compress_segmentby = ''patient_id, device_id, code'','
            ' timescaledb.compress_orderby = ''at'')';
        FOR one IN SELECT p.oid::regprocedure AS signature FROM pg_proc p
            WHERE p.pronamespace = 'public'::regnamespace AND p.prosrc LIKE '%DELETE FROM vital%'
        LOOP
            EXECUTE format('ALTER FUNCTION %s SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0',
                one.signature);
        END LOOP;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION hub_pack_vitals(before timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    chunk regclass;
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    SELECT format('%I.%I', c.chunk_schema, c.chunk_name)::regclass INTO chunk
    FROM timescaledb_information.chunks c
    WHERE c.hypertable_schema = 'public' AND c.hypertable_name = 'vital' AND NOT c.is_compressed AND c.range_end <= before
    ORDER BY c.range_end LIMIT 1;
    IF chunk IS NULL OR current_setting('timescaledb.license', true) IS DISTINCT FROM 'timescale' THEN
        RETURN false;
    END IF;
    PERFORM compress_chunk(chunk);
    RETURN true;
END $$;
