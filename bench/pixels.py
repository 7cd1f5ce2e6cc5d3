"""Pixels of a CT slice: making the serving copy, decoding it, a rendered frame; beside pydicom with its own codecs.

Processor time of one process, the least of many turns, the hub and its peer in turn. The rendered frame is what the
confined child does for one; the calls around it (HTTP, rights, the database) are measured by bench/imaging_reading.py.
"""

import io
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import imagecodecs
import numpy as np
import pydicom
from PIL import Image
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from dicom import phantom
from dicom.pixels import copying
from dicom.pixels.frames import open_pixels
from hub.imaging.pictures import looking_at_frames

TURNS = 40
Row = dict[str, Any]
WHEN = datetime(2026, 3, 2, tzinfo=UTC)


def run() -> list[Row]:
    patient = phantom.Patient("A^B", "P1", "19500101", "F")
    file = next(phantom.files(phantom.Chest(UUID(int=1), patient, WHEN, slices=2)))
    values = pydicom.dcmread(io.BytesIO(file)).pixel_array
    copied, _ = copying.encode(values)
    peer = imagecodecs.jpeg2k_encode(values, reversible=True, codecformat="j2k")
    with tempfile.TemporaryDirectory() as folder:
        asked = _asked(Path(folder), file)
        rows = [
            _beside("encode a CT slice without loss", lambda: copying.encode(values), "OpenJPEG, JPEG 2000",
                    lambda: imagecodecs.jpeg2k_encode(values, reversible=True, codecformat="j2k")),
            _beside("decode a CT slice", lambda: copying.decode(copied), "OpenJPEG, JPEG 2000",
                    lambda: imagecodecs.jpeg2k_decode(peer)),
            _beside("serving copy from a file", lambda: copying.make(open_pixels(io.BytesIO(file)), len),
                    "pydicom: decode only", lambda: pydicom.dcmread(io.BytesIO(file)).pixel_array),
            *(_beside(f"rendered CT frame, {name}", lambda payload=payload: looking_at_frames.picture(payload),
                      "pydicom and Pillow", lambda: _rendered(file)) for name, payload in asked.items()),
        ]  # fmt: skip
    size = {"name": "size of a CT slice", "value": float(len(copied)), "unit": "bytes"}
    return [
        *rows,
        size | {"peer": "JPEG 2000", "peer_value": float(len(peer)), "ratio": len(copied) / len(peer)},
    ]


def _asked(folder: Path, file: bytes) -> dict[str, bytes]:
    """What the child is asked for, of the file as it came and of its copy."""
    made = bytearray()
    copy = copying.make(open_pixels(io.BytesIO(file)), made.extend)
    (folder / "file").write_bytes(file)
    (folder / "copy").write_bytes(made)
    layout = {key: value for key, value in copy.layout.items() if key not in ("frames", "overlays")}
    whole = {
        "layout": layout,
        "edge": None,
        "window": None,
        "viewport": None,
        "media": "image/jpeg",
        "quality": 85,
    }
    native = copy.native
    assert native is not None  # it is not compressed
    length = layout["rows"] * layout["columns"] * native["bits"] // 8
    from_copy = {"path": str(folder / "copy"), "offset": 0, "length": len(made), "source": copy.media_type}
    asked = {
        "uncompressed": {
            "path": str(folder / "file"),
            "offset": native["at"],
            "length": length,
            "source": native,
        },
        "from the copy": from_copy,
        "thumbnail": from_copy | {"edge": 256},
    }
    return {name: json.dumps(whole | place).encode() for name, place in asked.items()}


def _rendered(file: bytes) -> bytes:
    data_set = pydicom.dcmread(io.BytesIO(file))
    values = apply_voi_lut(apply_modality_lut(data_set.pixel_array, data_set), data_set)
    low, high = values.min(), values.max()
    shown = ((values - low) / (high - low) * 255 + 0.5).astype(np.uint8)
    written = io.BytesIO()
    Image.fromarray(shown).save(written, "JPEG", quality=85)
    return written.getvalue()


def _beside(name: str, ours: Callable[[], object], peer: str, theirs: Callable[[], object]) -> Row:
    best = [float("inf"), float("inf")]
    for _ in range(TURNS):
        for place, work in enumerate((ours, theirs)):
            begun = time.process_time()
            work()
            best[place] = min(best[place], time.process_time() - begun)
    ms, peer_ms = (seconds * 1e3 for seconds in best)
    return {
        "name": name,
        "value": ms,
        "unit": "ms of processor",
        "peer": peer,
        "peer_value": peer_ms,
        "ratio": ms / peer_ms,
    }
