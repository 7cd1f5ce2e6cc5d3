"""Instances without what names a person: the Basic Application Level Confidentiality Profile of PS3.15 annex E.

Which attribute gets which action is the standard's table E.1-1, as the package `dicomanonymizer` keeps it. UIDs are
mapped by a key: the same key gives the same UIDs, so that an instance exported today refers to one exported last year.
Pixel data stay as they are: whether a name is burned into them is told, not mended.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, Final, Literal

import pydicom
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from dicom.errors import InvalidInstance
from dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

DEPTH_MAX: Final = 32
SHIFT_DAYS: Final = 3650  # dates move back by up to ten years, all of a patient by the same
METHOD: Final = "TELEHUB PS3.15 E.1-1"
REMOVED: Final = "REMOVED"

Action = Literal["remove", "empty", "dummy", "uid", "date"]
BurnedIn = Literal["yes", "possible", "no"]


def _actions() -> Mapping[int, Action]:
    """Table E.1-1; where it leaves a choice by type, what keeps an object of any type valid."""
    listed: tuple[tuple[Iterable[tuple[int, ...]], Action], ...] = (
        (table.X_TAGS, "remove"), (table.Z_TAGS, "empty"), (table.X_Z_TAGS, "empty"), (table.D_TAGS, "dummy"),
        (table.Z_D_TAGS, "dummy"), (table.X_D_TAGS, "dummy"), (table.X_Z_D_TAGS, "dummy"),
        (table.X_Z_U_STAR_TAGS, "uid"), (table.U_TAGS, "uid"),
    )  # fmt: skip
    return {tag[0] << 16 | tag[1]: action for tags, action in listed for tag in tags if len(tag) == 2}


ACTIONS: Final = _actions()
# Repeating groups of the table (mask 0xFF00): curves, and comments and data of overlays.
_CURVE, _OVERLAY, _OVERLAY_GONE = 0x5000, 0x6000, frozenset({0x3000, 0x4000})


@dataclass(frozen=True)
class Options:
    """What is kept beyond the basic profile (PS3.15 E.3); `dates`: removed, or moved by one distance per patient."""

    dates: Literal["removed", "modified"] = "removed"
    keep_characteristics: bool = False  # sex, age, size, weight of the patient
    keep_device: bool = False
    keep_institution: bool = False


# Attributes an option keeps (columns "Rtn. Pat. Chars.", "Rtn. Dev. Id.", "Rtn. Inst. Id." of the table).
_CHARACTERISTICS: Final = frozenset({0x00100040, 0x00101010, 0x00101020, 0x00101030, 0x00102160, 0x001021A0})
_DEVICE: Final = frozenset({0x00081010, 0x00181000, 0x00181002, 0x0018700A, 0x00181008, 0x00189005})
_INSTITUTION: Final = frozenset({0x00080080, 0x00080081, 0x00080082, 0x00081040, 0x00081041})
# Codes of DeidentificationMethodCodeSequence (PS3.16 CID 7050).
_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "characteristics": ("113108", "Retain Patient Characteristics Option"),
    "device": ("113109", "Retain Device Identity Option"),
    "institution": ("113112", "Retain Institution Identity Option"),
}
# Modalities whose images often carry words of their own.
_BURNING: Final = frozenset({"US", "SC", "OT", "XC", "ES", "GM", "DOC", "ECG", "IVUS"})


@dataclass(frozen=True)
class Deidentified:
    """The new instance, its UID, and whether names may be burned into its pixels."""

    data: bytes
    sop_uid: str
    burned_in: BurnedIn


def deidentify(data: bytes, key: bytes, options: Options = Options()) -> Deidentified:
    """A Part 10 file without identity; InvalidInstance if it can't be read. `key`: 32 secret bytes of the installation.

    Private attributes go, at any depth; so do those of the table, or get a value that says nothing.
    """
    try:
        dataset = pydicom.dcmread(BytesIO(data))
        burned_in = _burned_in(dataset)
        work = _Work(key, options, _shift(dataset, key, options))
        work.clean(dataset, 0)
        _declare(dataset, options)
        sop_uid = str(dataset.SOPInstanceUID)
        meta = dataset.file_meta
        kept = {"MediaStorageSOPClassUID": dataset.SOPClassUID, "TransferSyntaxUID": meta.TransferSyntaxUID}
        meta.clear()
        for name, value in kept.items():
            setattr(meta, name, value)
        meta.MediaStorageSOPInstanceUID = UID(sop_uid)
        meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
        meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
        dataset.preamble = bytes(128)
        out = BytesIO()
        dataset.save_as(out, enforce_file_format=True)
    except InvalidInstance:
        raise
    except Exception as error:  # the parser has no one error of its own for bytes that make no sense
        raise InvalidInstance(f"can't be de-identified ({type(error).__name__})") from error
    return Deidentified(out.getvalue(), sop_uid, burned_in)


def mapped_uid(uid: str, key: bytes) -> str:
    """The UID that stands for another: 2.25 and 128 bits of its HMAC (PS3.5 B.2); the standard's own stay."""
    if not uid or uid.startswith("1.2.840.10008."):
        return uid
    return f"2.25.{int.from_bytes(_digest(key, 'uid', uid)[:16])}"


def _digest(key: bytes, what: str, value: str) -> bytes:
    return hmac.digest(key, f"{what}\0{value}".encode(), hashlib.sha256)


def _shift(dataset: Dataset, key: bytes, options: Options) -> timedelta | None:
    """How far the dates of this patient move; None: they are removed."""
    if options.dates == "removed":
        return None
    patient = f"{dataset.get('IssuerOfPatientID', '')}\0{dataset.get('PatientID', '')}"
    return -timedelta(days=1 + int.from_bytes(_digest(key, "dates", patient)[:4]) % SHIFT_DAYS)


def _burned_in(dataset: Dataset) -> BurnedIn:
    told = str(dataset.get("BurnedInAnnotation") or "")
    if told in ("YES", "NO"):
        return "yes" if told == "YES" else "no"
    has_pixels = "PixelData" in dataset or "EncapsulatedDocument" in dataset
    return "possible" if has_pixels and str(dataset.get("Modality")) in _BURNING else "no"


class _Work:
    """One instance on its way through the table."""

    def __init__(self, key: bytes, options: Options, shift: timedelta | None) -> None:
        self._key, self._shift = key, shift
        self._kept = frozenset[int]().union(
            _CHARACTERISTICS if options.keep_characteristics else (),
            _DEVICE if options.keep_device else (),
            _INSTITUTION if options.keep_institution else (),
        )

    def clean(self, dataset: Dataset, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise InvalidInstance(f"nested more than {DEPTH_MAX} deep")
        for tag in list(dataset.keys()):
            if self._goes(int(tag)):
                del dataset[tag]
                continue
            element = dataset[tag]
            action = None if int(tag) in self._kept else self._action(element)
            if action == "remove":
                del dataset[tag]
            elif element.VR == "SQ" and action in (None, "uid"):
                for item in element.value:
                    self.clean(item, depth + 1)
            elif action is not None:
                element.value = _VALUES[action](self, element)

    def _goes(self, tag: int) -> bool:
        """Private attributes, curves, and what is written over images."""
        group, number = tag >> 16, tag & 0xFFFF
        is_over = group & 0xFF00 == _OVERLAY and number in _OVERLAY_GONE
        return bool(group % 2) or group & 0xFF00 == _CURVE or is_over

    def _action(self, element: DataElement) -> Action | None:
        action = ACTIONS.get(int(element.tag))
        if action is None and element.VR == "UI" and int(element.tag) in ACTIONS:
            return "uid"
        if action is not None and self._shift is not None and element.VR in ("DA", "DT") and element.value:
            return "date"
        return action

    def uid(self, element: DataElement) -> Any:
        value = element.value
        if isinstance(value, (list, pydicom.multival.MultiValue)):
            return [mapped_uid(str(one), self._key) for one in value]
        return mapped_uid(str(value or ""), self._key)

    def date(self, element: DataElement) -> Any:
        """The same distance between all dates of a patient; what can't be read as a date goes."""
        text, shift = str(element.value), self._shift or timedelta()
        try:
            day = datetime.strptime(text[:8], "%Y%m%d").replace(tzinfo=UTC) + shift
        except (ValueError, OverflowError):
            return ""
        return day.strftime("%Y%m%d") + text[8:]


def _dummy(_work: _Work, element: DataElement) -> Any:
    return _DUMMIES.get(element.VR, REMOVED)


_DUMMIES: Final[Mapping[str, Any]] = {
    "DA": "19000101", "TM": "000000", "DT": "19000101000000", "AS": "000Y", "CS": REMOVED, "UI": "", "SQ": [],
    "DS": "0", "IS": "0", "US": 0, "SS": 0, "UL": 0, "SL": 0, "FL": 0.0, "FD": 0.0, "OB": b"\0\0", "OW": b"\0\0",
    "UN": b"\0\0", "AE": REMOVED, "UR": "",
}  # fmt: skip


def _empty(_work: _Work, element: DataElement) -> Any:
    return [] if element.VR == "SQ" else None


_VALUES: Final[Mapping[Action, Callable[[_Work, DataElement], Any]]] = {
    "empty": _empty,
    "dummy": _dummy,
    "uid": _Work.uid,
    "date": _Work.date,
}


def _declare(dataset: Dataset, options: Options) -> None:
    """What was done stands in the object (PS3.15 E.2, PS3.3 C.12.1.1.7)."""
    used = [
        "basic",
        *(["dates"] if options.dates == "modified" else []),
        *(["characteristics"] if options.keep_characteristics else []),
        *(["device"] if options.keep_device else []),
        *(["institution"] if options.keep_institution else []),
    ]
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.LongitudinalTemporalInformationModified = options.dates.upper()
    dataset.DeidentificationMethodCodeSequence = Sequence([_coded(*_CODES[name]) for name in used])


def _coded(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
