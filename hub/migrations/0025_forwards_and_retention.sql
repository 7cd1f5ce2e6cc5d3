-- Copies on their way to other nodes are seen by who runs the node; and studies of images may be deleted one day.

ALTER TABLE dicom_forward DROP CONSTRAINT dicom_forward_state_check;
ALTER TABLE dicom_forward
    ADD CHECK (state IN ('waiting', 'sent', 'refused', 'given-up')),
    ADD COLUMN given_up_by uuid REFERENCES account, -- nobody: it was tried for as long as it is
    ADD CHECK (given_up_by IS NULL OR state = 'given-up');
CREATE INDEX ON dicom_forward (queued_at);
ALTER POLICY reach ON dicom_forward USING (
    (SELECT hub_is_job()) OR EXISTS (SELECT FROM dicom_study s WHERE s.id = dicom_study_id)
    OR dicom_node_id IN (SELECT n.id FROM dicom_node n
        WHERE n.organisation_id IN (SELECT hub_operated_organisations()))
);

-- How many instances a forward is about; an operator may not see them.
CREATE FUNCTION hub_forward_size(forward uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET hub.actor_kind = 'job' AS $$
    SELECT count(*) FROM dicom_forward f JOIN dicom_instance i ON i.dicom_study_id = f.dicom_study_id WHERE f.id = forward
$$;
REVOKE ALL ON FUNCTION hub_forward_size(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_forward_size(uuid) TO hub_app;

-- Removes a DICOM study with everything that hangs on it: objects, marks, copies, what was read of it, what was sent in
-- for its request alone. Returns the files that no row speaks of any more. Only for the hub's own job, as in 0008.
CREATE FUNCTION hub_remove_images(of_study uuid) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    read uuid[];
    files text[];
    of_request uuid;
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    SELECT service_request_id INTO of_request FROM dicom_study WHERE id = of_study;
    read := ARRAY(SELECT id FROM study WHERE dicom_study_id = of_study);
    files := ARRAY(SELECT file_sha256 FROM dicom_instance WHERE dicom_study_id = of_study
        UNION SELECT p.file_sha256 FROM dicom_pixels p JOIN dicom_instance i ON i.id = p.dicom_instance_id
            WHERE i.dicom_study_id = of_study AND p.file_sha256 IS NOT NULL
        UNION SELECT pdf_sha256 FROM report WHERE study_id = ANY (read) AND pdf_sha256 IS NOT NULL);
    IF NOT EXISTS (SELECT FROM recording WHERE service_request_id = of_request)
        AND NOT EXISTS (SELECT FROM dicom_study WHERE service_request_id = of_request AND id <> of_study) THEN
        files := files || ARRAY(SELECT sha256 FROM upload WHERE service_request_id = of_request AND sha256 IS NOT NULL);
        DELETE FROM upload WHERE service_request_id = of_request;
    END IF;
    DELETE FROM report_delivery WHERE report_id IN (SELECT id FROM report WHERE study_id = ANY (read));
    DELETE FROM report WHERE study_id = ANY (read);
    DELETE FROM report_draft WHERE task_id IN (SELECT id FROM task WHERE study_id = ANY (read));
    DELETE FROM task WHERE study_id = ANY (read);
    DELETE FROM study WHERE id = ANY (read);
    DELETE FROM key_image WHERE dicom_study_id = of_study;
    DELETE FROM image_annotation WHERE dicom_study_id = of_study;
    DELETE FROM dicom_forwarded WHERE dicom_forward_id IN (SELECT id FROM dicom_forward WHERE dicom_study_id = of_study);
    DELETE FROM dicom_forward WHERE dicom_study_id = of_study;
    DELETE FROM dicom_pixels WHERE dicom_instance_id IN (SELECT id FROM dicom_instance WHERE dicom_study_id = of_study);
    DELETE FROM dicom_metadata WHERE dicom_instance_id IN (SELECT id FROM dicom_instance WHERE dicom_study_id = of_study);
    DELETE FROM dicom_series_metadata WHERE dicom_series_id IN (SELECT id FROM dicom_series WHERE dicom_study_id = of_study);
    DELETE FROM dicom_instance WHERE dicom_study_id = of_study;
    DELETE FROM dicom_series WHERE dicom_study_id = of_study;
    DELETE FROM dicom_study WHERE id = of_study;
    RETURN QUERY DELETE FROM stored_file f
    WHERE f.sha256 = ANY (files) AND NOT hub_file_is_kept(f.sha256) RETURNING f.sha256;
END $$;
REVOKE ALL ON FUNCTION hub_remove_images(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_remove_images(uuid) TO hub_app;

-- As in 0008; images, and what was sent in, belong to it, too.
CREATE OR REPLACE FUNCTION hub_remove_request(of_request uuid, before timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT hub_is_job() THEN
        RAISE insufficient_privilege;
    END IF;
    DELETE FROM service_request q WHERE q.id = of_request AND q.created_at < before
        AND NOT EXISTS (SELECT FROM recording WHERE service_request_id = q.id)
        AND NOT EXISTS (SELECT FROM study WHERE service_request_id = q.id)
        AND NOT EXISTS (SELECT FROM dicom_study WHERE service_request_id = q.id)
        AND NOT EXISTS (SELECT FROM upload WHERE service_request_id = q.id);
    RETURN FOUND;
END $$;
