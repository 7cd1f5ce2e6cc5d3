"""Unique identifiers (PS3.5 clause 9 and annex A, PS3.6 annex A): which are valid, what a transfer syntax says.

Leading zeros in a component, which PS3.5 9.1 forbids and devices in the field write, are borne: a UID is compared
as text here and never becomes a path.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

UID_CHARS_MAX: Final = 64  # PS3.5 9.1
# From a UUID, as PS3.5 B.2 has it; names this implementation in files and associations.
IMPLEMENTATION_CLASS_UID: Final = "2.25.158340267152316473302894437051402619841"
IMPLEMENTATION_VERSION_NAME: Final = "TELEHUB_1"  # at most 16 characters (PS3.7 D.3.3.2.4)

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
VERIFICATION: Final = "1.2.840.10008.1.1"
MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"

_STANDARD: Final = "1.2.840.10008."
# Storage service classes (PS3.4 B.5 and B.6): images and waveforms, hanging protocols, colour palettes, implants.
_STORAGE: Final = tuple(
    _STANDARD + root for root in ("5.1.4.1.1.", "5.1.4.38.1", "5.1.4.39.1", "5.1.4.43.1", "5.1.4.45.1")
)
ECG_CLASSES: Final = frozenset(
    _STANDARD + f"5.1.4.1.1.9.1.{number}" for number in (1, 2, 3, 4)
)  # 12-lead, general, ambulatory, general 32-bit ECG waveform storage

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")


class Encoding(NamedTuple):
    """How the data elements of a transfer syntax are written."""

    is_explicit: bool
    is_little: bool
    is_deflated: bool = False


_IMAGES: Final = (
    *(f"4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 92, 93)),  # JPEG, JPEG-LS, JPEG 2000
    *(f"4.{number}" for number in (94, 201, 202, 203, 204)),  # JPIP referenced, HTJ2K, JPIP HTJ2K referenced
    *(f"4.{number}" for number in (100, 101, 102, 103, 104, 105, 106, 107, 108)),  # MPEG
    *(f"4.{number}.1" for number in (100, 101, 102, 103, 104, 105, 106)),  # fragmentable MPEG
    *(f"4.{number}" for number in (110, 111, 112)),  # JPEG XL
    "5",  # RLE
    "1.98",  # encapsulated uncompressed
    "8.1",  # deflated image frames
)
TRANSFER_SYNTAXES: Final[Mapping[str, Encoding]] = {
    IMPLICIT_LITTLE: Encoding(False, True),
    EXPLICIT_LITTLE: Encoding(True, True),
    EXPLICIT_BIG: Encoding(True, False),
    DEFLATED: Encoding(True, True, True),
    _STANDARD + "1.2.4.95": Encoding(True, True, True),  # JPIP referenced deflate
    _STANDARD + "1.2.4.205": Encoding(True, True, True),  # JPIP HTJ2K referenced deflate
    **{f"{_STANDARD}1.2.{tail}": Encoding(True, True) for tail in _IMAGES},
}


def is_valid_uid(text: str) -> bool:
    """Whether this is a UID: digits and single dots, at most 64 characters."""
    return len(text) <= UID_CHARS_MAX and _UID.fullmatch(text) is not None


def is_storage_class(uid: str) -> bool:
    """Whether a SOP class may be stored: one of the standard's storage classes, or a vendor's own."""
    if not is_valid_uid(uid):
        return False
    return uid.startswith(_STORAGE) if uid.startswith(_STANDARD) else True


def uid_text(raw: bytes) -> str:
    """A UID as it stands in a data set: padded with a zero byte, by some with a space."""
    return raw.rstrip(b"\0 ").decode("ascii", "replace")
