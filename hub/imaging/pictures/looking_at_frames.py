"""A frame as a screen shows it. Runs in a confined child: where the bytes lie in, a JPEG or PNG out.

Reads the serving copy, or the words of an uncompressed file that was sent, which needs no decoder.
"""

import json
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicom.pixels import copying, rendering
from dicom.pixels.rendering import Stored, Viewport, Window

Array = NDArray[Any]
RESOLUTIONS: Final = 5  # of a copy, besides the whole


def picture(payload: bytes) -> bytes:
    """`{"path", "offset", "length", "source", "layout", ...}` as `hub.imaging.pictures.rendering` asks for it."""
    asked = json.loads(payload)
    layout, edge = asked["layout"], asked["edge"]
    words, stored = _words(asked, layout, edge)
    image = words
    if layout["photometric"] != "RGB":
        window = Window(*asked["window"]) if asked["window"] else None
        image = rendering.shown(words, layout, stored, window)
    if edge is not None:
        image = _fitted(image, layout, edge)
    elif asked["viewport"]:
        image = rendering.fitted(image, Viewport(*asked["viewport"]))
    return rendering.encoded(image, asked["media"], asked["quality"])


def _words(asked: dict[str, Any], layout: dict[str, Any], edge: int | None) -> tuple[Array, Stored]:
    """The frame's values, smaller ones if a small image is wanted, and how words hold them."""
    with Path(asked["path"]).open("rb") as file:
        file.seek(asked["offset"])
        data = file.read(asked["length"])
    if len(data) != asked["length"]:
        raise ValueError("the file is cut")
    source = asked["source"]
    if isinstance(source, dict):
        order, size = "<" if source["little"] else ">", source["bits"] // 8
        words = np.frombuffer(data, f"{order}u{size}").astype(f"u{size}", copy=False)
        stored = Stored(source["bits"], source["bits_stored"], source["high_bit"], layout["signed"])
        return words.reshape(layout["rows"], layout["columns"]), stored
    if source == copying.JPEG:
        return np.asarray(imagecodecs.jpeg8_decode(data)), rendering.stored_of(layout)
    reduced = _reduced(layout, edge) if edge is not None else 0
    values = np.asarray(imagecodecs.htj2k_decode(data, skipres=reduced) if reduced else copying.decode(data))
    return values, rendering.stored_of(layout)


def _reduced(layout: dict[str, Any], edge: int) -> int:
    """How many resolutions of the copy are more than is needed."""
    levels = 0
    while levels < RESOLUTIONS and max(layout["rows"], layout["columns"]) >> (levels + 1) >= edge:
        levels += 1
    return levels


def _fitted(image: Array, layout: dict[str, Any], edge: int) -> Array:
    """Into a square of this edge, pixels that are not square made so."""
    high, wide = layout["aspect"]
    spacing = layout.get("spacing_mm")
    if spacing and layout.get("spacing_source") != "UltrasoundRegion":
        high, wide = spacing
    rows, columns = layout["rows"] * high, layout["columns"] * wide
    scale = min(edge / rows, edge / columns)
    return rendering.resized(image, max(1, round(rows * scale)), max(1, round(columns * scale)))
