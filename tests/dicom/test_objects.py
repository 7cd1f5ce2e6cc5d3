"""Objects the hub makes: another implementation finds them sound, and they say what was signed."""

import shutil
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from dicom.objects import (
    ImageReference,
    Report,
    Section,
    StudyFacts,
    encapsulated_pdf,
    key_object_selection,
    text_report,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
ULTRASOUND_LOOP = "1.2.840.10008.5.1.4.1.1.3.1"
STUDY = StudyFacts(
    study_uid="2.25.1", patient_id="P1", issuer="县医院", patient_name="王^小明", birth_date="19500102", sex="M",
    accession="A1", study_date="20261121", study_time="101112", description="胸部平扫",
)  # fmt: skip
IMAGES = tuple(ImageReference("2.25.2", CT, f"2.25.2.{n}") for n in range(1, 4))
KEYS = (
    ImageReference("2.25.2", CT, "2.25.2.2", note="右肺上叶结节"),
    ImageReference("2.25.3", ULTRASOUND_LOOP, "2.25.3.1", frame=7),
)
REPORT = Report(
    sop_uid="2.25.10", series_uid="2.25.11", version=1, kind="imaging", title="影像诊断报告", language="zh-CN",
    sections=(Section("findings", "右肺上叶见结节。\n余未见异常。"), Section("impression", "右肺上叶结节"),
              Section("recommendation", "三月后复查")),
    signed_at=datetime(2026, 11, 21, 14, 5, tzinfo=timezone(timedelta(hours=8))), signer_name="李医生",
    organisation_name="市人民医院", key_images=KEYS, evidence=IMAGES,
)  # fmt: skip
MADE = {
    "pdf": encapsulated_pdf(STUDY, REPORT, b"%PDF-1.4 odd"),
    "text": text_report(STUDY, REPORT),
    "withdrawn": text_report(
        STUDY, replace(REPORT, version=2, withdrawn="写错患者", predecessor=("2.25.11", CT, "2.25.9"))
    ),
    "without images": text_report(STUDY, replace(REPORT, key_images=(), evidence=(), language="en")),
    "keys": key_object_selection(STUDY, REPORT),
}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy of dicom3tools is not installed")
@pytest.mark.parametrize("name", MADE)
def test_the_validator_finds_no_error(name: str, tmp_path: Path) -> None:
    file = tmp_path / "made.dcm"
    file.write_bytes(MADE[name])
    said = subprocess.run(["dciodvfy", "-new", str(file)], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert [line for line in lines if line.startswith("Error")] == []


def test_the_text_report_says_what_was_signed() -> None:
    read = pydicom.dcmread(BytesIO(MADE["text"]))
    sections = {
        part.ConceptNameCodeSequence[0].CodeMeaning: part.ContentSequence[0]
        for part in read.ContentSequence
        if part.ValueType == "CONTAINER"
    }
    assert sections["Findings"].TextValue == "右肺上叶见结节。\r\n余未见异常。"
    assert sections["Impressions"].TextValue == "右肺上叶结节"
    assert sections["Recommendations"].TextValue == "三月后复查"
    assert read.VerifyingObserverSequence[0].VerifyingObserverName == "李医生"
    assert read.VerifyingObserverSequence[0].VerificationDateTime == "20261121140500+0800"
    assert (read.PatientName, read.PatientID, read.AccessionNumber) == ("王^小明", "P1", "A1")


def test_every_image_that_is_named_stands_in_the_evidence() -> None:
    read = pydicom.dcmread(BytesIO(MADE["text"]))
    (evidence,) = read.CurrentRequestedProcedureEvidenceSequence
    named = {
        (series.SeriesInstanceUID, one.ReferencedSOPInstanceUID)
        for series in evidence.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert named == {(image.series_uid, image.sop_uid) for image in (*IMAGES, *KEYS)}


def test_key_images_keep_their_frame_and_their_note() -> None:
    read = pydicom.dcmread(BytesIO(MADE["keys"]))
    references = [part.ReferencedSOPSequence[0] for part in read.ContentSequence if part.ValueType == "IMAGE"]
    assert [one.ReferencedSOPInstanceUID for one in references] == [image.sop_uid for image in KEYS]
    assert "ReferencedFrameNumber" not in references[0] and references[1].ReferencedFrameNumber == 7
    assert [part.TextValue for part in read.ContentSequence if part.ValueType == "TEXT"] == ["右肺上叶结节"]


def test_the_paper_comes_out_as_it_went_in() -> None:
    read = pydicom.dcmread(BytesIO(MADE["pdf"]))
    assert read.EncapsulatedDocument[: read.EncapsulatedDocumentLength] == b"%PDF-1.4 odd"


def test_what_a_device_wrote_wrongly_is_not_written_again() -> None:
    odd = replace(STUDY, birth_date="1950?", sex="X", study_date="21.11.26", study_time="ten")
    read = pydicom.dcmread(BytesIO(text_report(odd, REPORT)))
    assert [read[name].value for name in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime")] == [
        ""
    ] * 4


def test_the_same_report_gives_the_same_bytes() -> None:
    assert text_report(STUDY, REPORT) == MADE["text"]


def test_no_selection_without_an_image() -> None:
    with pytest.raises(ValueError, match="at least one"):
        key_object_selection(STUDY, replace(REPORT, key_images=()))
