-- What people mark on images, as data; and the objects the hub itself adds to a study: reports and key images.

CREATE TABLE image_annotation (
    id uuid PRIMARY KEY, -- made by the page, so that sending it twice is sending it once
    dicom_study_id uuid NOT NULL REFERENCES dicom_study,
    dicom_instance_id uuid NOT NULL REFERENCES dicom_instance,
    frame int NOT NULL CHECK (frame > 0),
    kind text NOT NULL CHECK (kind IN ('length', 'angle', 'ellipse', 'rectangle', 'arrow', 'text')),
    points jsonb NOT NULL, -- [[column, row], ...] in pixels of the image; 0, 0 is the outer corner of the first
    text text NOT NULL,
    account_id uuid NOT NULL REFERENCES account,
    at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    removed_at timestamptz
);
CREATE INDEX ON image_annotation (dicom_study_id) WHERE removed_at IS NULL;
ALTER TABLE image_annotation ENABLE ROW LEVEL SECURITY;
ALTER TABLE image_annotation FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON image_annotation USING (EXISTS (SELECT FROM dicom_study s WHERE s.id = dicom_study_id));
GRANT SELECT, INSERT, UPDATE ON image_annotation TO hub_app;

CREATE TABLE key_image (
    dicom_study_id uuid NOT NULL REFERENCES dicom_study,
    dicom_instance_id uuid NOT NULL REFERENCES dicom_instance,
    frame int NOT NULL CHECK (frame > 0),
    note text NOT NULL,
    center double precision, -- of the window it was shown with, after the modality transform; null: the image's own
    width double precision CHECK (width > 0),
    account_id uuid NOT NULL REFERENCES account,
    at timestamptz NOT NULL,
    PRIMARY KEY (dicom_instance_id, frame, account_id), -- each reader chooses for the own report
    CHECK ((center IS NULL) = (width IS NULL))
);
CREATE INDEX ON key_image (dicom_study_id);
ALTER TABLE key_image ENABLE ROW LEVEL SECURITY;
ALTER TABLE key_image FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON key_image USING (EXISTS (SELECT FROM dicom_study s WHERE s.id = dicom_study_id));
GRANT SELECT, INSERT, UPDATE, DELETE ON key_image TO hub_app;

-- As in 0016; what the hub itself adds is nothing that has come late.
CREATE OR REPLACE FUNCTION dicom_study_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dicom_study SET is_open = true
    WHERE NOT is_open AND id IN (SELECT dicom_study_id FROM added WHERE sent_by <> 'hub');
    RETURN NULL;
END $$;
