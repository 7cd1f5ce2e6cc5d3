-- Images that turn out to be another patient's keep nothing of the first one's report: what the hub has added to the
-- study and what was chosen or marked on it go. The report, which names what it showed, stays as it was signed.

CREATE FUNCTION hub_remove_own_objects(of_study uuid) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    own uuid[];
    of_series uuid[];
    files text[];
BEGIN
    own := ARRAY(SELECT id FROM dicom_instance WHERE dicom_study_id = of_study AND sent_by = 'hub');
    of_series := ARRAY(SELECT DISTINCT dicom_series_id FROM dicom_instance WHERE id = ANY (own));
    files := ARRAY(SELECT file_sha256 FROM dicom_instance WHERE id = ANY (own)
        UNION SELECT file_sha256 FROM dicom_pixels WHERE dicom_instance_id = ANY (own) AND file_sha256 IS NOT NULL);
    DELETE FROM key_image WHERE dicom_study_id = of_study;
    DELETE FROM image_annotation WHERE dicom_instance_id = ANY (own);
    UPDATE image_annotation SET removed_at = hub_at() WHERE dicom_study_id = of_study AND removed_at IS NULL;
    DELETE FROM dicom_forwarded WHERE dicom_instance_id = ANY (own);
    DELETE FROM dicom_pixels WHERE dicom_instance_id = ANY (own);
    DELETE FROM dicom_metadata WHERE dicom_instance_id = ANY (own);
    DELETE FROM dicom_series_metadata WHERE dicom_series_id = ANY (of_series);
    DELETE FROM dicom_instance WHERE id = ANY (own);
    DELETE FROM dicom_series e WHERE e.id = ANY (of_series)
        AND NOT EXISTS (SELECT FROM dicom_instance i WHERE i.dicom_series_id = e.id);
    WITH gone AS (
        DELETE FROM stored_file f WHERE f.sha256 = ANY (files) AND NOT hub_file_is_kept(f.sha256) RETURNING f.sha256
    )
    INSERT INTO job (kind, unique_key, payload, run_at, created_at)
    SELECT 'retention.file', sha256, jsonb_build_object('sha256', sha256), hub_at() + interval '1 day', hub_at() FROM gone
    ON CONFLICT (kind, unique_key) WHERE failed_at IS NULL DO NOTHING;
    RETURN cardinality(own);
END $$;
REVOKE ALL ON FUNCTION hub_remove_own_objects(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_remove_own_objects(uuid) TO hub_app;
