"""Limb leads that many recorders do not store, computed exactly: III = II - I, aVR = -(I + II) / 2 and so on.

Einthoven's and Goldberger's equations. Halves stay exact because a computed augmented lead counts half units: its
integers are -(I + II), 2 I - II and 2 II - I with half the scale.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ecg.formats.timeline import narrow
from ecg.record import Lead, Record

# Code, factors of I and II, share of their unit.
LIMB = (
    ("MDC_ECG_LEAD_III", -1, 1, 1.0),
    ("MDC_ECG_LEAD_AVR", -1, -1, 0.5),
    ("MDC_ECG_LEAD_AVL", 2, -1, 0.5),
    ("MDC_ECG_LEAD_AVF", -1, 2, 0.5),
)


def with_limb_leads(record: Record) -> Record:
    """The record and those of III, aVR, aVL, aVF it lacks, marked as derived; ValueError without like I and II."""
    leads = {lead.code: lead for lead in record.leads}
    one, two = (leads.get(f"MDC_ECG_LEAD_{name}") for name in ("I", "II"))
    if one is None or two is None:
        raise ValueError("limb leads are computed from I and II")
    if (one.fs_hz, one.uv_per_lsb, len(one.samples)) != (two.fs_hz, two.uv_per_lsb, len(two.samples)):
        raise ValueError("leads I and II have unlike rates, scales or lengths")
    first, second = (lead.samples.astype(np.int64) - lead.offset for lead in (one, two))
    gone = np.zeros(len(first), bool)
    for lead in (one, two):
        if lead.missing is not None:
            gone |= lead.samples == lead.missing
    computed = [
        _computed(one, code, a * first + b * second, share, gone)
        for code, a, b, share in LIMB
        if code not in leads
    ]
    return replace(record, leads=(*record.leads, *computed))


def _computed(
    like: Lead, code: str, values: NDArray[np.int64], share: float, gone: NDArray[np.bool_]
) -> Lead:
    """A derived lead; where one of its sources is missing so is it."""
    limit = np.iinfo(np.int32)
    missing = None
    if gone.any():
        missing = int(values[~gone].min(initial=0)) - 1
        values = np.where(gone, missing, values)
    if values.size and (values.min() < limit.min or values.max() > limit.max):
        raise ValueError(f"{code} is beyond 32 bit")
    samples = narrow(values.astype(np.int32))
    return Lead(code, like.fs_hz, like.uv_per_lsb * share, 0, samples, missing, derived=True)
