-- What refers to a row that may be removed one day is found by an index: else each row that goes reads the whole table.
CREATE INDEX ON dicom_forwarded (dicom_instance_id);
CREATE INDEX ON dicom_instance (dicom_series_id);
CREATE INDEX ON image_annotation (dicom_instance_id);
DROP INDEX image_annotation_dicom_study_id_idx; -- of those not removed alone
CREATE INDEX ON image_annotation (dicom_study_id);
CREATE INDEX ON alarm (recording_id);
CREATE INDEX ON study (service_request_id);
CREATE INDEX ON task (study_id);
CREATE INDEX ON report (task_id);
CREATE INDEX ON upload (service_request_id);
-- And files, by each table that may speak of them (hub_file_is_kept); a viewer asks which recording an instance became.
CREATE INDEX ON recording (file_sha256, id) WHERE file_sha256 IS NOT NULL;
CREATE INDEX ON report (pdf_sha256) WHERE pdf_sha256 IS NOT NULL;
CREATE INDEX ON upload (sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX ON dicom_set_aside (sha256);
-- The oldest study first, as retention removes them.
CREATE INDEX ON dicom_study (first_at);
-- Whether an instance that came under a UID was set aside (storage commitment).
CREATE INDEX ON dicom_set_aside (organisation_id, sop_uid) WHERE reason = 'other-content';

-- Copies of an archive that was there before wait behind what is due already, not ahead of everything (0021).
UPDATE job SET run_at = greatest(run_at, (SELECT max(applied_at) FROM migration))
WHERE kind = 'imaging.copies' AND failed_at IS NULL;

-- Rule 'log': what nodes asked of commitment, long after they were told.
GRANT DELETE ON dicom_commitment TO hub_app;
CREATE INDEX ON dicom_commitment (asked_at);

-- A copy that another takes the place of: its file goes a day later, as a backup may be at work, unless a row speaks of
-- it. Its row is locked first: who is about to refer to it holds it.
CREATE FUNCTION dicom_copy_replaced() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET hub.actor_kind = 'job' AS $$
BEGIN
    PERFORM FROM stored_file WHERE sha256 = OLD.file_sha256 FOR UPDATE;
    DELETE FROM stored_file WHERE sha256 = OLD.file_sha256 AND NOT hub_file_is_kept(OLD.file_sha256);
    IF FOUND THEN
        INSERT INTO job (kind, unique_key, payload, run_at, created_at)
        VALUES ('retention.file', OLD.file_sha256, jsonb_build_object('sha256', OLD.file_sha256),
            NEW.made_at + interval '1 day', NEW.made_at)
        ON CONFLICT (kind, unique_key) WHERE failed_at IS NULL DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION dicom_copy_replaced() FROM PUBLIC;
CREATE TRIGGER replaced AFTER UPDATE OF file_sha256 ON dicom_pixels FOR EACH ROW
    WHEN (OLD.file_sha256 IS DISTINCT FROM NEW.file_sha256 AND OLD.file_sha256 IS NOT NULL)
    EXECUTE FUNCTION dicom_copy_replaced();

-- Removes a reading study that nothing is bound to any more, as its images turned out to be another patient's: what was
-- read, and what was sent in for its request alone. Only for the hub's own job, as in 0008.
CREATE INDEX study_unbound ON study (created_at) WHERE recording_id IS NULL AND dicom_study_id IS NULL;
CREATE FUNCTION hub_remove_reading(of_study uuid) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    files text[];
    of_request uuid;
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    SELECT service_request_id INTO of_request FROM study
    WHERE id = of_study AND recording_id IS NULL AND dicom_study_id IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a study that is bound goes with what it is bound to';
    END IF;
    files := ARRAY(SELECT pdf_sha256 FROM report WHERE study_id = of_study AND pdf_sha256 IS NOT NULL);
    IF NOT EXISTS (SELECT FROM recording WHERE service_request_id = of_request)
        AND NOT EXISTS (SELECT FROM dicom_study WHERE service_request_id = of_request)
        AND NOT EXISTS (SELECT FROM study WHERE service_request_id = of_request AND id <> of_study) THEN
        files := files || ARRAY(SELECT sha256 FROM upload WHERE service_request_id = of_request AND sha256 IS NOT NULL);
        DELETE FROM upload WHERE service_request_id = of_request;
    END IF;
    DELETE FROM report_delivery WHERE report_id IN (SELECT id FROM report WHERE study_id = of_study);
    DELETE FROM report WHERE study_id = of_study;
    DELETE FROM report_draft WHERE task_id IN (SELECT id FROM task WHERE study_id = of_study);
    DELETE FROM task WHERE study_id = of_study;
    DELETE FROM study WHERE id = of_study;
    RETURN QUERY DELETE FROM stored_file f
    WHERE f.sha256 = ANY (files) AND NOT hub_file_is_kept(f.sha256) RETURNING f.sha256;
END $$;
REVOKE ALL ON FUNCTION hub_remove_reading(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_remove_reading(uuid) TO hub_app;
