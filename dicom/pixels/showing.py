"""From stored values to those of the serving copy: grey of at most 16 bits as it is, colours as RGB of 8 bits.

Grey of 32 bits and floats keep every value where they fit 16 bits; else the range of the instance is divided into
65,535 steps, which the layout tells (`step`), and values that are no number become 0 (`padding`).
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dicom.pixels import colour
from dicom.pixels.codestreams import Stream, coding_of
from dicom.pixels.decoding import stored_frame
from dicom.pixels.faults import PixelFault
from dicom.pixels.frames import Pixels, raw_frames
from dicom.pixels.layout import Shown
from dicom.pixels.shape import GREY, PALETTE
from dicom.pixels.values import number

Array = NDArray[Any]
LARGEST: Final = 0xFFFF


class Showing:
    """One instance's pictures, and the range of what they hold."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels, shape = pixels, pixels.shape
        self._low, self._high = np.inf, -np.inf
        self._step, self._offset, self._has_gaps = 1.0, 0.0, False
        self._padding: tuple[float, float] | None = None
        if shape.photometric == PALETTE:
            table, first = colour.palette(pixels.data_set)
            self._picture: Callable[[Array, Stream | None], Array] = lambda values, _: (
                colour.rgb_from_palette(values, table, first)
            )
        elif shape.photometric not in GREY:
            self._picture = self._rgb
        elif shape.is_float or shape.bits_stored > 16:
            self._scale()
            self._picture = self._scaled
        else:
            self._picture = lambda values, _: values
            self._padding = _padding(pixels)
        self._is_grey = shape.photometric in GREY
        self._type: np.dtype[Any] | None = None

    def show(self, values: Array, stream: Stream | None) -> Array:
        """A frame's picture."""
        picture = self._picture(values, stream)
        self._type = picture.dtype
        if self._is_grey:
            self._measure(picture)
        return picture

    def shown(self) -> Shown:
        """What all of them have in common, after the last."""
        assert self._type is not None  # there is at least one frame
        if not self._is_grey:
            return Shown("RGB", 8, False, 0, 255)
        shape = self.pixels.shape
        bits = 16 if self._picture == self._scaled else min(shape.bits_stored, self._type.itemsize * 8)
        low, high = (0, 0) if self._low > self._high else (int(self._low), int(self._high))
        is_signed = self._type.kind == "i"
        return Shown(shape.photometric, bits, is_signed, low, high, self._step, self._offset, self._has_gaps)

    def _measure(self, picture: Array) -> None:
        """Smallest and largest, padding left out."""
        low, high = picture.min(), picture.max()
        hidden = (0, 0) if self._has_gaps else self._padding
        if hidden is not None and (low <= hidden[1] or high >= hidden[0]):
            seen = picture[(picture < hidden[0]) | (picture > hidden[1])]
            if not seen.size:
                return
            low, high = seen.min(), seen.max()
        self._low, self._high = min(self._low, float(low)), max(self._high, float(high))

    def _rgb(self, values: Array, stream: Stream | None) -> Array:
        eight = colour.eight_bits(values, self.pixels.shape.bits_stored)
        return colour.rgb_from_ybr(eight) if colour.is_transformed(self.pixels.shape, stream) else eight

    def _scale(self) -> None:
        """The range of all frames, which are decoded once more for it."""
        low, high, has_gaps, is_whole = np.inf, -np.inf, False, not self.pixels.shape.is_float
        coding = coding_of(self.pixels.syntax)
        for place, data in enumerate(raw_frames(self.pixels)):
            values, _ = stored_frame(self.pixels, coding, data, place)
            finite = values[np.isfinite(values)]
            has_gaps = has_gaps or finite.size < values.size
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        if low > high:
            raise PixelFault("size", "no pixel is a number")
        self._has_gaps = has_gaps
        if is_whole and high - low <= LARGEST:
            self._step, self._offset = 1.0, low
        else:
            self._step = (high - low) / (LARGEST - 1) or 1.0
            self._offset = low - self._step if has_gaps else low

    def _scaled(self, values: Array, _stream: Stream | None) -> Array:
        finite = np.isfinite(values)
        scaled = np.rint(
            (np.where(finite, values, self._offset).astype(np.float64) - self._offset) / self._step
        )
        return np.where(finite, scaled, 0).astype(np.uint16)


def _padding(pixels: Pixels) -> tuple[float, float] | None:
    one = number(pixels.data_set, "PixelPaddingValue")
    if one is None:
        return None
    other = number(pixels.data_set, "PixelPaddingRangeLimit")
    both = (one, one if other is None else other)
    ends = [end - 0x1_0000 if pixels.shape.is_signed and end > 0x7FFF else end for end in both]
    return min(ends), max(ends)
