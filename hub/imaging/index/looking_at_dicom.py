"""Foreign DICOM files, parsed. Runs in the sandbox: where files lie in, JSON out."""

import json
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset

from dicom import InvalidInstance, locating, part10, uids
from dicom.header import scan_deflated
from dicom.part10 import data_set_hash

VALUE_BYTES_MAX: Final = 1024  # longer values are bulk data, which the document only points to
DOCUMENT_BYTES_MAX: Final = 1 << 20
DEFERRED_BYTES: Final = 65_536  # of an element that is not even read
INFLATED_BYTES_MAX: Final = 192 << 20
_PIXELS: Final = {(0x7FE0, 0x0008): "OF", (0x7FE0, 0x0009): "OD", (0x7FE0, 0x0010): "OW"}
_DEFLATED: Final = frozenset(uid for uid, encoding in uids.TRANSFER_SYNTAXES.items() if encoding.is_deflated)


def deflated(payload: bytes) -> bytes:
    """`{"path"}`: the header of a deflated data set, values in hex."""
    data = Path(json.loads(payload)["path"]).read_bytes()
    meta = part10.read_meta(data)
    header = scan_deflated(memoryview(data)[meta.data_set_at :], uids.TRANSFER_SYNTAXES[meta.transfer_syntax])
    raw = {keyword: value.hex() for keyword, value in header.raw.items()}
    return json.dumps({"raw": raw, "fault": header.fault}).encode()


def documents(payload: bytes) -> bytes:
    """`{"paths"}`: of each file the hash of its data set, and its DICOM JSON (PS3.18 annex F) or why there is none."""
    paths = [Path(path) for path in json.loads(payload)["paths"]]
    return json.dumps([{"data_set_sha256": _hash(path)} | _document(path) for path in paths]).encode()


def _hash(path: Path) -> str | None:
    try:
        return data_set_hash(path)
    except (InvalidInstance, OSError):
        return None


def _document(path: Path) -> dict[str, Any]:
    warnings.simplefilter("ignore")  # of what is odd in a file; the file is kept as it is
    try:
        with path.open("rb") as file:
            data_set = pydicom.dcmread(file, defer_size=DEFERRED_BYTES, stop_before_pixels=True)
            document = _values(data_set, "bulkdata/") | _pixels(file, data_set)
        if "00080005" in document:  # JSON is UTF-8, and says so (PS3.18 F.2)
            document["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
        if len(json.dumps(document, allow_nan=False)) > DOCUMENT_BYTES_MAX:
            return {"fault": "a document too long"}
    except (Exception, RecursionError) as failure:  # the parser has no one error of its own
        return {"fault": type(failure).__name__}
    return {"document": _storable(document)}


def _values(data_set: Dataset, place: str) -> dict[str, Any]:
    """Elements as JSON, without those that can't be read; long values by where they stand, relative to the instance.

    The place of a value (PS3.18 F.2.6) is its tag, behind those of the sequences around it with the item's number.
    """
    found: dict[str, Any] = {}
    for tag in list(data_set.keys()):
        name = f"{tag:08X}"
        try:
            found[name] = _element(data_set[tag], place + name)
        except Exception:  # the parser has no one error of its own
            continue
    return found


def _element(element: DataElement, place: str) -> dict[str, Any]:
    if element.VR != "SQ":
        return element.to_json_dict(lambda _: place, VALUE_BYTES_MAX)
    items = [_values(item, f"{place}/{number}/") for number, item in enumerate(element.value)]
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}


def _pixels(file: BinaryIO, data_set: FileDataset) -> dict[str, Any]:
    """Where the pixels stand, at which reading has stopped; a deflated file is at its end by then."""
    tag: tuple[int, int] | None = None
    if data_set.file_meta.TransferSyntaxUID in _DEFLATED:
        tag = (0x7FE0, 0x0010) if "Rows" in data_set and "BitsAllocated" in data_set else None
    elif len(four := file.read(4)) == 4:
        tag = struct.unpack("<HH" if data_set.original_encoding[1] else ">HH", four)
    vr = _PIXELS.get(tag) if tag is not None else None
    if tag is None or vr is None:
        return {}
    name = f"{tag[0]:04X}{tag[1]:04X}"
    return {name: {"vr": vr, "BulkDataURI": f"bulkdata/{name}"}}


def _storable(value: Any) -> Any:
    """Without zero characters, which PostgreSQL's JSON can't hold."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {key: _storable(one) for key, one in value.items()}
    return value


def assembled(payload: bytes) -> bytes:
    """`{"metadata", "bulk": {location: path}, "number"}`: an instance sent as DICOM JSON and bulk data, as a file.

    PS3.18 10.5 with annex F; only what is not compressed, explicit VR little endian. An empty answer: there is no such
    number. ValueError if it can't be made.
    """
    asked = json.loads(payload)
    found = json.loads(Path(asked["metadata"]).read_bytes())
    if not isinstance(found, list):
        raise ValueError("metadata are a list of data sets")
    if asked["number"] >= len(found):
        return b""
    try:
        return _written(found[asked["number"]], asked["bulk"])
    except (Exception, RecursionError) as failure:  # the parser has no one error of its own
        raise ValueError(type(failure).__name__) from None


def _written(values: dict[str, Any], bulk: dict[str, str]) -> bytes:
    warnings.simplefilter("ignore")

    def read(location: str) -> bytes:
        return Path(bulk[location]).read_bytes()

    group = {tag: values.pop(tag) for tag in list(values) if tag.startswith("0002")}
    syntax = group.get("00020010", {}).get("Value", [uids.EXPLICIT_LITTLE])[0]
    if syntax not in (uids.EXPLICIT_LITTLE, uids.IMPLICIT_LITTLE):
        raise ValueError("compressed pixels are sent as files")
    data_set = pydicom.Dataset.from_json(values, read)
    data_set.file_meta = pydicom.dataset.FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = pydicom.uid.UID(uids.EXPLICIT_LITTLE)
    data_set.file_meta.ImplementationClassUID = pydicom.uid.UID(uids.IMPLEMENTATION_CLASS_UID)
    written = BytesIO()
    pydicom.dcmwrite(written, data_set, enforce_file_format=True)
    return written.getvalue()


def inflated_value(payload: bytes) -> bytes:
    """`{"path", "place"}`: a value of a deflated data set behind a byte of 1; a byte of 0 if it isn't there."""
    asked = json.loads(payload)
    data = Path(asked["path"]).read_bytes()
    meta = part10.read_meta(data)
    encoding = uids.TRANSFER_SYNTAXES[meta.transfer_syntax]
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
        memoryview(data)[meta.data_set_at :], INFLATED_BYTES_MAX
    )
    found = locating.locate(inflated, encoding, asked["place"])
    if found is None or found.size is None:
        return b"\0"
    return b"\1" + inflated[found.start : found.start + found.size]
