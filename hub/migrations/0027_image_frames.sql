-- Where a frame and its serving copy lie, in one round trip: a viewer asks for hundreds of them. Tells who acts before it
-- touches a table; the study is found under its policy, and what belongs to it without asking the same again for each table.
CREATE FUNCTION dicom_frame(of_kind text, of_id text, of_at timestamptz, of_instance_id uuid, of_study text, of_series text,
    of_instance text, of_frame int)
RETURNS TABLE (study_id uuid, patient_id uuid, organisation_id uuid, original_sha256 text, state text, fault text,
    media_type text, file_sha256 text, native jsonb, layout jsonb, frame jsonb)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    its_study uuid;
    seen uuid[];
    found uuid := of_instance_id;
BEGIN
    PERFORM set_config('hub.actor_id', of_id, true), set_config('hub.at', of_at::text, true),
        set_config('hub.actor_kind', 'job', true);
    IF found IS NOT NULL THEN
        SELECT dicom_study_id INTO its_study FROM dicom_instance WHERE id = found;
    END IF;
    PERFORM set_config('hub.actor_kind', of_kind, true);
    IF found IS NOT NULL THEN
        SELECT array_agg(id) INTO seen FROM dicom_study WHERE id = its_study;
    ELSE
        SELECT array_agg(id) INTO seen FROM dicom_study WHERE study_uid = of_study;
    END IF;
    PERFORM set_config('hub.actor_kind', 'job', true);
    IF found IS NULL AND of_instance IS NOT NULL THEN -- unique within an organisation: the first of those that are seen
        SELECT i.id INTO found FROM dicom_study s
        JOIN dicom_instance i ON i.organisation_id = s.organisation_id AND i.sop_uid = of_instance AND i.dicom_study_id = s.id
        JOIN dicom_series e ON e.id = i.dicom_series_id AND e.series_uid = of_series
        WHERE s.id = ANY (seen) ORDER BY s.id LIMIT 1;
    ELSIF found IS NULL THEN -- in the middle of the first series that shows anything
        SELECT id INTO found FROM (
            SELECT i.id, e.number, e.id AS series_id, count(*) OVER (PARTITION BY e.id) AS images,
              row_number() OVER (PARTITION BY e.id ORDER BY i.number NULLS LAST, i.id) AS place
            FROM dicom_series e JOIN dicom_instance i ON i.dicom_series_id = e.id
            WHERE e.dicom_study_id = ANY (seen) AND i.dicom_study_id = ANY (seen)
              AND (of_series IS NULL OR e.series_uid = of_series) AND i.rows IS NOT NULL
        ) AS numbered ORDER BY number NULLS LAST, series_id, abs(2 * place - images - 1) LIMIT 1;
    END IF;
    RETURN QUERY
    SELECT s.id, s.patient_id, s.organisation_id, i.file_sha256, p.state, p.fault, p.media_type, p.file_sha256, p.native,
      p.layout - '{frames,overlays,regions}'::text[], p.layout->'frames'->(of_frame - 1)
    FROM dicom_instance i JOIN dicom_study s ON s.id = i.dicom_study_id
    LEFT JOIN dicom_pixels p ON p.dicom_instance_id = i.id
    WHERE i.id = found AND s.id = ANY (seen);
    PERFORM set_config('hub.actor_kind', of_kind, true);
END $$;
REVOKE ALL ON FUNCTION dicom_frame(text, text, timestamptz, uuid, text, text, text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dicom_frame(text, text, timestamptz, uuid, text, text, text, int) TO hub_app;
