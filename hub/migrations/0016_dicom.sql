-- What comes as DICOM: who may send it, studies, series and instances by their UIDs, what is set aside, whose it is.
-- UIDs are unique within an organisation: no sender can take another clinic's UID away, or learn that it is there.

CREATE TABLE dicom_node (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation,
    name text NOT NULL,
    ae_title text NOT NULL CHECK (ae_title ~ '^[ -\[\]-~]{1,16}$'), -- AE of PS3.5 6.2: no backslash, no control characters
    address inet,                -- where it calls from, without TLS
    certificate_sha256 text UNIQUE CHECK (certificate_sha256 ~ '^[0-9a-f]{64}$'), -- or what it shows, with TLS
    token_sha256 text UNIQUE,    -- for DICOMweb; the token itself is shown once
    may_send boolean NOT NULL DEFAULT true,
    may_receive boolean NOT NULL DEFAULT false,
    created_by uuid REFERENCES account,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz
);
CREATE UNIQUE INDEX dicom_node_caller ON dicom_node (ae_title, address) WHERE disabled_at IS NULL;
CREATE INDEX ON dicom_node (organisation_id);
GRANT SELECT, INSERT, UPDATE ON dicom_node TO hub_app;

-- The organisation of the node that acts (DICOMweb with a token), as long as it may send.
CREATE FUNCTION hub_node_organisation() RETURNS uuid LANGUAGE sql STABLE AS
$$ SELECT organisation_id FROM dicom_node WHERE disabled_at IS NULL AND may_send
     AND id = CASE WHEN hub_actor_kind() = 'node' THEN current_setting('hub.actor_id', true)::uuid END $$;

-- A DICOM study as its first instance tells of it. Whose it is is decided apart: `patient_id`.
CREATE TABLE dicom_study (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation, -- of who sent it
    study_uid text NOT NULL,
    patient_id uuid REFERENCES patient,
    service_request_id uuid REFERENCES service_request,
    resolved_by text CHECK (resolved_by IN ('accession', 'identifier', 'person')),
    sent_patient_id text NOT NULL, -- as sent, and so the next six
    sent_issuer text NOT NULL,
    sent_name text NOT NULL,
    sent_birth_date text NOT NULL,
    sent_sex text NOT NULL,
    accession text NOT NULL,
    description text NOT NULL,
    study_date text NOT NULL,
    study_time text NOT NULL,
    identity_differs boolean NOT NULL DEFAULT false, -- an instance names another patient: a person must look
    first_at timestamptz NOT NULL,
    completed_at timestamptz,       -- of the latest completion; instances may still come
    completed_instances int NOT NULL DEFAULT 0,
    is_open boolean NOT NULL DEFAULT true, -- instances have come since the latest completion
    UNIQUE (organisation_id, study_uid),
    CHECK ((patient_id IS NULL) = (resolved_by IS NULL))
);
CREATE INDEX dicom_study_open ON dicom_study (first_at) WHERE is_open;
CREATE INDEX ON dicom_study (organisation_id, first_at);
CREATE INDEX ON dicom_study (patient_id);
CREATE INDEX ON dicom_study (service_request_id);
ALTER TABLE dicom_study ENABLE ROW LEVEL SECURITY;
ALTER TABLE dicom_study FORCE ROW LEVEL SECURITY;
-- One that belongs to nobody yet is seen where it came from; one with a patient wherever the patient is.
CREATE POLICY reach ON dicom_study USING (
    hub_is_job()
    OR organisation_id = hub_node_organisation()
    OR organisation_id IN (SELECT hub_care_organisations())
    OR EXISTS (SELECT FROM patient p WHERE p.id = patient_id)
);
GRANT SELECT, INSERT, UPDATE ON dicom_study TO hub_app;

CREATE TABLE dicom_series (
    id uuid PRIMARY KEY,
    dicom_study_id uuid NOT NULL REFERENCES dicom_study,
    series_uid text NOT NULL,
    modality text NOT NULL,
    number bigint,
    description text NOT NULL,
    body_part text NOT NULL,
    UNIQUE (dicom_study_id, series_uid)
);
ALTER TABLE dicom_series ENABLE ROW LEVEL SECURITY;
ALTER TABLE dicom_series FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON dicom_series USING (hub_is_job() OR EXISTS (SELECT FROM dicom_study s WHERE s.id = dicom_study_id));
GRANT SELECT, INSERT ON dicom_series TO hub_app;

CREATE TABLE dicom_instance (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL,
    dicom_study_id uuid NOT NULL REFERENCES dicom_study,
    dicom_series_id uuid NOT NULL REFERENCES dicom_series,
    sop_uid text NOT NULL,
    sop_class_uid text NOT NULL,
    transfer_syntax text NOT NULL,
    number bigint,
    rows int,
    columns int,
    frames bigint,
    file_sha256 text NOT NULL REFERENCES stored_file, -- of the file, with its meta group
    data_set_sha256 text,          -- of the data set alone, as it was sent; made with the metadata
    size_bytes bigint NOT NULL,
    sent_by text NOT NULL,         -- `node ID` or `person ID`
    received_at timestamptz NOT NULL,
    indexed_at timestamptz,        -- when its metadata were made, or found to be impossible
    index_fault text,
    UNIQUE (organisation_id, sop_uid)
);
CREATE INDEX ON dicom_instance (dicom_study_id, received_at);
CREATE INDEX dicom_instance_waiting ON dicom_instance (dicom_series_id) WHERE indexed_at IS NULL;
CREATE INDEX ON dicom_instance (file_sha256);
ALTER TABLE dicom_instance ENABLE ROW LEVEL SECURITY;
ALTER TABLE dicom_instance FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON dicom_instance
    USING (hub_is_job() OR EXISTS (SELECT FROM dicom_study s WHERE s.id = dicom_study_id));
GRANT SELECT, INSERT, UPDATE ON dicom_instance TO hub_app;

-- A late instance opens its study again. After the foreign keys have locked the study against a completion that does
-- not see the instance yet: a trigger of the statement comes after those of its rows, and has a snapshot of its own.
CREATE FUNCTION dicom_study_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dicom_study SET is_open = true WHERE NOT is_open AND id IN (SELECT dicom_study_id FROM added);
    RETURN NULL;
END $$;
CREATE TRIGGER goes_on AFTER INSERT ON dicom_instance REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION dicom_study_goes_on();

-- Ready-made DICOM JSON (PS3.18 annex F) without bulk data.
CREATE TABLE dicom_metadata (
    dicom_instance_id uuid PRIMARY KEY REFERENCES dicom_instance,
    document jsonb NOT NULL
);
ALTER TABLE dicom_metadata ENABLE ROW LEVEL SECURITY;
ALTER TABLE dicom_metadata FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON dicom_metadata
    USING (hub_is_job() OR EXISTS (SELECT FROM dicom_instance i WHERE i.id = dicom_instance_id));
GRANT SELECT, INSERT, UPDATE ON dicom_metadata TO hub_app;

-- What could not become an instance: kept with its bytes, its reason, and how often it came.
CREATE TABLE dicom_set_aside (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation,
    reason text NOT NULL CHECK (reason IN ('other-content', 'no-identity', 'class-differs', 'unknown-syntax', 'no-file',
        'no-meta', 'unreadable')),
    detail text NOT NULL,
    sha256 text NOT NULL REFERENCES stored_file,
    size_bytes bigint NOT NULL,
    sop_uid text NOT NULL,
    sent_by text NOT NULL,
    times int NOT NULL DEFAULT 1,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    UNIQUE (organisation_id, sha256, reason)
);
CREATE INDEX ON dicom_set_aside (organisation_id, last_at);
ALTER TABLE dicom_set_aside ENABLE ROW LEVEL SECURITY;
ALTER TABLE dicom_set_aside FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON dicom_set_aside USING (
    hub_is_job()
    OR organisation_id = hub_node_organisation()
    OR organisation_id IN (SELECT hub_care_organisations())
);
GRANT SELECT, INSERT, UPDATE ON dicom_set_aside TO hub_app;

-- What a sender's numbers mean: an issuer's patient id is a patient of ours, as a person has decided.
CREATE TABLE patient_identifier (
    organisation_id uuid NOT NULL REFERENCES organisation, -- whose senders say so
    issuer text NOT NULL,
    value text NOT NULL,
    patient_id uuid NOT NULL REFERENCES patient,
    assigned_by uuid NOT NULL REFERENCES account,
    assigned_at timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, issuer, value)
);
ALTER TABLE patient_identifier ENABLE ROW LEVEL SECURITY;
ALTER TABLE patient_identifier FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON patient_identifier USING (EXISTS (SELECT FROM patient p WHERE p.id = patient_id));
GRANT SELECT, INSERT, UPDATE, DELETE ON patient_identifier TO hub_app;

-- As in 0015, and the files of DICOM.
CREATE OR REPLACE FUNCTION hub_file_is_kept(file text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM report WHERE pdf_sha256 = file)
        OR EXISTS (SELECT FROM recording WHERE file_sha256 = file)
        OR EXISTS (SELECT FROM upload WHERE sha256 = file)
        OR EXISTS (SELECT FROM dicom_instance WHERE file_sha256 = file)
        OR EXISTS (SELECT FROM dicom_set_aside WHERE sha256 = file)
$$;
