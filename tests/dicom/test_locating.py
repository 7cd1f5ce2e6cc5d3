"""Where values and frames stand: as a parser finds them, and never outside of what is there, whatever the bytes say."""

import random
import struct
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom import InvalidInstance, accepting, locating, uids
from dicom.accepting import Offered

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
JPEG = "1.2.840.10008.1.2.4.50"


def made(dice: random.Random, depth: int = 0) -> Dataset:
    """Elements of many kinds, sequences within sequences, of known and of undefined length."""
    found = Dataset()
    found.PatientName, found.StudyDescription, found.Rows = "A^B", "x" * dice.randrange(9), dice.randrange(99)
    found.EncapsulatedDocument = dice.randbytes(2 * dice.randrange(1, 40))
    if depth < 3:
        for keyword in ("RequestAttributesSequence", "ReferencedStudySequence"):
            setattr(found, keyword, [made(dice, depth + 1) for _ in range(dice.randrange(3))])
            found[keyword].is_undefined_length = dice.random() < 0.5
            for item in found[keyword].value:
                item.is_undefined_length_sequence_item = dice.random() < 0.5
    return found


def written(data_set: Dataset, syntax: Any) -> bytes:
    file = pydicom.filebase.DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    write_dataset(file, data_set)
    return file.getvalue()


def places(data_set: Dataset, path: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], bytes]]:
    found = []
    for element in data_set:
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                found += places(item, (*path, int(element.tag), number))
        elif element.keyword == "EncapsulatedDocument":
            found.append(((*path, int(element.tag)), element.value))
    return found


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_value_is_found_where_it_stands(syntax: Any) -> None:
    dice, count = random.Random(5), 0
    for _ in range(20):
        data_set = made(dice)
        data = written(data_set, syntax)
        for path, value in places(data_set):
            found = locating.locate(data, uids.TRANSFER_SYNTAXES[syntax], path)
            assert found is not None and found.size is not None
            assert data[found.start : found.start + found.size] == value
            assert locating.locate(data, uids.TRANSFER_SYNTAXES[syntax], (*path[:-1], 0x0042_0012)) is None
            count += 1
    assert count > 100


def encapsulated(frames: list[bytes], **how: Any) -> bytes:
    data_set = Dataset()
    data_set.PatientName, data_set.PixelData = "A^B", encapsulate(frames, **how)
    data_set["PixelData"].VR, data_set["PixelData"].is_undefined_length = "OB", True
    return written(data_set, ExplicitVRLittleEndian)


def test_frames_are_those_a_parser_finds() -> None:
    dice, encoding = random.Random(6), uids.TRANSFER_SYNTAXES[JPEG]
    for _ in range(60):
        frames = [
            b"\xff\xd8" + dice.randbytes(2 * dice.randrange(4, 50)) for _ in range(dice.randrange(1, 7))
        ]
        how = {"fragments_per_frame": dice.randrange(1, 4), "has_bot": dice.random() < 0.5}
        data = encapsulated(frames, **how)
        first = locating.locate(data, encoding, (locating.PIXELS,))
        assert first is not None and first.size is None
        found = locating.frames(data, encoding, first, len(frames), range(len(frames)))
        ours = [b"".join(data[one.start : one.start + one.size] for one in each) for each in found]
        if how["has_bot"] or how["fragments_per_frame"] == 1:
            value = pydicom.dcmread(BytesIO(data), force=True).PixelData
            assert ours == list(generate_frames(value, number_of_frames=len(frames)))
        assert [one[: len(frame)] for one, frame in zip(ours, frames, strict=True)] == frames


def test_no_bytes_lead_outside_or_on_and_on() -> None:
    """Mutants of honest data sets: a place within, none, or `InvalidInstance`; nothing else, and in bounded steps."""
    dice, refused = random.Random(8), 0
    honest = [
        (written(made(dice), syntax), uids.TRANSFER_SYNTAXES[syntax]) for syntax in SYNTAXES for _ in range(3)
    ]
    honest += [(encapsulated([b"\xff\xd8" + dice.randbytes(30)] * 3, has_bot=bot), uids.TRANSFER_SYNTAXES[JPEG])
               for bot in (True, False)]  # fmt: skip
    for _ in range(4000):
        content, encoding = dice.choice(honest)
        data = bytearray(content)
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(data))
            data[at : at + dice.choice((1, 1, 2, 4))] = dice.choice(
                (dice.randbytes(1), b"\xff\xff\xff\xff", b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0", b"")
            )
        view = memoryview(bytes(data[: dice.randrange(1, len(data) + 1)] if dice.random() < 0.2 else data))
        try:
            for path in (
                (locating.PIXELS,),
                (0x0042_0011,),
                (0x0040_0275, 1, 0x0042_0011),
                (0x0040_0275, 0, 0x0008_1110, 0, 1),
            ):
                found = locating.locate(view, encoding, path)
                if found is None:
                    continue
                assert 0 <= found.start <= len(view)
                if found.size is not None:
                    assert found.start + found.size <= len(view)
                elif path == (locating.PIXELS,):
                    for each in locating.frames(view, encoding, found, 3, (2, 0)):
                        assert all(0 <= one.start and one.start + one.size <= len(view) for one in each)
        except InvalidInstance:
            refused += 1
    assert 400 < refused < 3900


def test_a_table_that_lies_is_refused() -> None:
    frames = [b"\xff\xd8" + bytes(20)] * 3
    data = bytearray(encapsulated(frames))
    encoding = uids.TRANSFER_SYNTAXES[JPEG]
    first = locating.locate(bytes(data), encoding, (locating.PIXELS,))
    assert first is not None
    for lie in (b"\0\0\0\0" * 3, b"\0\0\0\0" + b"\xff\xff\xff\x7f" * 2, b"\1\0\0\0\2\0\0\0\3\0\0\0"):
        data[first.start + 8 : first.start + 20] = lie
        with pytest.raises(InvalidInstance):
            locating.frames(bytes(data), encoding, first, 3, (1, 2, 0))
    with pytest.raises(InvalidInstance):
        locating.frames(encapsulated([bytes(20)] * 4, has_bot=False), encoding, first, 3, (0,))


FILES = (Offered("application/dicom", True, "1.2"), Offered("application/dicom", False, "1.2"))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", FILES[0]), ("*/*", FILES[0]), ("application/dicom", FILES[1]), ("application/*", FILES[1]),
        ('multipart/related; type="application/dicom"', FILES[0]), ("multipart/related", FILES[0]),
        ('multipart/related; type=application/dicom; transfer-syntax="*"', FILES[0]),
        ("application/dicom; transfer-syntax=1.2", FILES[1]), ("application/dicom; transfer-syntax=1.3", None),
        ("image/jpeg", None), ("application/dicom;q=0", None), ("text/html, application/dicom;q=0.1", FILES[1]),
        ('application/dicom;q=0.5, multipart/related;type="application/dicom";q=0.9', FILES[0]),
    ],
)  # fmt: skip
def test_what_is_accepted(header: str, expected: Offered | None) -> None:
    assert accepting.best(accepting.accepted(header), FILES) == expected


def test_a_table_that_goes_to_and_fro_does_not_multiply_the_pieces() -> None:
    """Each frame from the first fragment to the last: a small file would become millions of pieces."""
    empty, count, encoding = b"\xfe\xff\x00\xe0\0\0\0\0", 400, uids.TRANSFER_SYNTAXES[JPEG]
    fragments = empty * 2_000
    table = struct.pack(f"<{count}I", *[0, len(fragments) - 8] * (count // 2))
    data = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(table)) + table + fragments
    first = locating.Value(0, None, "OB")
    assert len(locating.frames(data, encoding, first, count, [0])[0]) == 1_999
    with pytest.raises(InvalidInstance):
        locating.frames(data, encoding, first, count, range(0, count, 2))
