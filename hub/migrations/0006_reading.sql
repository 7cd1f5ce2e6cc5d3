-- Reading studies, analyses and edits, routing, tasks, reports.

CREATE TABLE study (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('ecg-12-lead', 'holter', 'imaging')),
    patient_id uuid NOT NULL REFERENCES patient,
    organisation_id uuid NOT NULL REFERENCES organisation,
    service_request_id uuid REFERENCES service_request,
    recording_id uuid UNIQUE REFERENCES recording,
    reading_organisation_id uuid REFERENCES organisation,
    routed_by text, -- the name of the rule that matched, as it then was
    created_at timestamptz NOT NULL
);
CREATE INDEX ON study (organisation_id, created_at);
ALTER TABLE study ENABLE ROW LEVEL SECURITY;
ALTER TABLE study FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON study USING (
    EXISTS (SELECT FROM patient p WHERE p.id = patient_id)
    OR reading_organisation_id IN (SELECT hub_reading_organisations())
);
GRANT SELECT, INSERT, UPDATE ON study TO hub_app;

-- Immutable: what one algorithm saw in one state of a recording. Beats are packed (ecg.holter.Analysis.to_bytes).
CREATE TABLE analysis (
    id uuid PRIMARY KEY,
    recording_id uuid NOT NULL REFERENCES recording,
    version int NOT NULL,
    algorithm text NOT NULL,
    input_sha256 text NOT NULL, -- Merkle root over the samples analysed
    packed bytea NOT NULL,
    summary jsonb NOT NULL,
    completeness jsonb NOT NULL, -- the ledger at analysis: produced, stored, declared gaps, unknown
    analysed_at timestamptz NOT NULL,
    UNIQUE (recording_id, version),
    UNIQUE (recording_id, algorithm, input_sha256)
);
ALTER TABLE analysis ENABLE ROW LEVEL SECURITY;
ALTER TABLE analysis FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON analysis USING (EXISTS (SELECT FROM recording r WHERE r.id = recording_id));
GRANT SELECT, INSERT ON analysis TO hub_app;
GRANT DELETE ON finding TO hub_app; -- findings of record are those of the newest analysis

CREATE TABLE analysis_edit (
    analysis_id uuid NOT NULL REFERENCES analysis,
    sequence int NOT NULL,
    account_id uuid NOT NULL REFERENCES account,
    at timestamptz NOT NULL,
    operation jsonb NOT NULL,
    PRIMARY KEY (analysis_id, sequence)
);
ALTER TABLE analysis_edit ENABLE ROW LEVEL SECURITY;
ALTER TABLE analysis_edit FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON analysis_edit USING (EXISTS (SELECT FROM analysis a WHERE a.id = analysis_id));
GRANT SELECT, INSERT ON analysis_edit TO hub_app;

-- Ordered rules; the first whose every condition matches decides. The last has no condition: the one fallback.
CREATE TABLE routing_rule (
    id uuid PRIMARY KEY,
    position int NOT NULL UNIQUE,
    name text NOT NULL,
    conditions jsonb NOT NULL, -- [{"keyword": "...", "operator": "equals|in|at-least|contains", "value": ...}]
    to_organisation_id uuid NOT NULL REFERENCES organisation,
    enabled boolean NOT NULL DEFAULT true
);
GRANT SELECT, INSERT, UPDATE, DELETE ON routing_rule TO hub_app;

CREATE TABLE task (
    id uuid PRIMARY KEY,
    study_id uuid NOT NULL REFERENCES study,
    patient_id uuid NOT NULL,
    organisation_id uuid REFERENCES organisation,               -- the reading centre; none while nobody may have it
    from_organisation_id uuid NOT NULL REFERENCES organisation, -- the clinic
    kind text NOT NULL,
    tier text NOT NULL CHECK (tier IN ('township', 'district', 'province')),
    status text NOT NULL CHECK (status IN ('requested', 'accepted', 'in-progress', 'on-hold', 'completed', 'rejected',
        'cancelled', 'failed', 'entered-in-error')),
    priority text NOT NULL CHECK (priority IN ('routine', 'urgent', 'asap', 'stat')),
    reasons jsonb NOT NULL DEFAULT '[]', -- why it stands where it stands: [{"zh-CN": ..., "en": ...}]
    hold_reason jsonb,                   -- why it is on hold, in the same words
    sex text NOT NULL,
    age_years int NOT NULL,
    question text NOT NULL,
    due_at timestamptz NOT NULL,
    claimed_by uuid REFERENCES account,
    lease_until timestamptz,
    created_at timestamptz NOT NULL,
    completed_at timestamptz,
    CHECK (organisation_id IS NOT NULL OR status IN ('on-hold', 'cancelled')),
    CHECK ((claimed_by IS NULL) = (lease_until IS NULL))
);
CREATE INDEX ON task (organisation_id, status, due_at);
CREATE INDEX task_leases ON task (lease_until) WHERE status = 'in-progress';
CREATE UNIQUE INDEX task_open ON task (study_id) WHERE status IN ('requested', 'accepted', 'in-progress', 'on-hold');
ALTER TABLE task ENABLE ROW LEVEL SECURITY;
ALTER TABLE task FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON task USING (
    organisation_id IN (SELECT hub_reading_organisations())
    OR EXISTS (SELECT FROM patient p WHERE p.id = patient_id)
);
GRANT SELECT, INSERT, UPDATE ON task TO hub_app;

-- The text while it is being written; one per task, kept when the browser dies.
CREATE TABLE report_draft (
    task_id uuid PRIMARY KEY REFERENCES task,
    account_id uuid NOT NULL REFERENCES account,
    content jsonb NOT NULL,
    revision int NOT NULL,
    saved_at timestamptz NOT NULL
);
ALTER TABLE report_draft ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_draft FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON report_draft USING (EXISTS (SELECT FROM task t WHERE t.id = task_id));
GRANT SELECT, INSERT, UPDATE, DELETE ON report_draft TO hub_app;

-- Signed versions; never changed (FHIR DiagnosticReport.status). A withdrawal is a version of its own.
CREATE TABLE report (
    id uuid PRIMARY KEY,
    study_id uuid NOT NULL REFERENCES study,
    task_id uuid NOT NULL REFERENCES task,
    patient_id uuid NOT NULL REFERENCES patient,
    organisation_id uuid NOT NULL REFERENCES organisation, -- the reading centre that signs
    version int NOT NULL,
    status text NOT NULL CHECK (status IN ('registered', 'preliminary', 'final', 'amended', 'corrected', 'appended',
        'entered-in-error')),
    content jsonb NOT NULL, -- the same document, to be searched
    signed_content bytea NOT NULL, -- the exact bytes under the signature
    signature bytea NOT NULL,
    signer_key_id text NOT NULL,
    signed_by uuid NOT NULL REFERENCES account,
    signed_at timestamptz NOT NULL,
    pdf_sha256 text REFERENCES stored_file,
    UNIQUE (study_id, version)
);
ALTER TABLE report ENABLE ROW LEVEL SECURITY;
ALTER TABLE report FORCE ROW LEVEL SECURITY;
-- The centre keeps what it signed after the claim's grant has ended.
CREATE POLICY reach ON report USING (
    EXISTS (SELECT FROM patient p WHERE p.id = patient_id)
    OR organisation_id IN (SELECT hub_reading_organisations())
);
GRANT SELECT, INSERT ON report TO hub_app;
GRANT UPDATE (pdf_sha256) ON report TO hub_app;

-- When the clinic had it and when somebody opened it.
CREATE TABLE report_delivery (
    report_id uuid NOT NULL REFERENCES report,
    recipient_kind text NOT NULL,
    recipient_id uuid NOT NULL,
    delivered_at timestamptz NOT NULL,
    opened_at timestamptz,
    opened_by uuid,
    printed_at timestamptz,
    PRIMARY KEY (report_id, recipient_kind, recipient_id)
);
ALTER TABLE report_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_delivery FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON report_delivery USING (EXISTS (SELECT FROM report r WHERE r.id = report_id));
GRANT SELECT, INSERT, UPDATE ON report_delivery TO hub_app;
