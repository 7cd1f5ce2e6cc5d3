"""A device's stream state as bytes: saved every minute, so that a shard's new owner can go on.

Layout: b"ECGS", version, length of a JSON head, then deflated the head (plain numbers) and the arrays, little endian.
Anything else is refused; a state of another version is refused too, its stretch then starts anew.
"""

import json
import struct
import zlib
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg.detection import Detector
from ecg.fiducials import Candidate, shifted
from ecg.rules.intervals import Intervals
from ecg.rules.tracker import Open, Tracker
from ecg.shapes import Shapes
from ecg.state import State

MAGIC = b"ECGS"
VERSION = 11
PREFIX = struct.Struct("<4sHI")
FAST = 1  # deflate's level: a third of the bytes for the time it takes to join them
MAX_BYTES = 1 << 24  # of any state, inflated
CANDIDATES = ("spares", "partials")  # lists of summits that a detector keeps
ARRAYS = ("tail", "tail_flags", "swings", "memory")
PLAIN = ("fs_hz", "leads", "origin", "taken", "hop", "uv_per_lsb", "paced", "last_beat")


def _arrays(state: State) -> list[tuple[str, NDArray[Any]]]:
    own = [(name, getattr(state, name)) for name in ARRAYS]
    return [*own, ("bank", state.shapes.bank)]


def _plain(value: Any) -> dict[str, Any]:
    """A dataclass as JSON takes it, without copying what is in it."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _row(c: Candidate) -> dict[str, Any]:
    return {**c._asdict(), "shape": c.shape.tolist(), "shifted": None}


def pack(state: State) -> bytes:
    kept = {name: [_row(c) for c in getattr(state.detector, name)] for name in CANDIDATES}
    detector = {**_plain(state.detector), **kept}
    shapes = _plain(state.shapes)
    del shapes["bank"]
    arrays = [(name, np.ascontiguousarray(a)) for name, a in _arrays(state)]
    head = {
        **{name: getattr(state, name) for name in PLAIN},
        "detector": detector,
        "shapes": shapes,
        "tracker": _plain(state.tracker),
        "arrays": [(name, a.dtype.str, a.shape) for name, a in arrays],
    }
    text = json.dumps(head, separators=(",", ":"), default=_plain).encode("ascii")
    body = b"".join([text, *(a.tobytes() for _, a in arrays)])
    return PREFIX.pack(MAGIC, VERSION, len(text)) + zlib.compress(body, FAST)


def unpack(data: bytes) -> State:
    """The state that `pack` wrote; ValueError for anything else."""
    try:
        return _unpack(data)
    except (struct.error, zlib.error, KeyError, TypeError, IndexError, UnicodeDecodeError) as error:
        raise ValueError("not a saved stream state") from error


def _unpack(data: bytes) -> State:
    magic, version, length = PREFIX.unpack_from(data)
    if (magic, version) != (MAGIC, VERSION):
        raise ValueError("not a saved stream state of this version")
    body = zlib.decompressobj().decompress(data[PREFIX.size :], MAX_BYTES)
    head = json.loads(body[:length])
    arrays: dict[str, NDArray[Any]] = {}
    at = length
    for name, dtype, shape in head["arrays"]:
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(body, np.dtype(dtype), count, at).reshape(shape).copy()
        at += arrays[name].nbytes
    plain = {name: head[name] for name in PLAIN}
    plain["leads"] = tuple(plain["leads"])
    return State(
        **plain,
        tail=arrays["tail"],
        tail_flags=arrays["tail_flags"],
        swings=arrays["swings"],
        memory=arrays["memory"],
        detector=_detector(head["detector"]),
        shapes=Shapes(bank=arrays["bank"], **head["shapes"]),
        tracker=_tracker(head["tracker"]),
    )


def _detector(row: dict[str, Any]) -> Detector:
    return Detector(**{**row, **{name: [_candidate(one) for one in row[name]] for name in CANDIDATES}})


def _candidate(row: dict[str, Any]) -> Candidate:
    shape = np.array(row["shape"], np.int32)
    return Candidate(**{**row, "shape": shape, "shifted": shifted(shape)})


def _tracker(row: dict[str, Any]) -> Tracker:
    episodes = {rule: Open(**{**e, "leads": tuple(e["leads"])}) for rule, e in row["open"].items()}
    tuples = {name: tuple(row[name]) for name in ("leads", "quality")}
    return Tracker(**{**row, **tuples, "intervals": Intervals(**row["intervals"]), "open": episodes})
