-- What every domain stands on. Run as hub_owner; hub_app and hub_ingest get only what is granted here.
-- Who acts and when is told by core/db through set_config; SQL never calls now().

CREATE FUNCTION hub_actor_kind() RETURNS text LANGUAGE sql STABLE AS
$$ SELECT current_setting('hub.actor_kind', true) $$;

CREATE FUNCTION hub_account() RETURNS uuid LANGUAGE sql STABLE AS
$$ SELECT CASE WHEN current_setting('hub.actor_kind', true) = 'person'
               THEN current_setting('hub.actor_id', true)::uuid END $$;

CREATE FUNCTION hub_at() RETURNS timestamptz LANGUAGE sql STABLE AS
$$ SELECT nullif(current_setting('hub.at', true), '')::timestamptz $$;

-- Jobs and the tick act for the hub itself; their code is their authority.
CREATE FUNCTION hub_is_job() RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT current_setting('hub.actor_kind', true) = 'job' $$;

-- Facts fixed for an installation: shard count, secret of the broker sessions, keys' ids.
CREATE TABLE installation (
    key text PRIMARY KEY,
    value jsonb NOT NULL
);
GRANT SELECT, INSERT ON installation TO hub_app, hub_ingest;

-- The only queue. A finished job is deleted; one out of attempts stays with failed_at for operators.
CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    unique_key text NOT NULL,
    payload jsonb NOT NULL,
    run_at timestamptz NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    lease_until timestamptz,
    lease_owner text,
    error text,
    failed_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX job_key ON job (kind, unique_key) WHERE failed_at IS NULL;
CREATE INDEX job_due ON job (run_at) WHERE failed_at IS NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON job TO hub_app;
GRANT SELECT, INSERT ON job TO hub_ingest;

-- Files by hash of their bytes; whose they are stands in the row that refers to them.
CREATE TABLE stored_file (
    sha256 text PRIMARY KEY,
    size_bytes bigint NOT NULL,
    media_type text NOT NULL,
    stored_at timestamptz NOT NULL
);
GRANT SELECT, INSERT ON stored_file TO hub_app;
