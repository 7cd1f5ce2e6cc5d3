-- Backups that were made, and how long data are kept.

-- One row per attempt; the backup itself lies elsewhere (hub/core/backup_folder.py).
CREATE TABLE backup (
    id text PRIMARY KEY,
    kind text CHECK (kind IN ('base', 'increment')),
    at timestamptz NOT NULL,          -- it holds everything up to here
    finished_at timestamptz NOT NULL,
    file_count bigint,
    added_bytes bigint,
    damaged_files int,                -- stored files whose bytes no longer fit their name
    counted boolean,                  -- whether rows were counted at a quiet instant
    failure text,                     -- why there is none; no patient data
    CHECK ((kind IS NULL) = (failure IS NOT NULL))
);
CREATE INDEX ON backup (at);
GRANT SELECT, INSERT ON backup TO hub_app;
GRANT SELECT ON migration TO hub_app; -- how old the installation is

-- Retention as data: nothing is deleted before an administrator switches a rule on, nor earlier than the law allows.
-- The kinds and their words are a table of the code (hub/core/retention.py).
CREATE TABLE retention_rule (
    kind text PRIMARY KEY,
    minimum_days int NOT NULL,
    keep_days int NOT NULL CHECK (keep_days >= minimum_days),
    enabled boolean NOT NULL DEFAULT false,
    changed_by uuid REFERENCES account,
    changed_at timestamptz,
    CHECK (NOT enabled OR changed_by IS NOT NULL)
);
INSERT INTO retention_rule (kind, minimum_days, keep_days) VALUES
    ('study', 5479, 5479),       -- 15 years of at most 366 days in four
    ('consultation', 1096, 1096), -- 3 years
    ('log', 184, 184),           -- 6 months
    ('monitoring', 90, 90);
GRANT SELECT, UPDATE (keep_days, enabled, changed_by, changed_at) ON retention_rule TO hub_app;

-- Up to which day values of patients have been looked at by a rule: what was kept then stays kept.
CREATE TABLE retention_progress (
    rule text PRIMARY KEY REFERENCES retention_rule,
    swept_until date NOT NULL
);

-- Removes a recording with everything that hangs on it: samples, findings, alarms, study, reports. Returns the files
-- that no row speaks of any more. Only for the hub's own job, which has seen that it is due and holds its row.
CREATE FUNCTION hub_remove_recording(of_recording uuid) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    studies uuid[];
    files text[];
    low_at timestamptz;
    high_at timestamptz;
    of_boot bigint;
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    studies := ARRAY(SELECT id FROM study WHERE recording_id = of_recording);
    files := ARRAY(SELECT DISTINCT pdf_sha256 FROM report WHERE study_id = ANY (studies) AND pdf_sha256 IS NOT NULL);
    DELETE FROM report_delivery WHERE report_id IN (SELECT id FROM report WHERE study_id = ANY (studies));
    DELETE FROM report WHERE study_id = ANY (studies);
    DELETE FROM report_draft WHERE task_id IN (SELECT id FROM task WHERE study_id = ANY (studies));
    DELETE FROM task WHERE study_id = ANY (studies);
    DELETE FROM study WHERE id = ANY (studies);
    DELETE FROM analysis_edit WHERE analysis_id IN (SELECT id FROM analysis WHERE recording_id = of_recording);
    DELETE FROM analysis WHERE recording_id = of_recording;
    DELETE FROM alarm_log WHERE alarm_id IN (SELECT id FROM alarm WHERE recording_id = of_recording);
    DELETE FROM alarm WHERE recording_id = of_recording;
    DELETE FROM finding WHERE recording_id = of_recording;
    -- By the time line of each boot, so that only its days are touched, of thousands.
    FOR of_boot, low_at, high_at IN
        SELECT b.boot, ecg_instant(b.anchor_at, -10 * r.fs_hz, r.fs_hz),
            ecg_instant(b.anchor_at, coalesce(upper(b.have), 0) + 10 * r.fs_hz, r.fs_hz)
        FROM recording r JOIN recording_boot b ON b.recording_id = r.id WHERE r.id = of_recording
    LOOP
        DELETE FROM ecg_packet p
        WHERE p.recording_id = of_recording AND p.boot = of_boot AND p.at >= low_at AND p.at <= high_at;
        DELETE FROM ecg_block e
        WHERE e.recording_id = of_recording AND e.boot = of_boot AND e.at >= low_at AND e.at <= high_at;
    END LOOP;
    DELETE FROM ecg_storage WHERE recording_id = of_recording;
    DELETE FROM analyser_state WHERE recording_id = of_recording;
    DELETE FROM recording_event WHERE recording_id = of_recording;
    DELETE FROM recording_clock WHERE recording_id = of_recording;
    DELETE FROM recording_boot WHERE recording_id = of_recording;
    DELETE FROM recording WHERE id = of_recording;
    RETURN QUERY DELETE FROM stored_file f
    WHERE f.sha256 = ANY (files) AND NOT EXISTS (SELECT FROM report WHERE pdf_sha256 = f.sha256) RETURNING f.sha256;
END $$;

-- A request whose recordings are gone, made before an instant.
CREATE FUNCTION hub_remove_request(of_request uuid, before timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    DELETE FROM service_request q WHERE q.id = of_request AND q.created_at < before
        AND NOT EXISTS (SELECT FROM recording WHERE service_request_id = q.id)
        AND NOT EXISTS (SELECT FROM study WHERE service_request_id = q.id);
    RETURN FOUND;
END $$;

-- Values of a patient that belong to something that is kept: measured within a day of a recording that was asked for,
-- or of an alarm.
CREATE FUNCTION hub_value_is_bound(of_patient uuid, measured_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM recording r WHERE r.patient_id = of_patient
            AND (r.service_request_id IS NOT NULL OR EXISTS (SELECT FROM study s WHERE s.recording_id = r.id))
            AND measured_at BETWEEN coalesce(r.started_at, r.requested_at) - interval '1 day'
                AND coalesce(r.ended_at, 'infinity') + interval '1 day')
        OR EXISTS (SELECT FROM alarm a WHERE a.patient_id = of_patient
            AND measured_at BETWEEN a.onset_at - interval '1 day' AND a.onset_at + interval '1 day')
$$;

-- Removes up to `most` values of patients of the oldest day not looked at yet, or says that there is no such day (NULL).
-- Rule 'monitoring' takes what is bound to nothing, 'study' the rest. Equipment (a fridge) is not a patient.
CREATE FUNCTION hub_remove_values(by_rule text, before timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    next_day date;
    low_at timestamptz;
    high_at timestamptz;
    gone bigint;
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    SELECT min(d.day) INTO next_day FROM ecg_day d
    WHERE d.day > coalesce((SELECT swept_until FROM retention_progress WHERE rule = by_rule), '-infinity')
      AND (d.day + 1)::timestamp AT TIME ZONE 'UTC' <= before;
    IF next_day IS NULL THEN
        RETURN NULL;
    END IF;
    low_at := next_day::timestamp AT TIME ZONE 'UTC';
    high_at := (next_day + 1)::timestamp AT TIME ZONE 'UTC';
    WITH due AS (
        SELECT v.device_id, v.code, v.at FROM vital v
        WHERE v.at >= low_at AND v.at < high_at AND v.patient_id IS NOT NULL
          AND (by_rule = 'study' OR NOT hub_value_is_bound(v.patient_id, v.at)) LIMIT most
    )
    DELETE FROM vital v USING due d
    WHERE v.at >= low_at AND v.at < high_at AND (v.device_id, v.code, v.at) = (d.device_id, d.code, d.at);
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone < most THEN
        INSERT INTO retention_progress VALUES (by_rule, next_day)
        ON CONFLICT (rule) DO UPDATE SET swept_until = excluded.swept_until;
    END IF;
    RETURN gone;
END $$;

-- What the function above would remove, of the first `days` days.
CREATE FUNCTION hub_due_values(by_rule text, before timestamptz, days int)
RETURNS TABLE (number bigint, oldest_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    next_day date;
    found bigint;
    first_at timestamptz;
BEGIN
    number := 0;
    FOR next_day IN
        SELECT d.day FROM ecg_day d
        WHERE d.day > coalesce((SELECT swept_until FROM retention_progress WHERE rule = by_rule), '-infinity')
          AND (d.day + 1)::timestamp AT TIME ZONE 'UTC' <= before ORDER BY d.day LIMIT days
    LOOP
        SELECT count(*), min(v.at) INTO found, first_at FROM vital v
        WHERE v.at >= next_day::timestamp AT TIME ZONE 'UTC' AND v.at < (next_day + 1)::timestamp AT TIME ZONE 'UTC'
          AND v.patient_id IS NOT NULL AND (by_rule = 'study' OR NOT hub_value_is_bound(v.patient_id, v.at));
        number := number + found;
        oldest_at := least(oldest_at, first_at);
    END LOOP;
    RETURN NEXT;
END $$;

REVOKE ALL ON FUNCTION hub_remove_recording(uuid), hub_remove_request(uuid, timestamptz),
    hub_value_is_bound(uuid, timestamptz), hub_remove_values(text, timestamptz, int),
    hub_due_values(text, timestamptz, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_remove_recording(uuid), hub_remove_request(uuid, timestamptz),
    hub_remove_values(text, timestamptz, int), hub_due_values(text, timestamptz, int) TO hub_app;
GRANT DELETE ON set_aside TO hub_app; -- rule 'log': those an operator has discarded
