-- Broken hops of the hub, for operators; and what devices went through lately.

CREATE TABLE incident (
    id uuid PRIMARY KEY,
    kind text NOT NULL,    -- hub/core/incidents.py
    subject text NOT NULL, -- '' the hub, a process, a shard, a device
    device_id text,        -- the subject, where it is a device: seen by who manages it
    detail jsonb NOT NULL DEFAULT '{}', -- facts of a closed list, no patient data
    times int NOT NULL DEFAULT 1, -- gone and back within minutes
    since_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    gone_at timestamptz,
    owner_id uuid REFERENCES account,
    owned_at timestamptz,
    resolved_at timestamptz,
    resolved_by uuid REFERENCES account,
    outcome text
);
CREATE UNIQUE INDEX incident_here ON incident (kind, subject) WHERE gone_at IS NULL;
CREATE INDEX ON incident (kind, subject, gone_at);
CREATE INDEX ON incident (last_at);

-- Where the actor runs devices or the organisation, downwards.
CREATE FUNCTION hub_operated_organisations() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.descendant FROM role_assignment r JOIN organisation_closure c ON c.ancestor = r.organisation_id
    WHERE r.account_id = hub_account() AND r.role IN ('device_manager', 'organisation_admin')
      AND r.valid_from <= hub_at() AND (r.valid_until IS NULL OR r.valid_until > hub_at())
$$;

-- A broken hop of the hub concerns everybody who runs something on it; a device those who manage it.
ALTER TABLE incident ENABLE ROW LEVEL SECURITY;
ALTER TABLE incident FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON incident TO hub_owner, hub_app USING (
    hub_is_job()
    OR (device_id IS NULL AND EXISTS (SELECT hub_operated_organisations()))
    OR device_id IN (SELECT d.id FROM device d WHERE d.organisation_id IN (SELECT hub_operated_organisations()))
);
CREATE POLICY tick ON incident TO hub_ingest USING (true);
GRANT SELECT, INSERT, UPDATE ON incident TO hub_app, hub_ingest;

-- A message that was taken as if it had come again, after what was wrong with it had been mended.
ALTER TABLE set_aside
    ADD COLUMN replayed_at timestamptz,
    ADD COLUMN replay_result text CHECK (replay_result IN ('stored', 'duplicate', 'set-aside')),
    ADD COLUMN replay_reason text,  -- why it was set aside again
    ADD COLUMN replay_asked_at timestamptz,
    ADD COLUMN discard_reason text;
CREATE INDEX ON set_aside (reason, last_at) WHERE discarded_at IS NULL;
CREATE INDEX ON set_aside (first_at) WHERE replay_asked_at IS NOT NULL;

-- The account of the whole installation: sums only, so that no recording is told of. Samples of one lead.
CREATE FUNCTION hub_ledger_since(since timestamptz)
RETURNS TABLE (recordings bigint, produced numeric, stored numeric, lost numeric, waiting numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH account AS (
        SELECT b.recording_id, b.produced_samples AS produced,
          (SELECT coalesce(sum(upper(p) - lower(p)), 0) FROM unnest(b.have) p) AS stored,
          (SELECT coalesce(sum(upper(p) - lower(p)), 0)
             FROM unnest(int8multirange(int8range(0, least(b.oldest_sample, b.produced_samples))) - b.have) p) AS lost
        FROM recording r JOIN recording_boot b ON b.recording_id = r.id
        WHERE r.status IN ('recording', 'stopping') OR r.ended_at >= since
    )
    SELECT count(DISTINCT a.recording_id), coalesce(sum(a.produced), 0), coalesce(sum(a.stored), 0),
      coalesce(sum(a.lost), 0), coalesce(sum(a.produced - a.stored - a.lost), 0) FROM account a
$$;
REVOKE ALL ON FUNCTION hub_ledger_since(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_ledger_since(timestamptz) TO hub_app;

-- What a device went through: connection and battery, a row per change, the newest 200 of each device.
CREATE TABLE device_history (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id text NOT NULL REFERENCES device,
    at timestamptz NOT NULL,
    what text NOT NULL CHECK (what IN ('connected', 'disconnected', 'battery')),
    value int -- percent
);
CREATE INDEX ON device_history (device_id, number);
GRANT SELECT ON device_history TO hub_app;
CREATE FUNCTION hub_note_device() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.connected IS DISTINCT FROM OLD.connected THEN
        INSERT INTO device_history (device_id, at, what)
        VALUES (NEW.device_id, NEW.last_seen_at, CASE WHEN NEW.connected THEN 'connected' ELSE 'disconnected' END);
    END IF;
    IF NEW.battery_percent IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.battery_percent / 10 IS DISTINCT FROM OLD.battery_percent / 10) THEN
        INSERT INTO device_history (device_id, at, what, value)
        VALUES (NEW.device_id, NEW.last_seen_at, 'battery', NEW.battery_percent);
    END IF;
    DELETE FROM device_history WHERE device_id = NEW.device_id AND number <= (
        SELECT number FROM device_history WHERE device_id = NEW.device_id ORDER BY number DESC OFFSET 200 LIMIT 1);
    RETURN NULL;
END $$;
CREATE TRIGGER device_came AFTER INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION hub_note_device();
CREATE TRIGGER device_changed AFTER UPDATE ON device_state FOR EACH ROW
    WHEN (NEW.connected IS DISTINCT FROM OLD.connected
          OR NEW.battery_percent / 10 IS DISTINCT FROM OLD.battery_percent / 10)
    EXECUTE FUNCTION hub_note_device();

-- For who manages devices and sees no patient: states and counts of what devices record. The callers' services have
-- asked for the right to the device.
CREATE FUNCTION hub_devices_recording() RETURNS TABLE (device_id text, recording_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET hub.actor_kind = 'job' AS $$
    SELECT r.device_id, r.id FROM recording r WHERE r.status IN ('requested', 'recording', 'stopping')
$$;
CREATE FUNCTION hub_recording_account(of_recording uuid)
RETURNS TABLE (produced numeric, stored numeric, lost numeric, waiting numeric, lost_ranges bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET hub.actor_kind = 'job' AS $$
    SELECT coalesce(sum(b.produced_samples), 0), coalesce(sum(s.samples), 0), coalesce(sum(l.samples), 0),
      coalesce(sum(b.produced_samples - s.samples - l.samples), 0), coalesce(sum(l.ranges), 0)::bigint
    FROM recording_boot b
    CROSS JOIN LATERAL (SELECT coalesce(sum(upper(p) - lower(p)), 0) AS samples FROM unnest(b.have) p) s
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(upper(p) - lower(p)), 0) AS samples, count(*) AS ranges
        FROM unnest(int8multirange(int8range(0, least(b.oldest_sample, b.produced_samples))) - b.have) p) l
    WHERE b.recording_id = of_recording
$$;
CREATE FUNCTION hub_devices_account(device_ids text[])
RETURNS TABLE (device_id text, status text, fs_hz int, started_at timestamptz, produced numeric, stored numeric,
               lost numeric, waiting numeric, lost_ranges bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET hub.actor_kind = 'job' AS $$
    SELECT r.device_id, r.status, r.fs_hz, r.started_at, a.*
    FROM recording r CROSS JOIN LATERAL hub_recording_account(r.id) a
    WHERE r.device_id = ANY(device_ids) AND r.status IN ('requested', 'recording', 'stopping')
$$;
CREATE FUNCTION hub_device_recordings(of_device text, newest int)
RETURNS TABLE (of_recording uuid, status text, fs_hz int, requested_at timestamptz, started_at timestamptz,
               ended_at timestamptz, end_reason text, produced numeric, stored numeric, lost numeric, waiting numeric,
               lost_ranges bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET hub.actor_kind = 'job' AS $$
    SELECT r.id, r.status, r.fs_hz, r.requested_at, r.started_at, r.ended_at, r.end_reason, a.*
    FROM (SELECT * FROM recording WHERE device_id = of_device ORDER BY requested_at DESC LIMIT newest) r
    CROSS JOIN LATERAL hub_recording_account(r.id) a
$$;
CREATE FUNCTION hub_device_commands(of_device text)
RETURNS TABLE (command text, answer text, at timestamptz, waits boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET hub.actor_kind = 'job' AS $$
    (SELECT split_part(e.detail->>'command_id', '.', 1), e.detail->>'detail', e.received_at, false
     FROM recording_event e JOIN recording r ON r.id = e.recording_id
     WHERE r.device_id = of_device AND e.kind = 'command' ORDER BY e.received_at DESC LIMIT 50)
    UNION ALL
    (SELECT j.payload->>'command', NULL, j.run_at, true
     FROM job j JOIN recording r ON r.id = (j.payload->>'recording_id')::uuid
     WHERE j.kind = 'device.command' AND j.failed_at IS NULL AND r.device_id = of_device LIMIT 10)
$$;
CREATE FUNCTION hub_device_clock(of_device text) RETURNS TABLE (at timestamptz, offset_s double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET hub.actor_kind = 'job' AS $$
    SELECT c.at, c.offset_s FROM recording_clock c
    WHERE c.recording_id = (SELECT r.id FROM recording r WHERE r.device_id = of_device ORDER BY r.requested_at DESC LIMIT 1)
    ORDER BY c.at DESC LIMIT 200
$$;
CREATE FUNCTION hub_device_missing(of_device text)
RETURNS TABLE (shard text, recording_id uuid, boot bigint, missing int8multirange)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET hub.actor_kind = 'job' AS $$
    SELECT d.shard, r.id, b.boot, m.missing
    FROM device d JOIN recording r ON r.device_id = d.id AND r.status IN ('recording', 'stopping')
    JOIN recording_boot b ON b.recording_id = r.id
    CROSS JOIN LATERAL (
        SELECT int8multirange(int8range(least(b.oldest_sample, b.produced_samples), b.produced_samples)) - b.have AS missing) m
    WHERE d.id = of_device AND NOT isempty(m.missing)
$$;
REVOKE ALL ON FUNCTION hub_devices_recording(), hub_recording_account(uuid), hub_devices_account(text[]),
    hub_device_recordings(text, int), hub_device_commands(text), hub_device_clock(text), hub_device_missing(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_devices_recording(), hub_devices_account(text[]), hub_device_recordings(text, int),
    hub_device_commands(text), hub_device_clock(text), hub_device_missing(text) TO hub_app;
