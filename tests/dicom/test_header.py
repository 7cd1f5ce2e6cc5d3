"""The header pass: what pydicom reads of a data set, in any syntax; bounded on whatever else comes."""

import os
import random
import struct
import time
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom import InvalidInstance, part10, text, uids
from dicom.header import KEYS, Header, scan, scan_deflated
from tests.imaging import senders

DATA = Path(os.environ.get("TELEHUB_DATA", Path(__file__).parents[3] / "shared" / "data")) / "dicom"
SYNTAXES = (uids.IMPLICIT_LITTLE, uids.EXPLICIT_LITTLE, uids.EXPLICIT_BIG)
EXPLICIT = uids.TRANSFER_SYNTAXES[uids.EXPLICIT_LITTLE]
MUTANTS = int(os.environ.get("TELEHUB_MUTANTS", "300"))
SECOND_S = 1.0  # whatever comes; in fact some milliseconds


def _with_sequences(chance: random.Random) -> Dataset:
    """Sequences before the keys, of defined and undefined length, within one another."""
    one = senders.slice_of("1.2.3", "1.2.3.4", chance.randrange(1000), side=4, NumberOfFrames=1)
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "9.9.9"
    inner.PatientID = "of a sequence, not of the patient"
    for _ in range(chance.randrange(4)):
        outer = Dataset()
        outer.ReferencedImageSequence = Sequence([inner] * chance.randrange(3))
        outer["ReferencedImageSequence"].is_undefined_length = chance.random() < 0.5
        inner = outer
    one.ReferencedStudySequence = Sequence([inner])
    one["ReferencedStudySequence"].is_undefined_length = chance.random() < 0.7
    return one


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("seed", range(8))
def test_keys_are_those_pydicom_reads(syntax: str, seed: int) -> None:
    one = _with_sequences(random.Random(seed))
    file = senders.as_file(one, syntax)
    meta = part10.read_meta(file)
    assert (meta.transfer_syntax, meta.sop_instance_uid) == (syntax, one.SOPInstanceUID)
    header = scan(memoryview(file)[meta.data_set_at :], uids.TRANSFER_SYNTAXES[syntax])
    header.require_identity()
    assert (header.fault, header.is_cut) == (None, False)
    for keyword in KEYS.values():
        if keyword in one:
            assert (
                header.text(keyword) == str(one[keyword].value)
                or header.number(keyword) == one[keyword].value
            )


def test_keys_of_real_files_are_those_pydicom_reads() -> None:
    if not DATA.exists():
        pytest.skip("TELEHUB_DATA")
    compared = 0
    for path in sorted(DATA.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        if not part10.is_file(data):
            continue
        try:
            meta = part10.read_meta(data)
            encoding = uids.TRANSFER_SYNTAXES[meta.transfer_syntax]
            read = scan_deflated if encoding.is_deflated else scan
            header = read(memoryview(data)[meta.data_set_at :], encoding)
            header.require_identity()
        except (InvalidInstance, KeyError):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, of what is odd in these files
            theirs = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"):
                assert header.text(keyword) == str(theirs.get(keyword) or "").strip(), path.name
            name = str(theirs.get("PatientName") or "")
            if name.isprintable():
                assert header.text("PatientName").rstrip("=") == name.strip()[: text.SHOWN_CHARS], path.name
            assert header.number("Rows") == theirs.get("Rows"), path.name
        compared += 1
    assert compared > 250


def test_a_cut_data_set_is_told_and_more_bytes_tell_more() -> None:
    file = senders.as_file(_with_sequences(random.Random(3)), uids.EXPLICIT_LITTLE)
    data = file[part10.read_meta(file).data_set_at :]
    whole = scan(data, EXPLICIT)
    known = -1
    for end in range(1500):
        part = scan(data[:end], EXPLICIT, len(data))
        assert part.fault is None and part.raw.items() <= whole.raw.items() and len(part.raw) >= known
        assert part.is_cut or part == whole
        known = len(part.raw)
        truncated = scan(data[:end], EXPLICIT)
        assert not truncated.is_cut and truncated.raw.items() <= whole.raw.items()


def _element(tag: int, vr: bytes, length: int, value: bytes = b"") -> bytes:
    return struct.pack("<HH2sxxI", tag >> 16, tag & 0xFFFF, vr, length) + value


UNDEFINED = 0xFFFF_FFFF
ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
EMPTY_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
BOMBS = {
    "nested 10,000 deep": (_element(0x0008_1140, b"SQ", UNDEFINED) + ITEM) * 10_000,
    "a million empty items": _element(0x0008_1140, b"SQ", UNDEFINED) + EMPTY_ITEM * 1_000_000,
    "a million elements": b"\x08\0\x01\0UI\0\0" * 1_000_000,
    "a length that lies": _element(0x0008_1140, b"SQ", 0x7FFF_FFFE, b"x" * 100),
    "no VR": b"\x08\0\x01\0\0\0\0\0" * 3,
    "an unknown VR of no length": _element(0x0008_1140, b"ZZ", UNDEFINED),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_the_pass_and_cost_nothing(name: str) -> None:
    begun_s = time.process_time()
    header = scan(BOMBS[name], EXPLICIT)
    assert time.process_time() - begun_s < SECOND_S
    assert header.fault is not None and not header.raw
    with pytest.raises(InvalidInstance):
        header.require_identity()


def test_mutants_are_a_header_or_a_fault() -> None:
    file = senders.as_file(_with_sequences(random.Random(5)), uids.EXPLICIT_LITTLE)
    data = file[part10.read_meta(file).data_set_at :]
    faults = 0
    for seed in range(MUTANTS):
        chance = random.Random(seed)
        mutant = bytearray(data[:1500])
        for _ in range(chance.randint(1, 6)):
            mutant[chance.randrange(len(mutant))] = chance.choice((0, 255, chance.randrange(256)))
        for syntax in SYNTAXES:
            header = scan(mutant, uids.TRANSFER_SYNTAXES[syntax], chance.choice((None, len(data))))
            faults += header.fault is not None
            for keyword in KEYS.values():
                assert header.text(keyword).isprintable() or "�" in header.text(keyword)
                header.number(keyword)
            try:
                header.require_identity()
            except InvalidInstance as failure:
                assert str(failure)
    assert MUTANTS // 3 < faults < 3 * MUTANTS


@pytest.mark.parametrize(
    "uid, valid",
    [
        ("1.2.840.10008.1.1", True), ("1" * 64, True), ("1.02.3", True), ("1" * 65, False), ("", False),
        ("../../etc/passwd", False), ("1..2", False), (".1", False), ("1.2.", False), ("1.2\n", False),
        ("1.2/3", False), ("１.2", False),
    ],
)  # fmt: skip
def test_a_uid_is_digits_and_dots(uid: str, valid: bool) -> None:
    assert uids.is_valid_uid(uid) is valid


@pytest.mark.parametrize(
    "charset, raw, shown",
    [
        (b"", b"Adams^John ", "Adams^John"),
        (b"ISO_IR 100", "Müller".encode("latin-1"), "Müller"),
        (b"ISO_IR 192", "王^建国".encode(), "王^建国"),
        (  # PS3.5 K.2
            b"\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        ),
        (b"GB18030", "王^建国".encode("gb18030"), "王^建国"),
        (b"GBK", "王^建国".encode("gbk"), "王^建国"),
        (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
        (b"NO SUCH SET", "王".encode(), "王"),
        (b"ISO_IR 192", b"\xff\xfe^x", "\ufffd\ufffd^x"),
        (b"", b"<b>\x1b[31m\0x", "<b>\ufffd[31m\ufffdx"),
    ],
)
def test_text_is_characters_whatever_is_said_of_it(charset: bytes, raw: bytes, shown: str) -> None:
    assert text.decode(raw, charset) == shown


def test_sets_that_stand_alone_are_read_as_pydicom_reads_them() -> None:
    every = [bytes([high, low]) for high in range(0xA0, 0x100) for low in range(0x30, 0x100)]
    alone = [name for name in pydicom.charset.python_encoding if "2022" not in name]
    assert len(alone) == 16
    for name in alone:
        codec = pydicom.charset.python_encoding[name]
        for raw in every:
            theirs = raw.decode(codec, "replace")
            shown = "".join(c if c.isprintable() else "\ufffd" for c in theirs.strip(" \0\t\r\n"))
            assert text.decode(raw, name.encode()) == shown, (name, raw)


def test_a_written_meta_group_is_read_by_pydicom_and_by_us(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(part10.write_meta(senders.CT, "1.2.3", uids.EXPLICIT_LITTLE))
    theirs, ours = pydicom.dcmread(path), part10.read_meta(path.read_bytes())
    assert theirs.file_meta.MediaStorageSOPInstanceUID == ours.sop_instance_uid == "1.2.3"
    assert theirs.file_meta.TransferSyntaxUID == ours.transfer_syntax
    assert ours.data_set_at == path.stat().st_size
    assert Header().text("PatientName") == ""
