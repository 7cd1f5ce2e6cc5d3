-- What the record pass reads from the signal beside the beats (ecg.measured): templates and ST levels. Immutable like
-- the rest of an analysis; none for those made before.
ALTER TABLE analysis ADD COLUMN measured bytea;
