-- Findings of the rhythm rules, and alarms: condition (active, gone) and handling (raised, owned, escalated, resolved).

CREATE TABLE finding (
    recording_id uuid NOT NULL REFERENCES recording,
    pass text NOT NULL CHECK (pass IN ('live', 'record')),
    rule text NOT NULL,
    version int NOT NULL,
    boot bigint NOT NULL,
    onset_sample bigint NOT NULL,
    offset_sample bigint,
    onset_at timestamptz NOT NULL,
    offset_at timestamptz,
    priority text CHECK (priority IN ('high', 'medium', 'low')),
    leads text[] NOT NULL,
    numbers jsonb NOT NULL, -- evidence with units in the keys
    quality text NOT NULL,
    note text NOT NULL DEFAULT '',
    found_at timestamptz NOT NULL,
    PRIMARY KEY (recording_id, pass, rule, version, boot, onset_sample)
);
CREATE INDEX ON finding (recording_id, onset_at);
ALTER TABLE finding ENABLE ROW LEVEL SECURITY;
ALTER TABLE finding FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON finding TO hub_owner, hub_app USING (EXISTS (SELECT FROM recording r WHERE r.id = recording_id));
CREATE POLICY tick ON finding TO hub_ingest USING (true);
GRANT SELECT, INSERT, UPDATE ON finding TO hub_app, hub_ingest;

CREATE TABLE alarm (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patient,
    organisation_id uuid NOT NULL REFERENCES organisation,
    recording_id uuid REFERENCES recording,
    source_key text NOT NULL UNIQUE, -- what raised it: 'live:<recording>:<rule>:<boot>:<onset>', 'no-data:<recording>:<since>'
    rule text NOT NULL,
    category text NOT NULL CHECK (category IN ('physiological', 'technical')),
    priority text NOT NULL CHECK (priority IN ('high', 'medium', 'low')), -- IEC 60601-1-8
    condition text NOT NULL CHECK (condition IN ('active', 'gone')),
    handling text NOT NULL CHECK (handling IN ('raised', 'owned', 'escalated', 'resolved')),
    late boolean NOT NULL DEFAULT false,
    numbers jsonb NOT NULL DEFAULT '{}',
    note text NOT NULL DEFAULT '',
    onset_at timestamptz NOT NULL,
    raised_at timestamptz NOT NULL,
    gone_at timestamptz,
    owner_id uuid REFERENCES account,
    owned_at timestamptz,
    resolved_at timestamptz,
    resolved_by uuid REFERENCES account,
    outcome text
);
CREATE INDEX ON alarm (patient_id, raised_at);
CREATE INDEX alarm_open ON alarm (organisation_id, raised_at) WHERE handling <> 'resolved';
ALTER TABLE alarm ENABLE ROW LEVEL SECURITY;
ALTER TABLE alarm FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON alarm TO hub_owner, hub_app USING (EXISTS (SELECT FROM patient p WHERE p.id = patient_id));
CREATE POLICY tick ON alarm TO hub_ingest USING (true);
GRANT SELECT, INSERT, UPDATE ON alarm TO hub_app, hub_ingest;

-- Every step of an alarm, in order, for the people who share it.
CREATE TABLE alarm_log (
    alarm_id uuid NOT NULL REFERENCES alarm,
    sequence int NOT NULL,
    at timestamptz NOT NULL,
    step text NOT NULL,
    account_id uuid REFERENCES account,
    detail text NOT NULL DEFAULT '',
    PRIMARY KEY (alarm_id, sequence)
);
ALTER TABLE alarm_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE alarm_log FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON alarm_log TO hub_owner, hub_app USING (EXISTS (SELECT FROM alarm a WHERE a.id = alarm_id));
CREATE POLICY tick ON alarm_log TO hub_ingest USING (true);
GRANT SELECT, INSERT ON alarm_log TO hub_app, hub_ingest;
