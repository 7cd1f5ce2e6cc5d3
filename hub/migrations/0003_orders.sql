-- What a clinic asks for about a patient (FHIR ServiceRequest).
CREATE TABLE service_request (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patient,
    organisation_id uuid NOT NULL REFERENCES organisation,
    requester_id uuid NOT NULL REFERENCES account,
    kind text NOT NULL CHECK (kind IN ('holter', 'ecg-12-lead', 'imaging', 'consultation')),
    status text NOT NULL CHECK (status IN ('active', 'on-hold', 'completed', 'revoked')),
    priority text NOT NULL CHECK (priority IN ('routine', 'urgent', 'asap', 'stat')),
    question text NOT NULL,
    symptoms text NOT NULL DEFAULT '',
    drugs text NOT NULL DEFAULT '',
    pacemaker boolean NOT NULL DEFAULT false,
    planned_hours int NOT NULL DEFAULT 24 CHECK (planned_hours BETWEEN 1 AND 336),
    revoked_reason text,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON service_request (organisation_id, created_at);
CREATE INDEX ON service_request (patient_id);
ALTER TABLE service_request ENABLE ROW LEVEL SECURITY;
ALTER TABLE service_request FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON service_request USING (EXISTS (SELECT FROM patient p WHERE p.id = patient_id));
GRANT SELECT, INSERT, UPDATE ON service_request TO hub_app;
