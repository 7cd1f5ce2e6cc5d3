"""Foreign DICOM files, parsed. Runs in the sandbox: where files lie in, JSON out."""

import json
import warnings
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataelem import DataElement

from dicom import part10, uids
from dicom.header import scan_deflated

VALUE_BYTES_MAX: Final = 1024  # longer values are bulk data, which the document only points to
DOCUMENT_BYTES_MAX: Final = 1 << 20
DEFERRED_BYTES: Final = 65_536  # of an element that is not even read


def deflated(payload: bytes) -> bytes:
    """`{"path"}`: the header of a deflated data set, values in hex."""
    data = Path(json.loads(payload)["path"]).read_bytes()
    meta = part10.read_meta(data)
    header = scan_deflated(memoryview(data)[meta.data_set_at :], uids.TRANSFER_SYNTAXES[meta.transfer_syntax])
    raw = {keyword: value.hex() for keyword, value in header.raw.items()}
    return json.dumps({"raw": raw, "fault": header.fault}).encode()


def documents(payload: bytes) -> bytes:
    """`{"paths"}`: of each file its DICOM JSON (PS3.18 annex F), or why there is none."""
    return json.dumps([_document(Path(path)) for path in json.loads(payload)["paths"]]).encode()


def _document(path: Path) -> dict[str, Any]:
    warnings.simplefilter("ignore")  # of what is odd in a file; the file is kept as it is
    try:
        data_set = pydicom.dcmread(path, defer_size=DEFERRED_BYTES, stop_before_pixels=True)
        document = data_set.to_json_dict(VALUE_BYTES_MAX, _pointed_to, suppress_invalid_tags=True)
        if len(json.dumps(document, allow_nan=False)) > DOCUMENT_BYTES_MAX:
            return {"fault": "a document too long"}
    except (Exception, RecursionError) as failure:  # the parser has no one error of its own
        return {"fault": type(failure).__name__}
    return {"document": _storable(document)}


def _pointed_to(element: DataElement) -> str:
    """Where a long value stands, relative to its instance (PS3.18 F.2.6)."""
    return f"bulkdata/{element.tag:08X}"


def _storable(value: Any) -> Any:
    """Without zero characters, which PostgreSQL's JSON can't hold."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {key: _storable(one) for key, one in value.items()}
    return value
