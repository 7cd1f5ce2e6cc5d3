-- Studies that go on to other DICOM nodes: which, to whom, and how far each has come.

ALTER TABLE dicom_node
    ADD COLUMN port int CHECK (port BETWEEN 1 AND 65535),  -- where it listens, at its address; of one that receives
    ADD COLUMN send_from_hour int CHECK (send_from_hour BETWEEN 0 AND 23), -- UTC; nothing is sent to it at other hours
    ADD COLUMN send_until_hour int CHECK (send_until_hour BETWEEN 0 AND 23),
    ADD CHECK ((send_from_hour IS NULL) = (send_until_hour IS NULL));

-- Every enabled rule whose conditions all hold sends a copy; the language is that of routing_rule.
CREATE TABLE forward_rule (
    id uuid PRIMARY KEY,
    position int NOT NULL UNIQUE,
    name text NOT NULL,
    conditions jsonb NOT NULL,
    to_node_id uuid NOT NULL REFERENCES dicom_node,
    enabled boolean NOT NULL DEFAULT true
);
GRANT SELECT, INSERT, UPDATE, DELETE ON forward_rule TO hub_app;

CREATE TABLE dicom_forward (
    id uuid PRIMARY KEY,
    dicom_study_id uuid NOT NULL REFERENCES dicom_study,
    dicom_node_id uuid NOT NULL REFERENCES dicom_node,
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'refused')),
    status int,            -- the last DIMSE status that was not success, as the node gave it (PS3.7 annex C)
    fault text,            -- why the last attempt ended early, if it did
    queued_at timestamptz NOT NULL,
    last_at timestamptz,
    UNIQUE (dicom_study_id, dicom_node_id)
);
ALTER TABLE dicom_forward ENABLE ROW LEVEL SECURITY;
ALTER TABLE dicom_forward FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON dicom_forward USING (hub_is_job() OR EXISTS (SELECT FROM dicom_study s WHERE s.id = dicom_study_id));
GRANT SELECT, INSERT, UPDATE ON dicom_forward TO hub_app;

-- What the node answered to each instance.
CREATE TABLE dicom_forwarded (
    dicom_forward_id uuid NOT NULL REFERENCES dicom_forward,
    dicom_instance_id uuid NOT NULL REFERENCES dicom_instance,
    status int NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (dicom_forward_id, dicom_instance_id)
);
ALTER TABLE dicom_forwarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE dicom_forwarded FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON dicom_forwarded
    USING (hub_is_job() OR EXISTS (SELECT FROM dicom_forward f WHERE f.id = dicom_forward_id));
GRANT SELECT, INSERT, UPDATE, DELETE ON dicom_forwarded TO hub_app;
