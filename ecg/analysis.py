"""An analysis of a recording as one immutable value, and the reader's edits upon it.

Beats are packed arrays, not rows. Edits are append-only; what is seen is `apply(analysis, edits)`, a pure function,
so re-analysis can carry over the edits that still match by sample and list the rest (DESIGN.md section 7).
"""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg.findings import Finding, from_dict, to_dict

ALGORITHM, VERSION = "telehub-ecg", 3  # whenever the same samples may give another analysis
CLASSES = "NVQSF"  # AAMI EC57; index = stored class, so new ones are appended
QUALITY_BLOCK_S = 10
MISSING = 4  # timeline code beside those of ecg.fusion.QUALITIES: nothing was recorded
MATCH_S = 0.1  # an edit belongs to the beat that lies this near
MAGIC = b"ECGA"
PREFIX = struct.Struct("<4sHI")


@dataclass(frozen=True)
class Analysis:
    """sample int64 [k] ascending; kind uint8 [k] (index into CLASSES); rr_s float32 [k], nan where unknown.

    quality uint8 [block, lead] per 10 s; findings ended, by onset; breaks: samples at which intervals are unknown.
    """

    algorithm: str
    version: int
    fs_hz: int
    leads: tuple[str, ...]
    length: int
    readable_s: float
    recorded_s: float
    sample: NDArray[np.int64]
    kind: NDArray[np.uint8]
    rr_s: NDArray[np.float32]
    breaks: NDArray[np.int64]
    quality: NDArray[np.uint8]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    unmatched: tuple["Edit", ...] = ()

    def to_bytes(self) -> bytes:
        return _pack(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Analysis":
        return _unpack(data)


@dataclass(frozen=True)
class Edit:
    """One reader's operation: reclassify, delete, add (beat); dismiss, insert (finding); note."""

    operation: str
    sample: int = 0
    beat_class: str = "N"
    rule: str = ""
    finding: Finding | None = None
    text: str = ""


def intervals(sample: NDArray[np.int64], breaks: NDArray[np.int64], fs_hz: int) -> NDArray[np.float32]:
    """Seconds since the beat before; nan for the first and across a break."""
    rr = np.full(len(sample), np.nan, np.float32)
    if len(sample) > 1:
        stretch = np.searchsorted(breaks, sample, side="right")
        rr[1:] = np.where(np.diff(stretch) == 0, np.diff(sample) / fs_hz, np.nan)
    return rr


def _nearest(a: Analysis, sample: int) -> int | None:
    place = int(np.searchsorted(a.sample, sample))
    near = [k for k in (place - 1, place) if 0 <= k < len(a.sample)]
    best = min(near, key=lambda k: abs(int(a.sample[k]) - sample), default=None)
    within = best is not None and abs(int(a.sample[best]) - sample) <= MATCH_S * a.fs_hz
    return best if within else None


def _reclassify(a: Analysis, edit: Edit) -> Analysis | None:
    place = _nearest(a, edit.sample)
    if place is None or edit.beat_class not in CLASSES:
        return None
    kind = a.kind.copy()
    kind[place] = CLASSES.index(edit.beat_class)
    return replace(a, kind=kind)


def _delete(a: Analysis, edit: Edit) -> Analysis | None:
    place = _nearest(a, edit.sample)
    if place is None:
        return None
    sample = np.delete(a.sample, place)
    rr_s = intervals(sample, a.breaks, a.fs_hz)
    return replace(a, sample=sample, kind=np.delete(a.kind, place), rr_s=rr_s)


def _add(a: Analysis, edit: Edit) -> Analysis | None:
    if (
        not 0 <= edit.sample < a.length
        or edit.beat_class not in CLASSES
        or _nearest(a, edit.sample) is not None
    ):
        return None
    place = int(np.searchsorted(a.sample, edit.sample))
    sample = np.insert(a.sample, place, edit.sample)
    kind = np.insert(a.kind, place, CLASSES.index(edit.beat_class))
    return replace(a, sample=sample, kind=kind, rr_s=intervals(sample, a.breaks, a.fs_hz))


def _dismiss(a: Analysis, edit: Edit) -> Analysis | None:
    kept = tuple(
        f for f in a.findings if f.rule != edit.rule or abs(f.onset_sample - edit.sample) > MATCH_S * a.fs_hz
    )
    return None if len(kept) == len(a.findings) else replace(a, findings=kept)


def _insert(a: Analysis, edit: Edit) -> Analysis | None:
    if edit.finding is None or any(f.key == edit.finding.key for f in a.findings):
        return None
    return replace(a, findings=tuple(sorted((*a.findings, edit.finding), key=lambda f: f.onset_sample)))


def _note(a: Analysis, edit: Edit) -> Analysis:
    return replace(a, notes=(*a.notes, edit.text))


OPERATIONS: Mapping[str, Callable[[Analysis, Edit], Analysis | None]] = {
    "reclassify": _reclassify,
    "delete": _delete,
    "add": _add,
    "dismiss": _dismiss,
    "insert": _insert,
    "note": _note,
}


def apply(analysis: Analysis, edits: Sequence[Edit]) -> Analysis:
    """The analysis as the reader left it; edits that match nothing are listed in `unmatched`, in order."""
    seen, unmatched = analysis, list(analysis.unmatched)
    for edit in edits:
        if edit.operation not in OPERATIONS:
            raise ValueError(f"unknown operation {edit.operation!r}")
        after = OPERATIONS[edit.operation](seen, edit)
        if after is None:
            unmatched.append(edit)
        else:
            seen = after
    return replace(seen, unmatched=tuple(unmatched))


_PLAIN = ("algorithm", "version", "fs_hz", "leads", "length", "readable_s", "recorded_s", "notes")
_ARRAYS = (("sample", "<i8"), ("kind", "|u1"), ("rr_s", "<f4"), ("breaks", "<i8"), ("quality", "|u1"))


def edit_to_dict(edit: Edit) -> dict[str, object]:
    """An edit as the hub stores it (JSON)."""
    return {**edit.__dict__, "finding": None if edit.finding is None else to_dict(edit.finding)}


def edit_from_dict(row: Mapping[str, object]) -> Edit:
    """The edit that `edit_to_dict` wrote."""
    finding = row.get("finding")
    return Edit(**{**row, "finding": from_dict(finding) if isinstance(finding, Mapping) else None})  # type: ignore[arg-type]


def _pack(a: Analysis) -> bytes:
    head = {name: getattr(a, name) for name in _PLAIN}
    head["findings"] = [to_dict(f) for f in a.findings]
    head["unmatched"] = [edit_to_dict(e) for e in a.unmatched]
    head["counts"] = {name: getattr(a, name).size for name, _ in _ARRAYS}
    text = json.dumps(head, separators=(",", ":")).encode("utf-8")
    arrays = [np.ascontiguousarray(getattr(a, name), np.dtype(kind)).tobytes() for name, kind in _ARRAYS]
    return PREFIX.pack(MAGIC, VERSION, len(text)) + text + b"".join(arrays)


def _unpack(data: bytes) -> Analysis:
    try:
        magic, version, length = PREFIX.unpack_from(data)
        if (magic, version) != (MAGIC, VERSION):
            raise ValueError("not a stored analysis of this version")
        head = json.loads(data[PREFIX.size : PREFIX.size + length])
        at, arrays = PREFIX.size + length, dict[str, Any]()
        for name, kind in _ARRAYS:
            arrays[name] = np.frombuffer(data, np.dtype(kind), head["counts"][name], at).copy()
            at += arrays[name].nbytes
    except (struct.error, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError("not a stored analysis") from error
    plain = {name: head[name] for name in _PLAIN} | {
        "leads": tuple(head["leads"]),
        "notes": tuple(head["notes"]),
    }
    arrays["quality"] = arrays["quality"].reshape(-1, len(head["leads"]))
    findings = tuple(from_dict(row) for row in head["findings"])
    unmatched = tuple(edit_from_dict(row) for row in head["unmatched"])
    return Analysis(**plain, **arrays, findings=findings, unmatched=unmatched)
