-- Devices, pairings, recordings, the loss ledger, samples and vitals.

CREATE TABLE device (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{2,40}$'),
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE, -- int8range stands in for btree_gist below
    shard text NOT NULL CHECK (shard ~ '^[0-9a-f]{2}$'),
    kind text NOT NULL CHECK (kind IN ('holter', 'wearable', 'monitor', 'fridge')),
    driver text NOT NULL DEFAULT 'telehub',
    name text NOT NULL,
    organisation_id uuid NOT NULL REFERENCES organisation,
    password_hash text NOT NULL, -- as mosquitto's password file wants it ($7$ PBKDF2-SHA512)
    created_at timestamptz NOT NULL,
    retired_at timestamptz
);
CREATE INDEX ON device (organisation_id);
GRANT SELECT, INSERT, UPDATE ON device TO hub_app;
GRANT SELECT ON device TO hub_ingest;

-- What is known of a device now; written by the tick.
CREATE TABLE device_state (
    device_id text PRIMARY KEY REFERENCES device,
    connected boolean NOT NULL DEFAULT false,
    last_seen_at timestamptz NOT NULL,
    battery_percent int,
    backlog_s real,
    clock_offset_s real
);
GRANT SELECT ON device_state TO hub_app;
GRANT SELECT, INSERT, UPDATE ON device_state TO hub_ingest;

-- Who or what a device measures, and when. No overlap per device.
CREATE TABLE device_pairing (
    id uuid PRIMARY KEY,
    device_number bigint NOT NULL REFERENCES device (number),
    patient_id uuid,
    equipment text,
    during tstzrange NOT NULL,
    CHECK ((patient_id IS NULL) <> (equipment IS NULL)),
    EXCLUDE USING gist (int8range(device_number, device_number, '[]') WITH &&, during WITH &&)
);
CREATE INDEX ON device_pairing (patient_id);
GRANT SELECT, INSERT, UPDATE ON device_pairing TO hub_app;
GRANT SELECT, UPDATE ON device_pairing TO hub_ingest; -- the tick ends a pairing when its recording is complete

-- A physiological recording; every sample carries its id from the device on.
CREATE TABLE recording (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patient,
    organisation_id uuid NOT NULL REFERENCES organisation,
    device_id text NOT NULL REFERENCES device,
    service_request_id uuid REFERENCES service_request,
    status text NOT NULL CHECK (status IN ('requested', 'recording', 'stopping', 'ended', 'discarded')),
    fs_hz int NOT NULL,
    leads text[] NOT NULL,
    uv_per_lsb real,
    paced boolean NOT NULL DEFAULT false,
    requested_at timestamptz NOT NULL,
    started_at timestamptz, -- first stored sample
    stop_requested_at timestamptz,
    ended_at timestamptz,   -- `end` stored and nothing unknown, or closed with gaps
    end_reason text,
    no_data_after_s int NOT NULL DEFAULT 60
);
CREATE INDEX ON recording (patient_id);
CREATE INDEX ON recording (device_id);
CREATE INDEX ON recording (service_request_id);
ALTER TABLE recording ENABLE ROW LEVEL SECURITY;
ALTER TABLE recording FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON recording TO hub_owner, hub_app USING (EXISTS (SELECT FROM patient p WHERE p.id = patient_id));
CREATE POLICY tick ON recording TO hub_ingest USING (true);
GRANT SELECT, INSERT, UPDATE ON recording TO hub_app;
GRANT SELECT, UPDATE ON recording TO hub_ingest;

-- The ledger: per boot, what the device has made, what is stored, what it declared lost. Half-open sample ranges.
CREATE TABLE recording_boot (
    recording_id uuid NOT NULL REFERENCES recording,
    boot bigint NOT NULL,
    anchor_at timestamptz NOT NULL,   -- instant of sample 0 of this boot; fixed at its first packet, never revised
    produced_samples bigint NOT NULL, -- highest index known to have been made, + 1
    oldest_sample bigint NOT NULL,    -- first sample the device still holds (largest told)
    final_samples bigint,             -- from `end` or the next `boot`; NULL = still growing or not known
    final_known boolean NOT NULL DEFAULT false, -- true: final_samples is exact
    have int8multirange NOT NULL,     -- stored
    PRIMARY KEY (recording_id, boot)
);
GRANT SELECT, INSERT, UPDATE ON recording_boot TO hub_ingest;

-- Estimates of the device's clock; `at` above is never revised, the offset is applied on reading.
CREATE TABLE recording_clock (
    recording_id uuid NOT NULL REFERENCES recording,
    at timestamptz NOT NULL,
    offset_s double precision NOT NULL, -- hub minus device
    PRIMARY KEY (recording_id, at)
);
GRANT SELECT, INSERT ON recording_clock TO hub_ingest;

CREATE TABLE ecg_packet (
    recording_id uuid NOT NULL,
    boot bigint NOT NULL,
    first_sample bigint NOT NULL,
    at timestamptz NOT NULL,
    sample_count int NOT NULL,
    electrodes_off int NOT NULL,
    samples bytea NOT NULL, -- int16 little endian, lead-major
    PRIMARY KEY (recording_id, boot, first_sample, at)
) PARTITION BY RANGE (at);

CREATE TABLE vital (
    device_id text NOT NULL,
    patient_id uuid,
    equipment text,
    code text NOT NULL, -- MDC
    at timestamptz NOT NULL,
    value double precision,
    text_value text, -- LO, HI
    unit text NOT NULL, -- UCUM
    received_at timestamptz NOT NULL,
    PRIMARY KEY (device_id, code, at)
) PARTITION BY RANGE (at);
CREATE INDEX ON vital (patient_id, code, at);

-- One partition per UTC day, made when the first row of the day comes; ATTACH lets readers and writers go on.
CREATE FUNCTION hub_ensure_day(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    child text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('hub_ensure_day'));
    FOREACH parent IN ARRAY ARRAY['ecg_packet', 'vital'] LOOP
        child := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
        IF to_regclass(child) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', child, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, child, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
        END IF;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION hub_ensure_day(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_ensure_day(date) TO hub_ingest, hub_app;
GRANT SELECT, INSERT ON ecg_packet, vital TO hub_ingest;

-- Sample tables grant nothing to hub_app: these join the guarded parent, whose policy sees the actor.
CREATE FUNCTION ecg_window(of_recording uuid, of_boot bigint, from_sample bigint, to_sample bigint)
RETURNS TABLE (first_sample bigint, sample_count int, electrodes_off int, samples bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.first_sample, p.sample_count, p.electrodes_off, p.samples
    FROM recording r
    JOIN recording_boot b ON b.recording_id = r.id AND b.boot = of_boot
    JOIN ecg_packet p ON p.recording_id = r.id AND p.boot = b.boot
    WHERE r.id = of_recording
      AND p.first_sample < to_sample AND p.first_sample > from_sample - 65536
      AND p.first_sample + p.sample_count > from_sample
      -- the day partitions to look into, with room for a packet's length
      AND p.at >= b.anchor_at + make_interval(secs => (from_sample - 65536) / r.fs_hz::double precision)
      AND p.at <= b.anchor_at + make_interval(secs => to_sample / r.fs_hz::double precision)
    ORDER BY p.first_sample
$$;
CREATE FUNCTION recording_boots(of_recording uuid) RETURNS SETOF recording_boot
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT b.* FROM recording r JOIN recording_boot b ON b.recording_id = r.id
    WHERE r.id = of_recording ORDER BY b.anchor_at, b.boot
$$;
CREATE FUNCTION recording_clocks(of_recording uuid) RETURNS SETOF recording_clock
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.* FROM recording r JOIN recording_clock c ON c.recording_id = r.id
    WHERE r.id = of_recording ORDER BY c.at
$$;
CREATE FUNCTION patient_vitals(of_patient uuid, from_at timestamptz, to_at timestamptz) RETURNS SETOF vital
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT v.* FROM patient p JOIN vital v ON v.patient_id = p.id
    WHERE p.id = of_patient AND v.at >= from_at AND v.at < to_at ORDER BY v.at, v.code
$$;
-- By a person's decision nothing more is waited for: what is missing is lost. The caller's service has asked for the
-- right; a recording the actor can't see is not touched.
CREATE FUNCTION recording_give_up(of_recording uuid) RETURNS SETOF recording_boot
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE recording_boot b
    SET oldest_sample = greatest(b.oldest_sample, b.produced_samples), final_samples = b.produced_samples, final_known = true
    FROM recording r WHERE r.id = of_recording AND b.recording_id = r.id RETURNING b.*
$$;
REVOKE ALL ON FUNCTION recording_give_up(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION recording_give_up(uuid) TO hub_app;
GRANT EXECUTE ON FUNCTION recording_boots(uuid) TO hub_ingest; -- whether a recording is complete is asked by both
REVOKE ALL ON FUNCTION ecg_window(uuid, bigint, bigint, bigint), recording_boots(uuid), recording_clocks(uuid),
    patient_vitals(uuid, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ecg_window(uuid, bigint, bigint, bigint), recording_boots(uuid), recording_clocks(uuid),
    patient_vitals(uuid, timestamptz, timestamptz) TO hub_app;

-- Boot, end, button, SOS, lead-off ... and the diary of the desk (device_id NULL).
CREATE TABLE recording_event (
    id text PRIMARY KEY, -- device/event id, or the id of the diary entry
    recording_id uuid NOT NULL REFERENCES recording,
    device_id text,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    boot bigint,
    sample bigint,
    detail jsonb NOT NULL DEFAULT '{}',
    received_at timestamptz NOT NULL
);
CREATE INDEX ON recording_event (recording_id, at);
ALTER TABLE recording_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE recording_event FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON recording_event TO hub_owner, hub_app
    USING (EXISTS (SELECT FROM recording r WHERE r.id = recording_id));
CREATE POLICY tick ON recording_event TO hub_ingest USING (true);
GRANT SELECT, INSERT, UPDATE ON recording_event TO hub_app, hub_ingest;

-- Received but not usable: kept with its bytes and the reason; one row per distinct payload.
CREATE TABLE set_aside (
    id uuid PRIMARY KEY,
    sha256 text NOT NULL UNIQUE, -- of topic, NUL, payload
    topic text NOT NULL,
    device_id text, -- as the topic says; the broker binds it to who sent
    organisation_id uuid,
    reason text NOT NULL,
    detail text NOT NULL DEFAULT '',
    payload bytea NOT NULL,
    times bigint NOT NULL DEFAULT 1,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    discarded_at timestamptz,
    discarded_by uuid
);
CREATE INDEX ON set_aside (last_at);
ALTER TABLE set_aside ENABLE ROW LEVEL SECURITY;
ALTER TABLE set_aside FORCE ROW LEVEL SECURITY;
CREATE FUNCTION hub_device_organisations() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.descendant FROM role_assignment r JOIN organisation_closure c ON c.ancestor = r.organisation_id
    WHERE r.account_id = hub_account() AND r.role = 'device_manager'
      AND r.valid_from <= hub_at() AND (r.valid_until IS NULL OR r.valid_until > hub_at())
$$;
-- A packet of nobody's device is for those who manage devices at a root of the tree.
CREATE FUNCTION hub_manages_all_devices() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM organisation o WHERE o.parent_id IS NULL
                   AND o.id IN (SELECT hub_device_organisations()))
$$;
CREATE POLICY reach ON set_aside TO hub_owner, hub_app USING (
    hub_is_job() OR organisation_id IN (SELECT hub_device_organisations())
    OR (organisation_id IS NULL AND hub_manages_all_devices())
);
CREATE POLICY tick ON set_aside TO hub_ingest USING (true);
GRANT SELECT, UPDATE ON set_aside TO hub_app;
GRANT SELECT, INSERT, UPDATE ON set_aside TO hub_ingest;

-- Live analysis: state saved every minute, findings by their key.
CREATE TABLE analyser_state (
    recording_id uuid PRIMARY KEY REFERENCES recording,
    boot bigint NOT NULL,
    next_sample bigint NOT NULL,
    state bytea NOT NULL,
    saved_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON analyser_state TO hub_ingest;
