-- Blocks: ten seconds of a boot, packed (devices/block.py), in place of the hot packets they were made of.
-- A sample is in ecg_packet or in ecg_block, never in both: who moves it does so in one transaction, and who reads it
-- reads both tables in one statement (ecg_pieces).

CREATE TABLE ecg_block (
    recording_id uuid NOT NULL,
    boot bigint NOT NULL,
    first_sample bigint NOT NULL, -- a multiple of the block's length
    at timestamptz NOT NULL,      -- of first_sample, on the boot's time line
    sample_count int NOT NULL,    -- stored ones, of one lead; fewer than the length if there are holes
    whole bytea NOT NULL,         -- pyramid: least and greatest sample of the block, int16[lead, 2]
    seconds bytea NOT NULL,       -- and of each second, int16[lead, second, 2]
    payload bytea NOT NULL,
    PRIMARY KEY (recording_id, boot, first_sample, at)
) PARTITION BY RANGE (at);
-- Packed already, and out of the way of who reads the pyramid of a day.
ALTER TABLE ecg_block ALTER COLUMN payload SET STORAGE EXTERNAL;
GRANT SELECT ON ecg_block TO hub_ingest;

-- What a boot's blocks take: for the metrics, and to say how much a recording takes.
CREATE TABLE ecg_storage (
    recording_id uuid NOT NULL,
    boot bigint NOT NULL,
    blocks bigint NOT NULL,
    samples bigint NOT NULL,   -- of one lead
    raw_bytes bigint NOT NULL, -- the same samples as int16
    bytes bigint NOT NULL,     -- payloads and pyramid
    PRIMARY KEY (recording_id, boot)
);

-- Days that hold or held hot packets.
CREATE TABLE ecg_day (day date PRIMARY KEY);
INSERT INTO ecg_day SELECT to_date(right(c.relname, 8), 'YYYYMMDD')
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'ecg_packet'::regclass;

CREATE FUNCTION hub_ensure_partition(parent text, child text, low date, high date) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF to_regclass(child) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES'
            ' INCLUDING STORAGE)', child, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            parent, child, low::text || ' 00:00:00+00', high::text || ' 00:00:00+00');
    END IF;
END $$;
REVOKE ALL ON FUNCTION hub_ensure_partition(text, text, date, date) FROM PUBLIC;

CREATE OR REPLACE FUNCTION hub_ensure_day(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('hub_ensure_day'));
    PERFORM hub_ensure_partition(parent, format('%s_%s', parent, to_char(day, 'YYYYMMDD')), day, day + 1)
    FROM unnest(ARRAY['ecg_packet', 'vital']) AS parent;
    INSERT INTO ecg_day VALUES (day) ON CONFLICT DO NOTHING;
END $$;

-- Blocks are few and stay for years: one partition per month.
CREATE FUNCTION hub_ensure_month(month date) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('hub_ensure_month'));
    PERFORM hub_ensure_partition('ecg_block', 'ecg_block_' || to_char(month, 'YYYYMM'),
        month, (month + interval '1 month')::date);
END $$;
REVOKE ALL ON FUNCTION hub_ensure_month(date) FROM PUBLIC;

-- The instant of a sample on its boot's time line; what is stored of a block is found by it.
CREATE FUNCTION ecg_instant(anchor_at timestamptz, sample bigint, fs_hz int) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT anchor_at + make_interval(secs => sample / fs_hz::double precision) $$;

-- THE reader of samples: what is stored of spans [low, high) of boots, packets (samples) and blocks (payload), in order.
-- A span of a recording the actor can't see gives nothing. Planned anew for its spans, so that it looks into their days
-- only, however many there are.
CREATE FUNCTION ecg_pieces(recordings uuid[], boots bigint[], lows bigint[], highs bigint[])
RETURNS TABLE (recording_id uuid, boot bigint, anchor_at timestamptz, fs_hz int, first_sample bigint,
    sample_count int, electrodes_off int, samples bytea, payload bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    longest CONSTANT bigint := 65536; -- of a packet, in samples
    block_s CONSTANT int := 10;
    low_at timestamptz;
    high_at timestamptz;
BEGIN
    SELECT min(ecg_instant(b.anchor_at,
               least(k.low, upper(b.have)) - greatest(longest, block_s * r.fs_hz), r.fs_hz)),
           max(ecg_instant(b.anchor_at, least(k.high, upper(b.have)), r.fs_hz))
    INTO low_at, high_at
    FROM unnest(recordings, boots, lows, highs) AS k (r, n, low, high)
    JOIN recording r ON r.id = k.r
    JOIN recording_boot b ON b.recording_id = k.r AND b.boot = k.n;
    IF low_at IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT b.recording_id, b.boot, b.anchor_at, r.fs_hz, s.first_sample, s.sample_count, s.electrodes_off, s.samples,
        s.payload
    FROM unnest(recordings, boots, lows, highs) AS k (r, n, low, high)
    JOIN recording r ON r.id = k.r
    JOIN recording_boot b ON b.recording_id = k.r AND b.boot = k.n
    CROSS JOIN LATERAL (
        SELECT p.first_sample, p.sample_count, p.electrodes_off, p.samples, NULL::bytea AS payload
        FROM ecg_packet p
        WHERE p.recording_id = b.recording_id AND p.boot = b.boot
          AND p.first_sample > k.low - longest AND p.first_sample < k.high
          AND p.first_sample + p.sample_count > k.low
          AND p.at >= low_at AND p.at <= high_at
        UNION ALL
        SELECT e.first_sample, e.sample_count, NULL, NULL, e.payload
        FROM ecg_block e
        WHERE e.recording_id = b.recording_id AND e.boot = b.boot
          AND e.first_sample > k.low - block_s * r.fs_hz AND e.first_sample < k.high
          AND e.at >= low_at AND e.at <= high_at
    ) s
    ORDER BY b.recording_id, b.boot, s.first_sample;
END $$;

-- The pyramid of a boot's blocks in [low, high): one row, the numbers of the blocks and their values one after another.
CREATE FUNCTION ecg_extremes(of_recording uuid, of_boot bigint, low bigint, high bigint, by_second boolean)
RETURNS TABLE (firsts bigint[], extremes bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    low_at timestamptz;
    high_at timestamptz;
    block_samples bigint;
BEGIN
    SELECT 10 * r.fs_hz, ecg_instant(b.anchor_at, least(low, upper(b.have)) - 10 * r.fs_hz, r.fs_hz),
        ecg_instant(b.anchor_at, least(high, upper(b.have)), r.fs_hz)
    INTO block_samples, low_at, high_at
    FROM recording r JOIN recording_boot b ON b.recording_id = r.id WHERE r.id = of_recording AND b.boot = of_boot;
    RETURN QUERY
    SELECT array_agg(e.first_sample ORDER BY e.first_sample),
        string_agg(CASE WHEN by_second THEN e.seconds ELSE e.whole END, ''::bytea ORDER BY e.first_sample)
    FROM ecg_block e
    WHERE e.recording_id = of_recording AND e.boot = of_boot AND e.at >= low_at AND e.at <= high_at
      AND e.first_sample > low - block_samples AND e.first_sample < high;
END $$;

-- Hot packets of a boot from a sample on, the first `most` of them.
CREATE FUNCTION ecg_hot(of_recording uuid, of_boot bigint, from_sample bigint, most int)
RETURNS TABLE (first_sample bigint, sample_count int, electrodes_off int, samples bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    low_at timestamptz;
BEGIN
    SELECT ecg_instant(b.anchor_at, from_sample - 1, r.fs_hz) INTO low_at
    FROM recording r JOIN recording_boot b ON b.recording_id = r.id WHERE r.id = of_recording AND b.boot = of_boot;
    RETURN QUERY
    SELECT p.first_sample, p.sample_count, p.electrodes_off, p.samples
    FROM ecg_packet p
    WHERE p.recording_id = of_recording AND p.boot = of_boot AND p.first_sample >= from_sample AND p.at >= low_at
    ORDER BY p.first_sample LIMIT most;
END $$;

-- Boots with hot packets that are older than an instant, or that lie further than `behind_s` behind the newest sample.
-- Hops from boot to boot over the index of each day: the work does not grow with the number of packets.
CREATE FUNCTION ecg_hot_boots(before timestamptz, behind_s int)
RETURNS TABLE (recording_id uuid, boot bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    low_at timestamptz;
    high_at timestamptz;
BEGIN
    IF NOT hub_is_job() THEN
        RETURN;
    END IF;
    FOR low_at, high_at IN
        SELECT d.day::timestamp AT TIME ZONE 'UTC', (d.day + 1)::timestamp AT TIME ZONE 'UTC' FROM ecg_day d ORDER BY d.day
    LOOP
        RETURN QUERY
        WITH RECURSIVE hot (recording_id, boot, first_sample, at) AS (
            (SELECT p.recording_id, p.boot, p.first_sample, p.at FROM ecg_packet p
             WHERE p.at >= low_at AND p.at < high_at
             ORDER BY p.recording_id, p.boot, p.first_sample LIMIT 1)
            UNION ALL
            SELECT n.* FROM hot h CROSS JOIN LATERAL (
                SELECT p.recording_id, p.boot, p.first_sample, p.at FROM ecg_packet p
                WHERE (p.recording_id, p.boot) > (h.recording_id, h.boot) AND p.at >= low_at AND p.at < high_at
                ORDER BY p.recording_id, p.boot, p.first_sample LIMIT 1
            ) n
        )
        SELECT h.recording_id, h.boot
        FROM hot h JOIN recording r ON r.id = h.recording_id
        JOIN recording_boot b ON b.recording_id = h.recording_id AND b.boot = h.boot
        WHERE h.at < before OR upper(b.have) - h.first_sample > behind_s * r.fs_hz;
    END LOOP;
END $$;

-- The stored blocks of a boot that begin at these samples.
CREATE FUNCTION ecg_blocks(of_recording uuid, of_boot bigint, firsts bigint[])
RETURNS TABLE (first_sample bigint, sample_count int, payload bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    low_at timestamptz;
    high_at timestamptz;
BEGIN
    SELECT min(ecg_instant(b.anchor_at, f, r.fs_hz)), max(ecg_instant(b.anchor_at, f, r.fs_hz)) INTO low_at, high_at
    FROM recording r JOIN recording_boot b ON b.recording_id = r.id, unnest(firsts) f
    WHERE r.id = of_recording AND b.boot = of_boot;
    RETURN QUERY
    SELECT e.first_sample, e.sample_count, e.payload
    FROM ecg_block e
    WHERE e.recording_id = of_recording AND e.boot = of_boot AND e.first_sample = ANY (firsts)
      AND e.at >= low_at AND e.at <= high_at;
END $$;

-- Puts blocks in the place of the packets they were made of, and of earlier blocks. The caller holds the recording's
-- advisory lock. Returns how many packets went; another number than was read means that somebody else was at it, and
-- the caller rolls back.
CREATE FUNCTION ecg_compact(of_recording uuid, of_boot bigint, packets bigint[], firsts bigint[], counts int[],
    wholes bytea[], seconds_ bytea[], payloads bytea[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    anchor timestamptz;
    fs int;
    lead_count int;
    low_at timestamptz;
    high_at timestamptz;
    gone bigint;
    blocks_before bigint;
    samples_before bigint;
    bytes_before bigint;
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    SELECT b.anchor_at, r.fs_hz, cardinality(r.leads) INTO STRICT anchor, fs, lead_count
    FROM recording r JOIN recording_boot b ON b.recording_id = r.id WHERE r.id = of_recording AND b.boot = of_boot;
    PERFORM hub_ensure_month(month)
    FROM (SELECT DISTINCT date_trunc('month', ecg_instant(anchor, f, fs) AT TIME ZONE 'UTC')::date AS month
          FROM unnest(firsts) f) months ORDER BY month;
    low_at := ecg_instant(anchor, packets[1] - 1, fs); -- the tick rounds an instant to the microsecond in its own way
    high_at := ecg_instant(anchor, packets[cardinality(packets)] + 1, fs);
    DELETE FROM ecg_packet p WHERE p.recording_id = of_recording AND p.boot = of_boot
        AND p.first_sample = ANY (packets) AND p.at >= low_at AND p.at <= high_at;
    GET DIAGNOSTICS gone = ROW_COUNT;
    low_at := ecg_instant(anchor, firsts[1], fs);
    high_at := ecg_instant(anchor, firsts[cardinality(firsts)], fs);
    WITH replaced AS (
        DELETE FROM ecg_block e WHERE e.recording_id = of_recording AND e.boot = of_boot
            AND e.first_sample = ANY (firsts) AND e.at >= low_at AND e.at <= high_at
        RETURNING e.sample_count, octet_length(e.payload) + octet_length(e.whole) + octet_length(e.seconds) AS bytes
    )
    SELECT count(*), coalesce(sum(sample_count), 0), coalesce(sum(bytes), 0)
    INTO blocks_before, samples_before, bytes_before FROM replaced;
    INSERT INTO ecg_block (recording_id, boot, first_sample, at, sample_count, whole, seconds, payload)
    SELECT of_recording, of_boot, k.first, ecg_instant(anchor, k.first, fs), k.n, k.whole, k.seconds, k.payload
    FROM unnest(firsts, counts, wholes, seconds_, payloads) AS k (first, n, whole, seconds, payload);
    INSERT INTO ecg_storage AS s (recording_id, boot, blocks, samples, raw_bytes, bytes)
    SELECT of_recording, of_boot, count(*) - blocks_before, sum(k.n) - samples_before,
        (sum(k.n) - samples_before) * lead_count * 2,
        sum(octet_length(k.payload) + octet_length(k.whole) + octet_length(k.seconds)) - bytes_before
    FROM unnest(counts, wholes, seconds_, payloads) AS k (n, whole, seconds, payload)
    ON CONFLICT (recording_id, boot) DO UPDATE SET blocks = s.blocks + excluded.blocks,
        samples = s.samples + excluded.samples, raw_bytes = s.raw_bytes + excluded.raw_bytes,
        bytes = s.bytes + excluded.bytes;
    RETURN gone;
END $$;

-- What all blocks take, and about how many packets are hot.
CREATE FUNCTION ecg_stored_totals()
RETURNS TABLE (blocks bigint, seconds double precision, raw_bytes bigint, bytes bigint, hot_packets bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(sum(s.blocks), 0)::bigint, coalesce(sum(s.samples / r.fs_hz::double precision), 0),
        coalesce(sum(s.raw_bytes), 0)::bigint, coalesce(sum(s.bytes), 0)::bigint,
        (SELECT coalesce(sum(pg_stat_get_live_tuples(i.inhrelid)), 0)::bigint
         FROM pg_inherits i WHERE i.inhparent = 'ecg_packet'::regclass)
    FROM ecg_storage s JOIN recording r ON r.id = s.recording_id
$$;

-- Days before `before` that hold no packet any more lose their partition; how many. Nothing is waited for: what is in use
-- now is in use, and whoever comes meanwhile waits a moment only.
CREATE FUNCTION hub_forget_days(before date) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    old date;
    child text;
    in_use boolean;
    gone int := 0;
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    FOR old IN SELECT day FROM ecg_day WHERE day < before ORDER BY day LIMIT 50 LOOP
        child := 'ecg_packet_' || to_char(old, 'YYYYMMDD');
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', child) INTO in_use;
        CONTINUE WHEN in_use;
        BEGIN
            EXECUTE format('LOCK TABLE ecg_packet, %I IN ACCESS EXCLUSIVE MODE', child);
            EXECUTE format('SELECT EXISTS (SELECT FROM %I)', child) INTO in_use;
            IF NOT in_use THEN
                EXECUTE format('DROP TABLE %I', child);
                DELETE FROM ecg_day WHERE day = old;
                gone := gone + 1;
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
    END LOOP;
    RETURN gone;
END $$;
REVOKE ALL ON FUNCTION hub_forget_days(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_forget_days(date) TO hub_app;

-- Compresses the oldest chunk of vitals that ends before an instant; whether there was one. Only TimescaleDB has any.
CREATE FUNCTION hub_pack_vitals(before timestamptz) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
REVOKE ALL ON FUNCTION hub_pack_vitals(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_pack_vitals(timestamptz) TO hub_app;

DROP FUNCTION ecg_window(uuid, bigint, bigint, bigint);
REVOKE ALL ON FUNCTION ecg_pieces(uuid[], bigint[], bigint[], bigint[]),
    ecg_extremes(uuid, bigint, bigint, bigint, boolean), ecg_hot(uuid, bigint, bigint, int),
    ecg_hot_boots(timestamptz, int), ecg_blocks(uuid, bigint, bigint[]),
    ecg_compact(uuid, bigint, bigint[], bigint[], int[], bytea[], bytea[], bytea[]), ecg_stored_totals() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ecg_pieces(uuid[], bigint[], bigint[], bigint[]) TO hub_ingest;
GRANT EXECUTE ON FUNCTION ecg_pieces(uuid[], bigint[], bigint[], bigint[]),
    ecg_extremes(uuid, bigint, bigint, bigint, boolean), ecg_hot(uuid, bigint, bigint, int),
    ecg_hot_boots(timestamptz, int), ecg_blocks(uuid, bigint, bigint[]),
    ecg_compact(uuid, bigint, bigint[], bigint[], int[], bytea[], bytea[], bytea[]), ecg_stored_totals() TO hub_app;
