-- What goes out by query and retrieval: which nodes may ask, and ready-made JSON of studies and series to answer with.

ALTER TABLE dicom_node ADD COLUMN may_query boolean NOT NULL DEFAULT false;

-- The organisation of the node that acts, as long as it may do anything of its own accord; and if it may do this. Their
-- plans are kept for the session, which those of SQL functions are not: every policy of images asks.
CREATE OR REPLACE FUNCTION hub_node_organisation() RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF current_setting('hub.actor_kind', true) IS DISTINCT FROM 'node' THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT organisation_id FROM dicom_node WHERE disabled_at IS NULL AND (may_send OR may_query)
        AND id = current_setting('hub.actor_id', true)::uuid);
END $$;
CREATE FUNCTION hub_node_organisation(to_do text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF current_setting('hub.actor_kind', true) IS DISTINCT FROM 'node' THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT organisation_id FROM dicom_node WHERE disabled_at IS NULL
        AND CASE to_do WHEN 'send' THEN may_send WHEN 'query' THEN may_query ELSE false END
        AND id = current_setting('hub.actor_id', true)::uuid);
END $$;

-- As in 0016. Who acts is found out once for a statement, not for each row; one who only asks writes nothing.
ALTER POLICY reach ON dicom_study USING (
    (SELECT hub_is_job())
    OR organisation_id = (SELECT hub_node_organisation())
    OR organisation_id IN (SELECT hub_care_organisations())
    OR EXISTS (SELECT FROM patient p WHERE p.id = patient_id)
) WITH CHECK (
    (SELECT hub_is_job())
    OR organisation_id = (SELECT hub_node_organisation('send'))
    OR organisation_id IN (SELECT hub_care_organisations())
    OR EXISTS (SELECT FROM patient p WHERE p.id = patient_id)
);
ALTER POLICY reach ON dicom_set_aside USING (
    (SELECT hub_is_job())
    OR organisation_id = (SELECT hub_node_organisation('send'))
    OR organisation_id IN (SELECT hub_care_organisations())
);

-- DICOM JSON of what a study and a series have in common (`document`), and what of it is listed when nothing more is
-- asked for (`listed`, as it is sent). Made by the job that indexes; null until then.
ALTER TABLE dicom_study
    ADD COLUMN document jsonb,
    ADD COLUMN listed text,
    ADD COLUMN name_alphabetic text NOT NULL DEFAULT '', -- groups of the patient's name, case folded (dicom/matching.py)
    ADD COLUMN name_ideographic text NOT NULL DEFAULT '',
    ADD COLUMN name_phonetic text NOT NULL DEFAULT '';
ALTER TABLE dicom_series ADD COLUMN document jsonb, ADD COLUMN listed text;
ALTER TABLE dicom_metadata ADD COLUMN listed text;
GRANT UPDATE ON dicom_series TO hub_app;

-- DICOM JSON of all instances of a series in their order, as they are asked for together: between the brackets of one
-- list, zstandard. Made when its study is complete; taken away when another instance comes.
CREATE TABLE dicom_series_metadata (
    dicom_series_id uuid PRIMARY KEY REFERENCES dicom_series,
    instances int NOT NULL,
    body bytea NOT NULL
);
ALTER TABLE dicom_series_metadata ALTER COLUMN body SET STORAGE EXTERNAL; -- it is compressed
ALTER TABLE dicom_series_metadata ENABLE ROW LEVEL SECURITY;
ALTER TABLE dicom_series_metadata FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON dicom_series_metadata
    USING ((SELECT hub_is_job()) OR EXISTS (SELECT FROM dicom_series e WHERE e.id = dicom_series_id));
GRANT SELECT, INSERT, DELETE ON dicom_series_metadata TO hub_app;
ALTER TABLE dicom_series ADD COLUMN is_packed boolean NOT NULL DEFAULT false; -- such a row is there
CREATE INDEX dicom_series_unpacked ON dicom_series (dicom_study_id) WHERE NOT is_packed;

-- The newest first, within an organisation and for who sees several.
CREATE INDEX dicom_study_newest ON dicom_study
    (organisation_id, study_date COLLATE "C" DESC, study_time COLLATE "C" DESC, id DESC);
CREATE INDEX dicom_study_newest_of_all ON dicom_study (study_date COLLATE "C" DESC, study_time COLLATE "C" DESC, id DESC);
CREATE INDEX ON dicom_study (study_uid);
CREATE INDEX ON dicom_study (accession COLLATE "C") WHERE accession <> '';
CREATE INDEX ON dicom_study (sent_patient_id COLLATE "C");
CREATE INDEX ON dicom_study (name_alphabetic COLLATE "C");
CREATE INDEX ON dicom_study (name_ideographic COLLATE "C");
CREATE INDEX ON dicom_study (name_phonetic COLLATE "C");
CREATE INDEX ON dicom_series (series_uid);

-- All of them are made anew: with where pixels lie, where long values of sequences lie, and what is listed.
SELECT set_config('hub.actor_kind', 'job', true);
UPDATE dicom_instance SET indexed_at = NULL;
SELECT set_config('hub.actor_kind', '', true);
