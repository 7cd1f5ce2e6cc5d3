"""A frame as a screen shows it: stored values through modality and VOI to 8 bits (PS3.4 N.2), cut, scaled, encoded.

Rounding: the VOI transform's output as a share of its range, times 255, rounded half up after nine decimals, so that
it is the same on every machine. MONOCHROME1 is inverted last. Without a window of the device, of the caller or a VOI
LUT, the range is that of the instance's values, padding left out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Media = Literal["image/jpeg", "image/png"]
TABLES: Final = 64  # kept; one serves a series
QUALITY: Final = 85
SIDE_MAX: Final = 8_192  # of what is made from a viewport


@dataclass(frozen=True)
class Window:
    """As a caller asks for it; functions of PS3.3 C.11.2.1.2 and C.11.2.1.3."""

    center: float
    width: float
    function: str = "LINEAR"


@dataclass(frozen=True)
class Viewport:
    """PS3.18 8.3.5.1.3: the size to fit into, and the part of the image; negative sides mirror it."""

    width: int
    height: int
    x: float = 0.0
    y: float = 0.0
    source_width: float | None = None
    source_height: float | None = None


@dataclass(frozen=True)
class Stored:
    """How words of 8 or 16 bits hold stored values; `high_bit` and `bits_stored` as in the data set."""

    bits: int
    bits_stored: int
    high_bit: int
    is_signed: bool


def stored_of(layout: Mapping[str, Any]) -> Stored:
    """Of the values of a serving copy, which fill their type."""
    bits = 8 if layout["bits_stored"] <= 8 else 16
    return Stored(bits, bits, bits - 1, layout["signed"])


def of_frame(layout: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """The layout with what a frame (from 0) says otherwise."""
    return {**layout, **{key: value for key, value in layout["frames"][number].items() if key in layout}}


def shown(words: Array, layout: Mapping[str, Any], stored: Stored, window: Window | None) -> Array:
    """(rows, columns) of words to uint8 of the same size."""
    asked = (window.center, window.width, window.function) if window is not None else None
    keys = ("modality", "windows", "voi_lut", "smallest", "largest", "photometric")
    table = _table(json.dumps([layout[key] for key in keys]), stored, asked)
    return np.take(table, words.view(f"u{stored.bits // 8}"))


@lru_cache(TABLES)
def _table(told: str, stored: Stored, asked: tuple[float, float, str] | None) -> Array:
    """What each word becomes."""
    modality, windows, voi_lut, smallest, largest, photometric = json.loads(told)
    values = _stored_values(stored)
    if asked is not None:
        share = window_share(modality_values(values, modality), Window(*asked))
    elif voi_lut is not None:
        share = lut_share(modality_values(values, modality), voi_lut)
    elif windows:
        first = windows[0]
        chosen = Window(first["center"], first["width"], first["function"])
        share = window_share(modality_values(values, modality), chosen)
    else:
        ends = modality_values(np.array([smallest, largest]), modality)
        low, high = float(ends.min()), float(ends.max())
        share = (modality_values(values, modality) - low) / (high - low if high > low else 1.0)
    table = eight_bits(share)
    return 255 - table if photometric == "MONOCHROME1" else table


def eight_bits(share: Array) -> Array:
    """Shares of the output range to uint8."""
    scaled = np.floor(np.round(np.clip(share, 0.0, 1.0) * 255.0, 9) + 0.5)
    return scaled.astype(np.uint8)


def _stored_values(stored: Stored) -> Array:
    """The stored value of each word."""
    words = np.arange(1 << stored.bits, dtype=np.int64)
    values = words >> (stored.high_bit + 1 - stored.bits_stored) & ((1 << stored.bits_stored) - 1)
    if stored.is_signed:
        half = 1 << (stored.bits_stored - 1)
        values = (values ^ half) - half
    return values


def modality_values(values: Array, modality: Mapping[str, Any]) -> Array:
    """Stored values to those of the modality (PS3.3 C.11.1)."""
    if "lut" in modality:
        lut = modality["lut"]
        entries: Array = np.array(lut["data"], np.float64)
        found: Array = entries[np.clip(values - lut["first"], 0, len(entries) - 1)]
        return found
    return values * float(modality["slope"]) + float(modality["intercept"])


def window_share(values: Array, window: Window) -> Array:
    """The share of the output range (PS3.3 C.11.2.1.2.1, C.11.2.1.3.1, C.11.2.1.3.2)."""
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        share: Array = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0)))
    elif window.function == "LINEAR_EXACT":
        share = (values - center) / width + 0.5
    elif width <= 1:
        share = (values > center - 0.5).astype(np.float64)
    else:
        share = (values - (center - 0.5)) / (width - 1.0) + 0.5
    return share


def lut_share(values: Array, lut: Mapping[str, Any]) -> Array:
    """The share of the range of a VOI LUT's output (PS3.3 C.11.2.1.1)."""
    entries = np.array(lut["data"], np.float64) / ((1 << lut["bits"]) - 1)
    share: Array = entries[np.clip(np.trunc(values).astype(np.int64) - lut["first"], 0, len(entries) - 1)]
    return share


def fitted(picture: Array, viewport: Viewport) -> Array:
    """The part that the viewport names, mirrored as it says, scaled to fit into its size."""
    rows, columns = picture.shape[:2]
    width = viewport.source_width if viewport.source_width is not None else columns - viewport.x
    height = viewport.source_height if viewport.source_height is not None else rows - viewport.y
    x0, x1 = _span(viewport.x, abs(width), columns)
    y0, y1 = _span(viewport.y, abs(height), rows)
    part = picture[y0:y1, x0:x1][:: -1 if height < 0 else 1, :: -1 if width < 0 else 1]
    scale = min(viewport.width / part.shape[1], viewport.height / part.shape[0])
    return resized(part, max(1, round(part.shape[0] * scale)), max(1, round(part.shape[1] * scale)))


def _span(begin: float, length: float, size: int) -> tuple[int, int]:
    first = min(max(0, int(begin)), size - 1)
    return first, max(first + 1, min(size, int(begin + length)))


def resized(picture: Array, rows: int, columns: int) -> Array:
    """uint8 of another size: halved by means of four as long as it is twice too large, then bilinear."""
    while picture.shape[0] >= 2 * rows and picture.shape[1] >= 2 * columns:
        even = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2].astype(np.uint16)
        four = even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]
        picture = ((four + 2) >> 2).astype(np.uint8)
    if picture.shape[:2] == (rows, columns):
        return picture
    (up, down, v), (left, right, h) = _weights(picture.shape[0], rows), _weights(picture.shape[1], columns)
    v = v.reshape(-1, *[1] * (picture.ndim - 1))
    h = h.reshape(-1, *[1] * (picture.ndim - 2))
    tall = picture[up] * (1.0 - v) + picture[down] * v
    wide = tall[:, left] * (1.0 - h) + tall[:, right] * h
    made: Array = np.rint(wide).astype(np.uint8)
    return made


def _weights(size: int, wanted: int) -> tuple[Array, Array, Array]:
    """Of each new pixel: the old ones at its sides, and the weight of the second."""
    centre = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    low = np.floor(centre).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), (centre - low).astype(np.float32)


def encoded(picture: Array, media: Media, quality: int = QUALITY) -> bytes:
    """JPEG or PNG of uint8 (rows, columns) or (rows, columns, 3)."""
    picture = np.ascontiguousarray(picture)
    if media == "image/png":
        return bytes(imagecodecs.png_encode(picture, level=1, filter=8, strategy=3))
    return bytes(imagecodecs.jpeg8_encode(picture, level=quality))
