-- The ledger of all recordings together, in samples of one lead, for the metrics.
CREATE FUNCTION ecg_ledger_totals()
RETURNS TABLE (produced bigint, stored bigint, declared_lost bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(sum(b.produced_samples), 0)::bigint,
        coalesce(sum((SELECT sum(upper(p) - lower(p)) FROM unnest(b.have) p)), 0)::bigint,
        coalesce(sum((SELECT sum(upper(p) - lower(p))
            FROM unnest(int8multirange(int8range(0, b.oldest_sample)) - b.have) p)), 0)::bigint
    FROM recording_boot b
$$;
REVOKE ALL ON FUNCTION ecg_ledger_totals() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ecg_ledger_totals() TO hub_app;
