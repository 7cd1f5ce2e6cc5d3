"""Implicit to explicit VR and back: what pydicom reads is the same, and what can't be read is said to be so."""

import os
import random
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from dicom import part10, uids
from dicom.errors import InvalidInstance
from dicom.recoding import recoded

DATA = Path(os.environ.get("TELEHUB_DATA", "../shared/data")) / "dicom"


def written(made: Dataset, is_implicit: bool) -> bytes:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, is_implicit
    write_dataset(out, made)
    return out.getvalue()


def read(data: bytes, is_implicit: bool) -> Dataset:
    return read_dataset(BytesIO(data), is_implicit, True)


def recode(data: bytes, to_explicit: bool) -> bytes:
    return b"".join(recoded(memoryview(data), to_explicit))


def example() -> Dataset:
    made, item, inner = Dataset(), Dataset(), Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPInstanceUID, made.PatientName, made.PixelRepresentation = "1.2.3", "王^建国", 1
    made.SmallestImagePixelValue = -5
    inner.CodeValue = "X"
    item.ConceptNameCodeSequence, item.TextValue = [inner, inner], "a" * 70_001
    made.ContentSequence, made.ReferencedStudySequence = [item, Dataset()], []
    made.private_block(0x0029, "US", create=True).add_new(1, "OB", b"\1\2\3\4")
    made.Rows = made.Columns = 8
    made.PixelData = np.arange(64, dtype=np.int16).tobytes()
    made["PixelData"].VR = "OW"
    return made


def test_there_and_back_is_the_same() -> None:
    implicit, explicit = written(example(), True), written(example(), False)
    assert read(recode(explicit, False), True) == read(implicit, True)
    forth, theirs = read(recode(implicit, True), False), read(explicit, False)
    assert (
        forth[0x0029, 0x1001].value == theirs[0x0029, 0x1001].value
    )  # private: its VR is not told in implicit
    del forth[0x0029, 0x1001], theirs[0x0029, 0x1001]
    assert forth == theirs
    assert recode(recode(implicit, True), False) == recode(explicit, False)
    assert forth.SmallestImagePixelValue == -5 and forth.PixelData == example().PixelData


@pytest.mark.filterwarnings("ignore")  # of what is odd in them
def test_real_files_say_the_same_in_both() -> None:
    seen = 0
    for path in sorted(DATA.rglob("*.dcm"))[:60] if DATA.is_dir() else []:
        data = path.read_bytes()
        try:
            meta = part10.read_meta(data)
        except InvalidInstance:
            continue
        if meta.transfer_syntax not in (uids.EXPLICIT_LITTLE, uids.IMPLICIT_LITTLE) or len(data) > 4 << 20:
            continue
        body, is_implicit = data[meta.data_set_at :], meta.transfer_syntax == uids.IMPLICIT_LITTLE
        try:
            other = recode(body, is_implicit)
        except InvalidInstance:
            continue
        theirs, ours = (
            {e.tag: e.value for e in read(b, i) if e.tag.element and e.VR not in ("UN", "SQ")}
            for b, i in ((body, is_implicit), (other, not is_implicit))
        )
        assert {tag: value for tag, value in ours.items() if tag in theirs} == {
            tag: value for tag, value in theirs.items() if tag in ours
        }, path
        seen += 1
    if not seen:
        pytest.skip("no files")


@pytest.mark.parametrize("seed", range(10))
def test_no_bytes_do_it_harm(seed: int) -> None:
    chance = random.Random(seed)
    for is_implicit in (True, False):
        whole = bytearray(written(example(), is_implicit)[:2000])
        for _ in range(30):
            made = bytearray(whole)
            for _ in range(5):
                made[chance.randrange(len(made))] = chance.randrange(256)
            try:
                out = recode(bytes(made[: chance.randrange(len(made))]), is_implicit)
            except InvalidInstance:
                continue
            assert len(out) < 4 * len(whole)
    with pytest.raises(InvalidInstance):
        recode(b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 100, False)
