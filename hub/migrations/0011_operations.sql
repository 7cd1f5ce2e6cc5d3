-- Broken hops of the hub, for operators; and what devices went through lately.

CREATE TABLE incident (
    id uuid PRIMARY KEY,
    kind text NOT NULL,    -- hub/core/incidents.py
    subject text NOT NULL, -- '' the hub, a process, a shard, a device
    device_id text,        -- the subject, where it is a device: seen by who manages it
    detail jsonb NOT NULL DEFAULT '{}', -- facts of a closed list, no patient data
    times int NOT NULL DEFAULT 1, -- gone and back within minutes
    since_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    gone_at timestamptz,
    owner_id uuid REFERENCES account,
    owned_at timestamptz,
    resolved_at timestamptz,
    resolved_by uuid REFERENCES account,
    outcome text
);
CREATE UNIQUE INDEX incident_here ON incident (kind, subject) WHERE gone_at IS NULL;
CREATE INDEX ON incident (kind, subject, gone_at);
CREATE INDEX ON incident (last_at);

-- Where the actor runs devices or the organisation, downwards.
CREATE FUNCTION hub_operated_organisations() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.descendant FROM role_assignment r JOIN organisation_closure c ON c.ancestor = r.organisation_id
    WHERE r.account_id = hub_account() AND r.role IN ('device_manager', 'organisation_admin')
      AND r.valid_from <= hub_at() AND (r.valid_until IS NULL OR r.valid_until > hub_at())
$$;

-- A broken hop of the hub concerns everybody who runs something on it; a device those who manage it.
ALTER TABLE incident ENABLE ROW LEVEL SECURITY;
ALTER TABLE incident FORCE ROW LEVEL SECURITY;
CREATE POLICY reach ON incident TO hub_owner, hub_app USING (
    hub_is_job()
    OR (device_id IS NULL AND EXISTS (SELECT hub_operated_organisations()))
    OR device_id IN (SELECT d.id FROM device d WHERE d.organisation_id IN (SELECT hub_operated_organisations()))
);
CREATE POLICY tick ON incident TO hub_ingest USING (true);
GRANT SELECT, INSERT, UPDATE ON incident TO hub_app, hub_ingest;

-- A message that was taken as if it had come again, after what was wrong with it had been mended.
ALTER TABLE set_aside
    ADD COLUMN replayed_at timestamptz,
    ADD COLUMN replay_result text CHECK (replay_result IN ('stored', 'duplicate', 'set-aside')),
    ADD COLUMN replay_reason text,  -- why it was set aside again
    ADD COLUMN replay_asked_at timestamptz,
    ADD COLUMN discard_reason text;
CREATE INDEX ON set_aside (reason, last_at) WHERE discarded_at IS NULL;
CREATE INDEX ON set_aside (first_at) WHERE replay_asked_at IS NOT NULL;

-- The account of the whole installation: sums only, so that no recording is told of. Samples of one lead.
CREATE FUNCTION hub_ledger_since(since timestamptz)
RETURNS TABLE (recordings bigint, produced numeric, stored numeric, lost numeric, waiting numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH account AS (
        SELECT b.recording_id, b.produced_samples AS produced,
          (SELECT coalesce(sum(upper(p) - lower(p)), 0) FROM unnest(b.have) p) AS stored,
          (SELECT coalesce(sum(upper(p) - lower(p)), 0)
             FROM unnest(int8multirange(int8range(0, least(b.oldest_sample, b.produced_samples))) - b.have) p) AS lost
        FROM recording r JOIN recording_boot b ON b.recording_id = r.id
        WHERE r.status IN ('recording', 'stopping') OR r.ended_at >= since
    )
    SELECT count(DISTINCT a.recording_id), coalesce(sum(a.produced), 0), coalesce(sum(a.stored), 0),
      coalesce(sum(a.lost), 0), coalesce(sum(a.produced - a.stored - a.lost), 0) FROM account a
$$;
REVOKE ALL ON FUNCTION hub_ledger_since(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub_ledger_since(timestamptz) TO hub_app;
