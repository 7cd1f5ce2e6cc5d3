-- What a clinic sends in as a file: uploads, recordings made of files, and what a request expects.

CREATE SEQUENCE accession_number;
GRANT USAGE ON SEQUENCE accession_number TO hub_app;
ALTER TABLE service_request
    ADD COLUMN accession text NOT NULL UNIQUE DEFAULT 'T' || lpad(nextval('accession_number')::text, 9, '0'), -- DICOM SH
    ADD COLUMN modality text,           -- DICOM (0008,0060) of what is wanted; of imaging
    ADD COLUMN body_part text,
    ADD COLUMN expected_instances int CHECK (expected_instances > 0); -- images the clinic will send, if it knows

-- A recording comes from a device or from a file, whose bytes are kept.
ALTER TABLE recording ALTER COLUMN device_id DROP NOT NULL,
    ADD COLUMN file_sha256 text REFERENCES stored_file,
    ADD COLUMN file_part text NOT NULL DEFAULT '', -- of a zip that holds several recordings
    ADD COLUMN source_name text,  -- recorder or format, as the file names it
    ADD COLUMN filters jsonb,     -- what the file says of the recorder's filters (ecg.record.Record)
    ADD COLUMN start_known boolean NOT NULL DEFAULT true,
    ADD CHECK ((device_id IS NULL) = (file_sha256 IS NOT NULL));
CREATE UNIQUE INDEX recording_file ON recording (service_request_id, file_sha256, file_part) WHERE file_sha256 IS NOT NULL;

CREATE TABLE upload (
    id uuid PRIMARY KEY,
    service_request_id uuid NOT NULL REFERENCES service_request,
    patient_id uuid NOT NULL REFERENCES patient,
    organisation_id uuid NOT NULL REFERENCES organisation,
    account_id uuid NOT NULL REFERENCES account,
    file_name text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    declared_sha256 text NOT NULL CHECK (declared_sha256 ~ '^[0-9a-f]{64}$'),
    offset_bytes bigint NOT NULL DEFAULT 0 CHECK (offset_bytes BETWEEN 0 AND size_bytes), -- on disk for good
    state text NOT NULL CHECK (state IN ('receiving', 'received', 'taken-in', 'set-aside', 'expired')),
    sha256 text REFERENCES stored_file, -- once every byte is there and is what was declared
    reason jsonb,                       -- of what is set aside: {"zh-CN": ..., "en": ...}
    contents jsonb NOT NULL DEFAULT '[]', -- what was found in it
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,    -- an unfinished one is given up then
    received_at timestamptz,
    settled_at timestamptz,
    CHECK ((sha256 IS NULL) = (state IN ('receiving', 'expired')))
);
CREATE UNIQUE INDEX upload_once ON upload (service_request_id, declared_sha256) WHERE state <> 'expired';
CREATE INDEX upload_open ON upload (expires_at) WHERE state = 'receiving';
ALTER TABLE upload ENABLE ROW LEVEL SECURITY;
ALTER TABLE upload FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON upload USING (EXISTS (SELECT FROM patient p WHERE p.id = patient_id));
GRANT SELECT, INSERT, UPDATE ON upload TO hub_app;

-- The ledger of a recording made of a file: one boot, complete. Its samples come by ecg_compact, in the same transaction.
CREATE FUNCTION recording_of_file(of_recording uuid, anchor timestamptz, samples bigint, stored int8multirange)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    INSERT INTO recording_boot (recording_id, boot, anchor_at, produced_samples, oldest_sample, final_samples,
        final_known, have)
    SELECT r.id, 0, anchor, samples, samples, samples, true, stored FROM recording r
    WHERE r.id = of_recording AND r.file_sha256 IS NOT NULL;
END $$;
REVOKE ALL ON FUNCTION recording_of_file(uuid, timestamptz, bigint, int8multirange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION recording_of_file(uuid, timestamptz, bigint, int8multirange) TO hub_app;

-- Whether any row still speaks of a stored file.
CREATE FUNCTION hub_file_is_kept(file text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM report WHERE pdf_sha256 = file)
        OR EXISTS (SELECT FROM recording WHERE file_sha256 = file)
        OR EXISTS (SELECT FROM upload WHERE sha256 = file)
$$;

-- As in 0008, and the files a recording was made of.
CREATE OR REPLACE FUNCTION hub_remove_recording(of_recording uuid) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    studies uuid[];
    files text[];
    low_at timestamptz;
    high_at timestamptz;
    of_boot bigint;
    of_request uuid;
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    studies := ARRAY(SELECT id FROM study WHERE recording_id = of_recording);
    files := ARRAY(SELECT DISTINCT pdf_sha256 FROM report WHERE study_id = ANY (studies) AND pdf_sha256 IS NOT NULL);
    SELECT service_request_id, files || file_sha256 INTO of_request, files FROM recording WHERE id = of_recording;
    -- With the last recording of a request goes all that was sent in for it.
    IF NOT EXISTS (SELECT FROM recording WHERE service_request_id = of_request AND id <> of_recording) THEN
        files := files || ARRAY(SELECT sha256 FROM upload WHERE service_request_id = of_request AND sha256 IS NOT NULL);
        DELETE FROM upload WHERE service_request_id = of_request;
    END IF;
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
    WHERE f.sha256 = ANY (files) AND NOT hub_file_is_kept(f.sha256) RETURNING f.sha256;
END $$;
