-- An ECG cart sends by itself, with the token of its node, for the request whose accession number it was given.
ALTER TABLE upload ALTER COLUMN account_id DROP NOT NULL,
    ADD COLUMN node_id uuid REFERENCES dicom_node,
    ADD CHECK ((account_id IS NULL) <> (node_id IS NULL));

-- The open request of this number at an organisation or below it, past the policy: a node sees no patients.
CREATE FUNCTION hub_request_of_accession(number text, at_organisation uuid) RETURNS uuid
LANGUAGE sql STABLE SET hub.actor_kind = 'job' SET search_path = public, pg_temp AS $$
    SELECT q.id FROM service_request q JOIN organisation_closure c ON c.descendant = q.organisation_id
    WHERE q.accession = number AND q.status IN ('active', 'on-hold') AND c.ancestor = at_organisation
$$;
REVOKE ALL ON FUNCTION hub_request_of_accession(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_request_of_accession(text, uuid) TO hub_app;
