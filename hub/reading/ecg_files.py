"""Recordings in files of any known format, as the commands on files take them."""

from collections.abc import Sequence
from pathlib import Path

from dicom import waveform
from dicom.errors import InvalidInstance
from ecg import formats
from ecg.annotate import annotate
from ecg.formats.invalid import InvalidRecord, load
from ecg.record import Lead, Record
from hub.core import errors

DICOM_AT, DICOM_MARK = 128, b"DICM"


def read_record(path: Path) -> Record:
    """A file told by its bytes; a WFDB record is named without suffix. `ecg_unreadable` says where and why."""
    try:
        return _of_dicom(waveform.decode(load(path))) if _is_dicom(path) else formats.read(path)
    except (InvalidRecord, InvalidInstance) as error:
        found = {"offset": error.offset} if error.offset is not None else {}
        raise errors.error(
            "ecg_unreadable", file=path.name, cause=error.cause, mend=error.mend, **found
        ) from error
    except OSError as error:
        raise errors.error(
            "ecg_unreadable", file=path.name, cause=error.strerror or "no such file"
        ) from error


def annotate_files(paths: Sequence[Path], out: Path) -> list[Path]:
    """WFDB annotations of each recording's analysis, NAME.hub; the files written."""
    out.mkdir(parents=True, exist_ok=True)
    targets = [out / (path.stem if path.is_file() else path.name) for path in paths]
    for path, target in zip(paths, targets, strict=True):
        annotate(read_record(path), target)
    return [target.with_name(f"{target.name}.hub") for target in targets]


def _is_dicom(path: Path) -> bool:
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
