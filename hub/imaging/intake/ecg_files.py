"""Recordings in files of any known format, as the commands on files and the intake take them."""

from datetime import UTC, tzinfo
from pathlib import Path

from dicom import waveform
from dicom.errors import InvalidInstance
from ecg import formats
from ecg.formats.invalid import InvalidRecord, load
from ecg.record import Lead, Record
from hub.core import errors

DICOM_AT, DICOM_MARK = 128, b"DICM"


def read_record(path: Path, zone: tzinfo = UTC) -> Record:
    """A file told by its bytes; a WFDB record is named without suffix. `ecg_unreadable` says where and why.

    Times without an offset are `zone`'s.
    """
    try:
        return _of_dicom(waveform.decode(load(path), zone)) if is_dicom(path) else formats.read(path, zone)
    except (InvalidRecord, InvalidInstance) as error:
        found = {"offset": error.offset} if error.offset is not None else {}
        raise errors.error(
            "ecg_unreadable", file=path.name, cause=error.cause, mend=error.mend, **found
        ) from error
    except OSError as error:
        raise errors.error(
            "ecg_unreadable", file=path.name, cause=error.strerror or "no such file"
        ) from error


def is_dicom(path: Path) -> bool:
    """Whether a file is a DICOM instance with its preamble (PS3.10 7.1)."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(DICOM_AT + len(DICOM_MARK))[DICOM_AT:] == DICOM_MARK


def _of_dicom(found: waveform.Waveform) -> Record:
    leads = tuple(
        Lead(c.code, c.fs_hz, c.uv_per_lsb, c.offset, c.samples, c.missing, c.label, c.derived)
        for c in found.channels
    )
    return Record(leads, found.start_at, found.gaps, found.filters, found.device)
