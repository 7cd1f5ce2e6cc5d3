"""What a file that came in is, and what it holds. Runs in the sandbox: where the file lies in, one answer out.

An answer is a JSON head behind its length, then bytes whose lengths the head tells.
"""

import json
import lzma
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from ecg import formats
from ecg.formats.invalid import InvalidRecord
from ecg.record import Record
from hub.core import errors
from hub.imaging.index.framing import answer
from hub.imaging.intake.ecg_files import is_dicom, read_record
from hub.imaging.intake.lines import line_of

ZIP_MARK: Final = b"PK\x03\x04"
MEMBERS_MAX: Final = 20_000
UNPACKED_MAX: Final = 4 << 30
MEMBER_MAX: Final = 200 << 20


def look(payload: bytes) -> bytes:
    """`{"path", "zone", "record"?}`: an ECG with its blocks, or a zip's members.

    `record` names the members of a zip that are one WFDB record. ValueError with a reason's key if it is nothing.
    """
    asked = json.loads(payload)
    path, zone = Path(asked["path"]), ZoneInfo(asked["zone"])
    if asked.get("record"):
        return _ecg("WFDB", _wfdb(path, asked["record"], zone))
    if _begins(path, ZIP_MARK):
        return answer({"kind": "zip", "members": _members(path)})
    return _ecg(_format(path), _read(path, zone))


def unpack(payload: bytes) -> bytes:
    """`{"path", "names"}`: these members of a zip; what one declares of its size must be so."""
    asked = json.loads(payload)
    found: list[bytes] = []
    with zipfile.ZipFile(asked["path"]) as archive:
        found = [_member(archive, name) for name in asked["names"]]
    return answer({"sizes": [len(one) for one in found]}, found)


def _begins(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


def _format(path: Path) -> str:
    if is_dicom(path):
        return "DICOM"
    with path.open("rb") as file:
        try:
            return formats.sniff(file.read(formats.HEAD_BYTES)).name
        except InvalidRecord as nothing:
            raise ValueError(f"unknown: {nothing.cause}") from None


def _read(path: Path, zone: ZoneInfo) -> Record:
    try:
        return read_record(path, zone)
    except errors.BadInput as fault:
        place = f" (byte {fault.detail['offset']})" if "offset" in fault.detail else ""
        raise ValueError(f"damaged: {fault.detail['cause']}{place}") from None


def _ecg(format_name: str, record: Record) -> bytes:
    line = line_of(record)
    blocks = list(line.blocks())
    head = {
        "kind": "ecg", "format": format_name, "fs_hz": line.fs_hz, "leads": line.leads, "uv_per_lsb": line.uv_per_lsb,
        "samples": line.samples.shape[1], "gaps": line.gaps, "device": record.device[:80],
        "start_at": line.start_at.isoformat() if line.start_at else None,
        "filters": dict(record.filters) if record.filters is not None else None,
        "blocks": [[b.first, b.count] for b in blocks],
        "sizes": [len(part) for b in blocks for part in (b.whole, b.seconds, b.payload)],
    }  # fmt: skip
    return answer(head, (part for b in blocks for part in (b.whole, b.seconds, b.payload)))


def _members(path: Path) -> list[dict[str, Any]]:
    """Files of a zip, in order; those that together are one WFDB record under the name of its header."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = [info for info in archive.infolist() if _is_wanted(info)]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as fault:
        raise ValueError(f"damaged: {fault}") from None
    if len(files) > MEMBERS_MAX or sum(info.file_size for info in files) > UNPACKED_MAX:
        raise ValueError(f"too-much: {len(files)} files")
    stems = {info.filename[:-4] for info in files if info.filename.endswith(".hea")}
    records: dict[str, list[str]] = {}
    single = list[dict[str, Any]]()
    for info in files:
        stem = os.path.splitext(info.filename)[0]
        if stem in stems:
            records.setdefault(stem, []).append(info.filename)
        else:
            single.append({"name": info.filename, "size": info.file_size})
    return [{"name": f"{stem}.hea", "record": names} for stem, names in records.items()] + single


def _is_wanted(info: zipfile.ZipInfo) -> bool:
    parts = info.filename.split("/")
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return not info.is_dir() and not hidden and parts[-1].upper() != "DICOMDIR"


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
        if info.file_size > MEMBER_MAX:
            raise ValueError(f"too-much: {info.file_size} bytes")
        with archive.open(info) as file:
            data = file.read(MEMBER_MAX + 1)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        KeyError,
        OSError,
        EOFError,
        RuntimeError,
    ) as fault:
        raise ValueError(f"damaged: {type(fault).__name__}") from None
    if len(data) != info.file_size:
        raise ValueError("damaged: a size that is not so")
    return data


def _wfdb(path: Path, names: Sequence[str], zone: ZoneInfo) -> Record:
    """The members are laid into the sandbox's own empty folder, under plain names."""
    header = next(name for name in names if name.endswith(".hea"))
    with zipfile.ZipFile(path) as archive:
        for name in names:
            Path(os.path.basename(name)).write_bytes(_member(archive, name))
    return _read(Path(os.path.basename(header)).with_suffix(""), zone)
