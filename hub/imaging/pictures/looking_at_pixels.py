"""Pixels of foreign DICOM files, made into serving copies. Runs in the sandbox: where files lie in, copies out."""

import json
import warnings
from pathlib import Path
from typing import Any, Final

import pydicom

from dicom import InvalidInstance
from dicom.pixels import copying
from dicom.pixels.faults import PixelFault
from dicom.pixels.frames import open_pixels
from hub.imaging.pictures.copy_records import packed

PDF: Final = b"%PDF-"


def copies(payload: bytes) -> bytes:
    """`{"paths"}`: of each file its state, fault, media type and layout, and its serving copy."""
    warnings.simplefilter("ignore")  # of what is odd in a file; the file is kept as it is
    answer = bytearray()
    for path in json.loads(payload)["paths"]:
        told, copy = _copy(Path(path))
        answer += packed(told, copy)
    return bytes(answer)


def _copy(path: Path) -> tuple[dict[str, Any], bytearray]:
    copy = bytearray()
    try:
        with path.open("rb") as file:
            pixels = open_pixels(file)
            if not pixels.keyword:
                return {"state": "none"}, bytearray()
            made = copying.make(pixels, copy.extend)
    except PixelFault as failure:
        return {"state": "failed", "fault": failure.code, "detail": failure.detail}, bytearray()
    except MemoryError:
        return {"state": "failed", "fault": "too-hard", "detail": "memory"}, bytearray()
    except (InvalidInstance, OSError) as failure:
        return {"state": "failed", "fault": "damaged", "detail": type(failure).__name__}, bytearray()
    except (Exception, RecursionError) as failure:  # the parser has no one error of its own
        return {"state": "failed", "fault": "damaged", "detail": type(failure).__name__}, bytearray()
    told = {"state": "ready", "media_type": made.media_type, "layout": made.layout, "native": made.native}
    return told, copy


def document(payload: bytes) -> bytes:
    """`{"path"}`: the PDF that a file encapsulates (PS3.3 C.24.2); ValueError if there is none."""
    warnings.simplefilter("ignore")
    try:
        data_set = pydicom.dcmread(json.loads(payload)["path"])
        value: Any = data_set.get("EncapsulatedDocument")
    except (Exception, RecursionError) as failure:  # the parser has no one error of its own
        raise ValueError(type(failure).__name__) from None
    if not isinstance(value, bytes) or not value.startswith(PDF):
        raise ValueError("no PDF")
    return value
