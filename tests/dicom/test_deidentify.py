"""De-identified instances name nobody, at any depth and whatever the encoding, and are the same objects otherwise."""

import os
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from dicom import InvalidInstance
from dicom.deidentify import ACTIONS, DEPTH_MAX, Options, deidentify, mapped_uid

KEY, OTHER = bytes(32), bytes(range(32))
CT = Path(str(get_testdata_file("CT_small.dcm")))
SECRET = "WANG^GEHEIM"
OPTIONS = st.builds(
    Options, st.sampled_from(["removed", "modified"]), st.booleans(), st.booleans(), st.booleans()
)
TEXTS = ("PN", "LO", "SH", "LT", "ST", "UT", "UC")


def _text_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""


NAMING = sorted(tag for tag in ACTIONS if _text_vr(tag) in TEXTS)


def encoded(dataset: Dataset, syntax: str = pydicom.uid.ExplicitVRLittleEndian) -> bytes:
    out = BytesIO()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    dataset.save_as(
        out,
        implicit_vr=syntax == pydicom.uid.ImplicitVRLittleEndian,
        little_endian=True,
        enforce_file_format=True,
    )
    return out.getvalue()


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(data))


def nested(dataset: Dataset, depth: int) -> Dataset:
    for _ in range(depth):
        outer = Dataset()
        outer.AnatomicRegionSequence = [dataset]
        dataset = outer
    return dataset


@given(st.lists(st.sampled_from(NAMING), min_size=1, max_size=30, unique=True), st.integers(0, 5), OPTIONS,
       st.sampled_from([pydicom.uid.ExplicitVRLittleEndian, pydicom.uid.ImplicitVRLittleEndian]))  # fmt: skip
def test_no_text_of_the_table_is_left_anywhere(
    tags: list[int], depth: int, options: Options, syntax: str
) -> None:
    item, dataset = Dataset(), read(CT.read_bytes())
    for tag in tags:
        item.add_new(tag, _text_vr(tag), SECRET)
    dataset.AnatomicRegionSequence = [nested(item, depth)]
    dataset.update({element.tag: element for element in item})
    block = dataset.private_block(0x0099, "MAKER", create=True)
    block.add_new(1, "LO", SECRET)
    made = deidentify(encoded(dataset, syntax), KEY, options)
    kept = {0x00080080, 0x00080081, 0x00081040} if options.keep_institution else set()
    kept |= {0x00081010, 0x00181000, 0x00181002, 0x0018700A, 0x00181008} if options.keep_device else set()
    kept |= {0x00102160} if options.keep_characteristics else set()
    assert SECRET.encode() not in made.data or kept & set(tags)


def test_it_stays_the_same_image_of_the_same_class_and_says_what_was_done() -> None:
    before, after = read(CT.read_bytes()), read(deidentify(CT.read_bytes(), KEY).data)
    assert after.PixelData == before.PixelData and after.SOPClassUID == before.SOPClassUID
    assert (after.Rows, after.RescaleSlope, after.PixelSpacing) == (
        before.Rows,
        before.RescaleSlope,
        before.PixelSpacing,
    )
    assert after.PatientIdentityRemoved == "YES" and after.PatientName == "" and after.PatientID == "REMOVED"
    assert [item.CodeValue for item in after.DeidentificationMethodCodeSequence] == ["113100"]
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID != before.SOPInstanceUID
    assert not [element for element in after if element.tag.is_private]


def test_the_same_key_gives_the_same_uids_and_another_key_others() -> None:
    first, again, other = (read(deidentify(CT.read_bytes(), key).data) for key in (KEY, KEY, OTHER))
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert first[name].value == again[name].value != other[name].value
        assert first[name].value == mapped_uid(read(CT.read_bytes())[name].value, KEY)


def test_moved_dates_keep_their_distances_and_are_not_the_true_ones() -> None:
    dataset = read(CT.read_bytes())
    dataset.StudyDate, dataset.SeriesDate, dataset.AcquisitionDate = "20240229", "20240301", "20240310"
    made = read(deidentify(encoded(dataset), KEY, Options("modified")).data)
    days = [pydicom.valuerep.DA(value) for value in (made.StudyDate, made.SeriesDate, made.AcquisitionDate)]
    assert [(day - days[0]).days for day in days] == [0, 1, 10] and days[0].year < 2024
    gone = read(deidentify(encoded(dataset), KEY).data)
    assert "2024" not in gone.StudyDate + str(gone.get("SeriesDate")) + str(gone.get("AcquisitionDate"))


@pytest.mark.parametrize(
    ("modality", "told", "is_burned"), [("US", None, "possible"), ("CT", None, "no"), ("CT", "YES", "yes")]
)
def test_names_burned_into_pixels_are_told(modality: str, told: str | None, is_burned: str) -> None:
    dataset = read(CT.read_bytes())
    dataset.Modality = modality
    if told:
        dataset.BurnedInAnnotation = told
    assert deidentify(encoded(dataset), KEY).burned_in == is_burned


def test_what_can_t_be_read_or_is_too_deep_is_refused() -> None:
    deep = read(CT.read_bytes())
    deep.AnatomicRegionSequence = [nested(Dataset(), DEPTH_MAX + 2)]
    for data in (b"", CT.read_bytes()[:140], encoded(deep)):
        with pytest.raises(InvalidInstance):
            deidentify(data, KEY)


@pytest.mark.skipif(
    not (
        Path(os.environ.get("TELEHUB_DATA", Path(__file__).parents[2].parent / "shared/data")) / "dicom"
    ).is_dir(),
    reason="no sample files: set TELEHUB_DATA",
)
def test_real_instances_lose_their_patient() -> None:
    folder = Path(os.environ.get("TELEHUB_DATA", Path(__file__).parents[2].parent / "shared/data")) / "dicom"
    done = 0
    for path in sorted(folder.rglob("*.dcm")):
        data = path.read_bytes()
        try:
            name = str(read(data).get("PatientName") or "").split("^")[0]
            made = deidentify(data, KEY).data
        except Exception:
            continue
        done += 1
        assert len(name) < 5 or name.encode("latin-1", "replace") not in made, path.name
    assert done > 50
