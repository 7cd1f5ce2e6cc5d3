"""ECG file formats, one file each: bytes of the format to `ecg.record.Record` and back, integers unchanged.

What a file is is told by its first bytes, not by its name. WFDB records are several files and are read by path only;
DICOM instances are read by `dicom.waveform`, which knows nothing of this package.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path

from ecg.formats import aecg, csv, edf, edf_out, ishne, muse, scp, scp_out
from ecg.formats.invalid import InvalidRecord, load
from ecg.record import Record

__all__ = ["FORMATS", "Format", "InvalidRecord", "decode", "encode", "read", "sniff", "write"]

HEAD_BYTES = 4096


@dataclass(frozen=True)
class Format:
    """A format: usual suffixes, what its first bytes look like, its reader, its writer if there is one."""

    name: str
    suffixes: tuple[str, ...]
    looks_like: Callable[[bytes], bool]
    decode: Callable[[bytes, tzinfo], Record]
    encode: Callable[[Record, tzinfo], bytes] | None = None


def _is_xml(root: bytes) -> Callable[[bytes], bool]:
    return lambda head: b"<" + root in head.replace(b"\x00", b"")


def _is_text(head: bytes) -> bool:
    return bool(head.strip()) and b"\x00" not in head and not head.lstrip().startswith(b"<") and b"\n" in head


# Sharper ones first.
FORMATS = (
    Format(
        "EDF/BDF", (".edf", ".bdf"), lambda head: head[:8] in (b"0       ", b"\xffBIOSEMI"), edf.decode,
        lambda record, zone: edf_out.encode(record, (), zone),
    ),
    Format("ISHNE", (".ecg", ".hol"), lambda head: head[:8] == ishne.MAGIC, ishne.decode, ishne.encode),
    Format("SCP-ECG", (".scp",), lambda head: head[16:22] == b"SCPECG", scp.decode, scp_out.encode),
    Format("HL7 aECG", (".aecg",), _is_xml(b"AnnotatedECG"), aecg.decode),
    Format("GE MUSE XML", (".muse",), _is_xml(b"RestingECG"), muse.decode),
    Format("CSV", (".csv", ".tsv"), _is_text, csv.decode, lambda record, _zone: csv.encode(record)),
)  # fmt: skip


def sniff(data: bytes) -> Format:
    """The format of these bytes, told by the first 4 kB."""
    head = data[:HEAD_BYTES]
    if data[128:132] == b"DICM":
        raise InvalidRecord("a DICOM instance", 128, "it is read by dicom.waveform, as imaging does")
    for known in FORMATS:
        if known.looks_like(head):
            return known
    names = ", ".join(known.name for known in FORMATS)
    raise InvalidRecord("no ECG format that is known", 0, f"export it as one of {names} or WFDB")


def decode(data: bytes, zone: tzinfo = UTC) -> Record:
    """A record from the bytes of a file of any format but WFDB; times without a zone are `zone`'s."""
    return sniff(data).decode(data, zone)


def read(path: Path, zone: tzinfo = UTC) -> Record:
    """A record from a file of any format; a WFDB record is named without suffix, or by its header."""
    if path.suffix == ".hea" or not path.exists():
        from ecg.formats import wfdb  # its library takes half a second to load, and few files need it

        return wfdb.read(path.with_suffix("") if path.suffix == ".hea" else path, zone)
    return decode(load(path), zone)


def encode(record: Record, suffix: str, zone: tzinfo = UTC) -> bytes:
    """The bytes of a file of the format with this suffix; ValueError if there is none or it can't hold the record."""
    for known in FORMATS:
        if suffix.lower() in known.suffixes and known.encode:
            return known.encode(record, zone)
    known_suffixes = [suffix for known in FORMATS if known.encode for suffix in known.suffixes]
    raise ValueError(f"no format to write with suffix {suffix!r}, there are {', '.join(known_suffixes)}")


def write(record: Record, path: Path, zone: tzinfo = UTC) -> None:
    """Write a record in the format of the path's suffix; without suffix as WFDB."""
    if path.suffix in ("", ".hea"):
        from ecg.formats import wfdb

        wfdb.write(record, path.with_suffix(""), zone)
    else:
        path.write_bytes(encode(record, path.suffix, zone))
