-- Clocks by boot, the second look at late data, and how fast a backlog comes.

-- Each boot has a time line of its own, since a restart may set the clock. Of each ten minutes the quickest packet.
ALTER TABLE recording_clock ADD COLUMN boot bigint, ADD COLUMN slot bigint,
    ADD COLUMN device_s double precision; -- what the device's own clock said then (unix), as it was told
UPDATE recording_clock c SET slot = floor(extract(epoch FROM c.at) / 600)::bigint, boot = (
    SELECT b.boot FROM recording_boot b WHERE b.recording_id = c.recording_id
    ORDER BY b.anchor_at > c.at, abs(extract(epoch FROM b.anchor_at - c.at)) LIMIT 1);
DELETE FROM recording_clock c WHERE c.boot IS NULL OR EXISTS (
    SELECT FROM recording_clock q WHERE (q.recording_id, q.boot, q.slot) = (c.recording_id, c.boot, c.slot)
    AND (q.offset_s, q.at) < (c.offset_s, c.at));
ALTER TABLE recording_clock DROP CONSTRAINT recording_clock_pkey, ALTER COLUMN boot SET NOT NULL,
    ALTER COLUMN slot SET NOT NULL, ADD PRIMARY KEY (recording_id, boot, slot);
GRANT UPDATE ON recording_clock TO hub_ingest;

-- In order of the boots: a clock that was set back may put the later one earlier.
CREATE OR REPLACE FUNCTION recording_boots(of_recording uuid) RETURNS SETOF recording_boot
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT b.* FROM recording r JOIN recording_boot b ON b.recording_id = r.id
    WHERE r.id = of_recording ORDER BY b.boot
$$;

-- Since when the findings of record are those of a whole analysis, which no look at ten minutes replaces.
ALTER TABLE recording ADD COLUMN whole_findings_at timestamptz;

-- Seconds of signal a device held back that arrive each second now; NULL: nobody can say.
ALTER TABLE device_state ADD COLUMN backlog_per_s real, ADD COLUMN clock_drift_ppm real;

-- How far the device's clock was off (hub minus device) as far as it was known: `at` is the device's word.
ALTER TABLE vital ADD COLUMN offset_s double precision NOT NULL DEFAULT 0;
-- Where the device's word is no time of this season, or none at all (relative to its arrival): the instant it was given
-- when it came first, so that it is stored once however often it comes.
CREATE TABLE vital_told (
    device_id text NOT NULL,
    code text NOT NULL,
    told text NOT NULL, -- as the device told it; relative ones by their delivery
    at timestamptz NOT NULL,
    PRIMARY KEY (device_id, code, told)
);
CREATE INDEX ON vital_told (at);
GRANT SELECT, INSERT, UPDATE ON vital_told TO hub_ingest;
GRANT SELECT (told, at), DELETE ON vital_told TO hub_app; -- a job forgets deliveries that come no more
-- By the hub's clock; the device's may be off by up to a day.
CREATE OR REPLACE FUNCTION patient_vitals(of_patient uuid, from_at timestamptz, to_at timestamptz) RETURNS SETOF vital
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT v.* FROM patient p JOIN vital v ON v.patient_id = p.id
    WHERE p.id = of_patient AND v.at >= from_at - interval '1 day' AND v.at < to_at + interval '1 day'
      AND v.at + make_interval(secs => v.offset_s) >= from_at AND v.at + make_interval(secs => v.offset_s) < to_at
    ORDER BY v.at + make_interval(secs => v.offset_s), v.code
$$;

-- Whom a late alarm concerns first, since nobody stands at the bed any more.
ALTER TABLE alarm ADD COLUMN addressee_id uuid REFERENCES account;
CREATE FUNCTION hub_alarm_addressee(of_recording uuid, instant timestamptz) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(
        (SELECT q.requester_id FROM recording r JOIN service_request q ON q.id = r.service_request_id
         JOIN account a ON a.id = q.requester_id WHERE r.id = of_recording AND a.disabled_at IS NULL),
        (SELECT x.account_id FROM recording r
         JOIN organisation_closure c ON c.descendant = r.organisation_id
         JOIN role_assignment x ON x.organisation_id = c.ancestor AND x.role = 'organisation_admin'
         JOIN account a ON a.id = x.account_id AND a.disabled_at IS NULL
         WHERE r.id = of_recording AND x.valid_from <= instant
           AND (x.valid_until IS NULL OR x.valid_until > instant)
         ORDER BY c.depth, x.valid_from LIMIT 1))
$$;
REVOKE ALL ON FUNCTION hub_alarm_addressee(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_alarm_addressee(uuid, timestamptz) TO hub_app, hub_ingest;
