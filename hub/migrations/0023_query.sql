-- What modalities ask: which examinations wait for them (worklist), and whether what they sent is safe (commitment).

ALTER TABLE dicom_node ADD COLUMN worklist_modalities text[]; -- what its worklist shows (0008,0060); null: everything

-- Open requests of an organisation and below it of which nothing has come yet, past the policy: a node sees no patients.
-- The sender's own number of a patient where a person has told us what it means, else ours.
CREATE FUNCTION hub_worklist(at_organisation uuid, of_modalities text[], at_most int)
RETURNS TABLE (id uuid, accession text, kind text, modality text, body_part text, priority text, question text,
    symptoms text, pacemaker boolean, created_at timestamptz, requester text, time_zone text, organisation text,
    patient_id uuid, patient_name text, sex text, birth_date date, known_id text, known_issuer text)
LANGUAGE sql STABLE SET hub.actor_kind = 'job' SET search_path = public, pg_temp AS $$
    SELECT q.id, q.accession, q.kind, CASE q.kind WHEN 'ecg-12-lead' THEN 'ECG' ELSE q.modality END, q.body_part,
        q.priority, q.question, q.symptoms, q.pacemaker, q.created_at, a.name, a.time_zone, o.name,
        p.id, p.name, p.sex, p.birth_date, i.value, i.issuer
    FROM service_request q
    JOIN organisation_closure c ON c.descendant = q.organisation_id AND c.ancestor = at_organisation
    JOIN organisation o ON o.id = q.organisation_id
    JOIN patient p ON p.id = q.patient_id
    JOIN account a ON a.id = q.requester_id
    LEFT JOIN LATERAL (SELECT i.value, i.issuer FROM patient_identifier i
        WHERE i.patient_id = p.id AND i.organisation_id = at_organisation
        ORDER BY i.assigned_at DESC, i.value LIMIT 1) i ON true
    WHERE q.status = 'active' AND q.kind IN ('imaging', 'ecg-12-lead')
        AND (of_modalities IS NULL OR CASE q.kind WHEN 'ecg-12-lead' THEN 'ECG' ELSE q.modality END = ANY(of_modalities)
             OR (q.kind = 'imaging' AND q.modality IS NULL))
        AND NOT EXISTS (SELECT FROM dicom_study d WHERE d.service_request_id = q.id)
        AND NOT EXISTS (SELECT FROM study s WHERE s.service_request_id = q.id)
    ORDER BY q.created_at DESC, q.id DESC LIMIT at_most
$$;
REVOKE ALL ON FUNCTION hub_worklist(uuid, text[], int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_worklist(uuid, text[], int) TO hub_app;

-- A study that came under the UID our worklist gave, without its accession number.
ALTER TABLE dicom_study DROP CONSTRAINT dicom_study_resolved_by_check,
    ADD CHECK (resolved_by IN ('accession', 'worklist', 'identifier', 'person'));

-- A node has asked whether instances are safe (PS3.4 annex J); told when it has been told.
CREATE TABLE dicom_commitment (
    id uuid PRIMARY KEY,
    dicom_node_id uuid NOT NULL REFERENCES dicom_node,
    organisation_id uuid NOT NULL REFERENCES organisation,
    transaction_uid text NOT NULL,
    asked jsonb NOT NULL,          -- pairs of SOP class and SOP instance UID
    asked_at timestamptz NOT NULL,
    safe int,                      -- how many were, and how many were not, when it was told last
    failed int,
    told_at timestamptz,
    UNIQUE (dicom_node_id, transaction_uid)
);
ALTER TABLE dicom_commitment ENABLE ROW LEVEL SECURITY;
ALTER TABLE dicom_commitment FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON dicom_commitment USING (
    (SELECT hub_is_job()) OR organisation_id = (SELECT hub_node_organisation('send'))
);
GRANT SELECT, INSERT, UPDATE ON dicom_commitment TO hub_app;
