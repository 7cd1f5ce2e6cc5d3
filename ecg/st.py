"""ST level and its episodes per lead over a long record, and whether the recorder's filters allow ST to be read at all.

Levels are 10-s medians of the level 60 ms after J over the level before QRS; episodes follow the definition of the
European ST-T database (Taddei 1992): at least 100 uV from the lead's own reference for at least 30 s, ended by 30 s
below it. `levels` walks through the record in bounded pieces.
"""

from collections.abc import Mapping

HIGH_PASS_HZ = 0.05  # AHA/ACC/HRS 2007 (and IEC 60601-2-25): above it ST is bent
LINEAR_PHASE_HZ = 0.67  # the same, for a filter whose phase is linear


def high_pass_fault(filters: Mapping[str, float] | None) -> str:
    """Why the recorder's high-pass forbids ST levels; empty if it is not told or harmless.

    filters: `high_pass_hz`, and `high_pass_linear_phase` 1.0 where the recorder says so (Record.filters).
    """
    cutoff_hz = (filters or {}).get("high_pass_hz", 0.0)
    linear = bool((filters or {}).get("high_pass_linear_phase", 0.0))
    limit_hz = LINEAR_PHASE_HZ if linear else HIGH_PASS_HZ
    if cutoff_hz <= limit_hz + 1e-6:
        return ""
    return f"the recorder's high-pass filter of {cutoff_hz:g} Hz is above {limit_hz:g} Hz"
