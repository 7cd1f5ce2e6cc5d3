-- Backups that were made, and how long data are kept.

-- One row per attempt; the backup itself lies elsewhere (hub/core/backup_folder.py).
CREATE TABLE backup (
    id text PRIMARY KEY,
    kind text CHECK (kind IN ('base', 'increment')),
    at timestamptz NOT NULL,          -- it holds everything up to here
    finished_at timestamptz NOT NULL,
    file_count bigint,
    added_bytes bigint,
    damaged_files int,                -- stored files whose bytes no longer fit their name
    counted boolean,                  -- whether rows were counted at a quiet instant
    failure text,                     -- why there is none; no patient data
    CHECK ((kind IS NULL) = (failure IS NOT NULL))
);
CREATE INDEX ON backup (at);
GRANT SELECT, INSERT ON backup TO hub_app;
GRANT SELECT ON migration TO hub_app; -- how old the installation is

-- Retention as data: nothing is deleted before an administrator switches a rule on, nor earlier than the law allows.
-- The kinds and their words are a table of the code (hub/core/retention.py).
CREATE TABLE retention_rule (
    kind text PRIMARY KEY,
    minimum_days int NOT NULL,
    keep_days int NOT NULL CHECK (keep_days >= minimum_days),
    enabled boolean NOT NULL DEFAULT false,
    changed_by uuid REFERENCES account,
    changed_at timestamptz,
    CHECK (NOT enabled OR changed_by IS NOT NULL)
);
INSERT INTO retention_rule (kind, minimum_days, keep_days) VALUES
    ('study', 5479, 5479),       -- 15 years of at most 366 days in four
    ('consultation', 1096, 1096), -- 3 years
    ('log', 184, 184),           -- 6 months
    ('monitoring', 90, 90);
GRANT SELECT, UPDATE (keep_days, enabled, changed_by, changed_at) ON retention_rule TO hub_app;
