-- Organisations, accounts, residents, consents, grants, audit.

CREATE TABLE organisation (
    id uuid PRIMARY KEY,
    parent_id uuid REFERENCES organisation,
    level text NOT NULL CHECK (level IN ('province', 'district', 'hospital', 'town', 'village')),
    name text NOT NULL,
    name_en text NOT NULL,
    tier text CHECK (tier IN ('township', 'district', 'province')),
    created_at timestamptz NOT NULL
);
CREATE TABLE organisation_closure (
    ancestor uuid NOT NULL REFERENCES organisation,
    descendant uuid NOT NULL REFERENCES organisation,
    depth int NOT NULL,
    PRIMARY KEY (ancestor, descendant)
);
CREATE INDEX ON organisation_closure (descendant);
GRANT SELECT, INSERT, UPDATE ON organisation TO hub_app;
GRANT SELECT, INSERT ON organisation_closure TO hub_app;

CREATE TABLE account (
    id uuid PRIMARY KEY,
    login text NOT NULL UNIQUE,
    name text NOT NULL,
    password_hash text NOT NULL,
    locale text NOT NULL DEFAULT 'zh-CN' CHECK (locale IN ('zh-CN', 'en')),
    time_zone text NOT NULL DEFAULT 'Asia/Shanghai',
    failed_attempts int NOT NULL DEFAULT 0,
    locked_until timestamptz,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON account TO hub_app;

CREATE TABLE role_assignment (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account,
    organisation_id uuid NOT NULL REFERENCES organisation,
    role text NOT NULL CHECK (role IN ('village_doctor', 'township_doctor', 'technician', 'reader', 'senior_reader',
        'family_doctor', 'resident', 'family_member', 'device_manager', 'organisation_admin', 'auditor')),
    valid_from timestamptz NOT NULL,
    valid_until timestamptz
);
CREATE INDEX ON role_assignment (account_id);
GRANT SELECT, INSERT, UPDATE ON role_assignment TO hub_app;

-- The token itself is only in the browser's cookie; here is its SHA-256.
CREATE TABLE session (
    token_sha256 text PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account,
    csrf_token text NOT NULL,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    stepped_up_at timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON session TO hub_app;

-- Who may send what kind of study to which reading centre.
CREATE TABLE agreement (
    id uuid PRIMARY KEY,
    from_organisation_id uuid NOT NULL REFERENCES organisation,
    to_organisation_id uuid NOT NULL REFERENCES organisation,
    study_kind text NOT NULL CHECK (study_kind IN ('ecg-12-lead', 'holter', 'imaging')),
    valid_from timestamptz NOT NULL,
    valid_until timestamptz
);
GRANT SELECT, INSERT, UPDATE ON agreement TO hub_app;

-- Read only by the functions below, so that no policy depends on another guarded table.
CREATE TABLE access_grant (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account,
    action text NOT NULL,
    object_kind text NOT NULL,
    object_id uuid NOT NULL,
    reason text NOT NULL,
    source_kind text NOT NULL,
    source_id uuid,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz
);
CREATE INDEX ON access_grant (account_id, object_kind, object_id);
CREATE INDEX ON access_grant (source_kind, source_id);
GRANT SELECT, INSERT, UPDATE ON access_grant TO hub_app;

-- The merged_into link: grants, lists and policies resolve it; no other row is rewritten; unmerge deletes it.
CREATE TABLE patient_merge (
    patient_id uuid PRIMARY KEY,
    merged_into uuid NOT NULL,
    merged_by uuid NOT NULL,
    merged_at timestamptz NOT NULL,
    CHECK (patient_id <> merged_into)
);
GRANT SELECT, INSERT, DELETE ON patient_merge TO hub_app;

-- Organisations whose patients the actor cares for: those of a clinical role and everything below.
CREATE FUNCTION hub_care_organisations() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.descendant FROM role_assignment r JOIN organisation_closure c ON c.ancestor = r.organisation_id
    WHERE r.account_id = hub_account()
      AND r.role IN ('village_doctor', 'township_doctor', 'technician', 'family_doctor')
      AND r.valid_from <= hub_at() AND (r.valid_until IS NULL OR r.valid_until > hub_at())
$$;

-- Reading centres for which the actor reads; not what lies below them.
CREATE FUNCTION hub_reading_organisations() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.organisation_id FROM role_assignment r
    WHERE r.account_id = hub_account() AND r.role IN ('reader', 'senior_reader')
      AND r.valid_from <= hub_at() AND (r.valid_until IS NULL OR r.valid_until > hub_at())
$$;

-- Patients opened to the actor by a grant (claim, consent, break-glass), merged ones included.
CREATE FUNCTION hub_granted_patients() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH granted AS (
        SELECT object_id AS id FROM access_grant
        WHERE account_id = hub_account() AND object_kind = 'patient'
          AND valid_from <= hub_at() AND (valid_until IS NULL OR valid_until > hub_at())
    )
    SELECT id FROM granted
    UNION SELECT m.patient_id FROM patient_merge m JOIN granted g ON m.merged_into = g.id
    UNION SELECT m.merged_into FROM patient_merge m JOIN granted g ON m.patient_id = g.id
$$;

CREATE TABLE patient (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation,
    name text NOT NULL,
    sex text NOT NULL CHECK (sex IN ('male', 'female', 'other', 'unknown')),
    birth_date date NOT NULL,
    id_type text NOT NULL CHECK (id_type IN ('resident-id', 'passport', 'other', 'none')),
    id_number_encrypted bytea,
    id_number_hash text,
    phone text,
    guardian_name text,
    guardian_phone text,
    created_by uuid NOT NULL REFERENCES account,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON patient (organisation_id, created_at);
CREATE INDEX ON patient (id_number_hash);
ALTER TABLE patient ENABLE ROW LEVEL SECURITY;
ALTER TABLE patient FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON patient USING (
    hub_is_job()
    OR organisation_id IN (SELECT hub_care_organisations())
    OR id IN (SELECT hub_granted_patients())
);
GRANT SELECT, INSERT, UPDATE ON patient TO hub_app;

-- Where a patient belongs, past the policy: to break the glass one must find the patient one can't see.
CREATE FUNCTION hub_patient_organisation(of_patient uuid) RETURNS uuid
LANGUAGE sql STABLE SET hub.actor_kind = 'job' SET search_path = public, pg_temp AS $$
    SELECT organisation_id FROM patient WHERE id = of_patient
$$;
REVOKE ALL ON FUNCTION hub_patient_organisation(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_patient_organisation(uuid) TO hub_app;

CREATE TABLE consent (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patient,
    kind text NOT NULL CHECK (kind IN ('monitoring', 'remote-reading', 'family')),
    given_how text NOT NULL CHECK (given_how IN ('paper', 'code', 'app')),
    given_by text NOT NULL,
    to_account_id uuid REFERENCES account,
    recorded_by uuid NOT NULL REFERENCES account,
    given_at timestamptz NOT NULL,
    withdrawn_at timestamptz
);
ALTER TABLE consent ENABLE ROW LEVEL SECURITY;
ALTER TABLE consent FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON consent USING (EXISTS (SELECT FROM patient p WHERE p.id = patient_id));
GRANT SELECT, INSERT, UPDATE ON consent TO hub_app;

-- Written in the transaction of what it tells of; chained by one sealer job.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    action text NOT NULL,
    object_kind text NOT NULL,
    object_id text NOT NULL,
    organisation_id uuid,
    patient_id uuid,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON audit (patient_id, at);
CREATE INDEX ON audit (organisation_id, at);
GRANT SELECT, INSERT ON audit TO hub_app;
GRANT INSERT ON audit TO hub_ingest;

-- Each seal covers the audit ids listed in it (late commits get lower ids than sealed ones) and the seal before.
CREATE TABLE audit_seal (
    sequence bigint PRIMARY KEY,
    audit_ids bigint[] NOT NULL,
    sha256 text NOT NULL,
    sealed_at timestamptz NOT NULL
);
CREATE TABLE audit_sealed (audit_id bigint PRIMARY KEY REFERENCES audit, sequence bigint NOT NULL);
GRANT SELECT, INSERT ON audit_seal, audit_sealed TO hub_app;
