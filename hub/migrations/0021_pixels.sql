-- Serving copies of images: what became of the pixels of each instance that was looked at.

CREATE TABLE dicom_pixels (
    dicom_instance_id uuid PRIMARY KEY REFERENCES dicom_instance,
    state text NOT NULL CHECK (state IN ('ready', 'none', 'failed')), -- none: it has no pixels (reports, ECG)
    fault text CHECK ((fault IS NULL) = (state <> 'failed')),         -- a key of hub/imaging/pictures/pixel_reasons.py
    file_sha256 text REFERENCES stored_file CHECK ((file_sha256 IS NULL) = (state <> 'ready')),
    media_type text CHECK (media_type IN ('image/jphc', 'image/jpeg')), -- of each frame of the file
    layout jsonb,                                                     -- docs/protocol/http.md, Images
    made_at timestamptz NOT NULL,
    CHECK (state <> 'ready' OR (media_type IS NOT NULL AND layout IS NOT NULL))
);
CREATE INDEX ON dicom_pixels (file_sha256);
ALTER TABLE dicom_pixels ENABLE ROW LEVEL SECURITY;
ALTER TABLE dicom_pixels FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON dicom_pixels
    USING (hub_is_job() OR EXISTS (SELECT FROM dicom_instance i WHERE i.id = dicom_instance_id));
GRANT SELECT, INSERT, UPDATE ON dicom_pixels TO hub_app;

-- As in 0016, and the serving copies.
CREATE OR REPLACE FUNCTION hub_file_is_kept(file text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM report WHERE pdf_sha256 = file)
        OR EXISTS (SELECT FROM recording WHERE file_sha256 = file)
        OR EXISTS (SELECT FROM upload WHERE sha256 = file)
        OR EXISTS (SELECT FROM dicom_instance WHERE file_sha256 = file)
        OR EXISTS (SELECT FROM dicom_set_aside WHERE sha256 = file)
        OR EXISTS (SELECT FROM dicom_pixels WHERE file_sha256 = file)
$$;

-- What is indexed already gets its copies, a hundred instances a job.
INSERT INTO job (kind, unique_key, payload, run_at, created_at)
SELECT 'imaging.copies', min(id::text), jsonb_build_object('instance_ids', jsonb_agg(id)), max(received_at), max(received_at)
FROM (SELECT id, received_at, dicom_series_id,
          (row_number() OVER (PARTITION BY dicom_series_id ORDER BY received_at, id) - 1) / 100 AS part
      FROM dicom_instance WHERE indexed_at IS NOT NULL) AS indexed
GROUP BY dicom_series_id, part;
