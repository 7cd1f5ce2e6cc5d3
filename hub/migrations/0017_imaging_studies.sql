-- A reading study of images: made when a DICOM study is complete and its patient is known.
ALTER TABLE study ADD COLUMN dicom_study_id uuid UNIQUE REFERENCES dicom_study,
    ADD CHECK (recording_id IS NULL OR dicom_study_id IS NULL);
