"""What the record pass reads from the signal beside the beats: templates and ST levels, kept with the analysis.

An edit of the reader needs no signal: figures that depend on classes are made anew from the beats, and what is here
stays as it was measured. Packed as bytes, since a day has 100,000 beats and 26,000 ST levels.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecg import st, templates
from ecg.analysis import Analysis
from ecg.reasons import WORDS, Reason
from ecg.record import Record, main_group
from ecg.templates import Templates
from ecg.twelve_lead.case import Request
from ecg.twelve_lead.measurements import measure as measure_12
from ecg.twelve_lead.measurements import qrs_limits_s
from ecg.twelve_lead.report import is_twelve_lead, report

MAGIC, VERSION = b"ECGM", 1
PREFIX = struct.Struct("<4sHI")
FAST = 1  # deflate's level
MAX_BYTES = 1 << 28  # inflated


@dataclass(frozen=True)
class Measured:
    """paced: the patient has a pacemaker, as the request says; twelve: `ecg.twelve_lead.report` of a 12-lead ECG."""

    paced: bool
    templates: Templates
    st: st.Levels
    twelve: Mapping[str, Any] | None = None


def measured(
    record: Record, analysis: Analysis, *, paced: bool = False, request: Request | None = None
) -> Measured:
    """Templates and ST of a record with its analysis; of 12 leads the statements, too, for which age and sex count."""
    found = measure_12(record, analysis)
    twelve = None
    if is_twelve_lead(record):
        twelve = report(found, analysis, request or Request(paced=paced))
    levels = st.levels(record, analysis, *qrs_limits_s(found, analysis))
    return Measured(paced, templates.find(analysis, main_group(record)), levels, twelve)


def to_bytes(m: Measured) -> bytes:
    """Head as JSON, then the arrays deflated: level_uv f4, sample i8, number u1, shape i2."""
    t, s = m.templates, m.st
    head = {
        "paced": m.paced, "leads": s.leads, "block_samples": s.block_samples,
        "withheld": _told(s.withheld), "unverified": _told(s.unverified),
        "blocks": len(s.level_uv), "beats": len(t.sample), "template_leads": t.leads, "mixed": t.mixed,
        "best": t.best, "points": t.shape.shape[2], "twelve": m.twelve,
    }  # fmt: skip
    arrays = (
        s.level_uv.astype("<f4"), t.sample.astype("<i8"), t.number, t.shape.astype("<i2")
    )  # fmt: skip
    text = json.dumps(head, separators=(",", ":")).encode()
    packed = zlib.compress(b"".join(a.tobytes() for a in arrays), FAST)
    return PREFIX.pack(MAGIC, VERSION, len(text)) + text + packed


def from_bytes(data: bytes) -> Measured:
    """What `to_bytes` wrote; ValueError for anything else."""
    try:
        magic, version, length = PREFIX.unpack_from(data)
        if (magic, version) != (MAGIC, VERSION):
            raise ValueError("not the measured part of an analysis of this version")
        head = json.loads(data[PREFIX.size : PREFIX.size + length])
        body = zlib.decompressobj().decompress(data[PREFIX.size + length :], MAX_BYTES)
        leads, blocks, beats = tuple(head["leads"]), head["blocks"], head["beats"]
        counts = (
            blocks * len(leads),
            beats,
            beats,
            len(head["best"]) * len(head["template_leads"]) * head["points"],
        )
        parts, at = [], 0
        for kind, count in zip(("<f4", "<i8", "|u1", "<i2"), counts, strict=True):
            parts.append(np.frombuffer(body, np.dtype(kind), count, at).copy())
            at += parts[-1].nbytes
        level = parts[0].reshape(blocks, len(leads)).astype(float)
        shape = parts[3].reshape(len(head["best"]), len(head["template_leads"]), head["points"])
        found = Templates(
            parts[1],
            parts[2],
            tuple(head["template_leads"]),
            shape,
            tuple(head["mixed"]),
            tuple(head["best"]),
        )
        reasons = [_reason(head[name]) for name in ("withheld", "unverified")]
        levels = st.found_in(leads, level, head["block_samples"], *reasons)
        return Measured(head["paced"], found, levels, head["twelve"])
    except (struct.error, KeyError, TypeError, UnicodeDecodeError, zlib.error) as error:
        raise ValueError("not the measured part of an analysis") from error


def _told(reason: Reason | None) -> list[object] | None:
    return None if reason is None else [reason.code, reason.number]


def _reason(told: list[object] | None) -> Reason | None:
    if told is None:
        return None
    code, number = told
    if code not in WORDS:
        raise ValueError(f"unknown reason {code!r}")
    return Reason(str(code), float(str(number)))
