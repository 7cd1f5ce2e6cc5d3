"""Writes the objects: Encapsulated PDF (PS3.3 A.45.1), Basic Text SR (A.35.1), Key Object Selection (A.35.4).

Text is UTF-8 (ISO_IR 192), the encoding explicit VR little endian. Content follows TID 2000 (Basic Diagnostic Imaging
Report) and TID 2010 (Key Object Selection) of PS3.16.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from io import BytesIO
from typing import Final

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from dicom import uids
from dicom.objects.facts import ImageReference, Report, StudyFacts

PDF_CLASS: Final = "1.2.840.10008.5.1.4.1.1.104.1"
TEXT_SR_CLASS: Final = "1.2.840.10008.5.1.4.1.1.88.11"
KEY_OBJECT_CLASS: Final = "1.2.840.10008.5.1.4.1.1.88.59"
SERIES_NUMBERS: Final = {
    PDF_CLASS: 9001,
    TEXT_SR_CLASS: 9002,
    KEY_OBJECT_CLASS: 9003,
}  # behind those of any modality
MANUFACTURER: Final = "Telehub"
Code = tuple[str, str, str]  # value, scheme, meaning

# By what was read (LOINC; CID 7000).
TITLES: Final[dict[str, Code]] = {
    "imaging": ("18748-4", "LN", "Diagnostic imaging report"),
    "ecg-12-lead": ("11524-6", "LN", "EKG study"),
    "holter": ("18754-2", "LN", "Holter monitor study"),
}
OF_INTEREST: Final[Code] = ("113000", "DCM", "Of Interest")
KEY_OBJECT_NOTE: Final[Code] = ("113012", "DCM", "Key Object Description")
LANGUAGE: Final[Code] = ("121049", "DCM", "Language of Content Item and Descendants")
LANGUAGES: Final[dict[str, Code]] = {
    "zh-CN": ("zh-CN", "RFC5646", "Chinese (China)"),
    "en": ("en", "RFC5646", "English"),
}
# CID 7001 and what TID 2002 puts under each.
SECTIONS: Final[dict[str, tuple[Code, Code]]] = {
    "findings": (("121070", "DCM", "Findings"), ("121071", "DCM", "Finding")),
    "impression": (("121072", "DCM", "Impressions"), ("121073", "DCM", "Impression")),
    "recommendation": (("121074", "DCM", "Recommendations"), ("121075", "DCM", "Recommendation")),
}
COMMENT: Final[Code] = ("121106", "DCM", "Comment")
KEY_IMAGES: Final[Code] = ("121180", "DCM", "Key Images")
SOURCE: Final[Code] = ("121112", "DCM", "Source of Measurement")
_DATE, _TIME, _SEX = re.compile(r"\d{8}"), re.compile(r"\d{2,6}(\.\d{1,6})?"), frozenset("MFO")


def encapsulated_pdf(study: StudyFacts, report: Report, pdf: bytes) -> bytes:
    """The paper of a report as a DICOM file."""
    made = _object(study, report, PDF_CLASS, "DOC")
    made.ConversionType = "WSD"
    _content_time(made, report.signed_at)
    made.AcquisitionDateTime = ""
    made.BurnedInAnnotation = "YES"  # the paper names the patient
    made.DocumentTitle = report.title
    made.ConceptNameCodeSequence = Items([_code(TITLES[report.kind])])
    if report.evidence:
        made.SourceInstanceSequence = Items([_reference(one) for one in report.evidence])
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.EncapsulatedDocumentLength = len(pdf)
    return _written(made)


def text_report(study: StudyFacts, report: Report) -> bytes:
    """What was signed as a Basic Text SR: findings, impression, recommendation, and the key images."""
    made = _document(study, report, TEXT_SR_CLASS, "SR", TITLES[report.kind], "2000")
    made.CompletionFlag = "COMPLETE"
    made.VerificationFlag = "VERIFIED"
    made.VerifyingObserverSequence = Items([_observer(report)])
    made.PerformedProcedureCodeSequence = Items([])
    evidence = [*report.evidence, *report.key_images]
    if evidence:
        made.CurrentRequestedProcedureEvidenceSequence = Items([_by_series(study.study_uid, evidence)])
    if report.predecessor is not None:
        series_uid, class_uid, sop_uid = report.predecessor
        before = ImageReference(series_uid, class_uid, sop_uid)
        made.PredecessorDocumentsSequence = Items([_by_series(study.study_uid, [before])])
    content = [_coded("HAS CONCEPT MOD", LANGUAGE, LANGUAGES[report.language])]
    if report.withdrawn:
        content.append(_text(COMMENT, report.withdrawn))
    for section in report.sections:
        heading, item = SECTIONS[section.kind]
        content.append(_container(heading, [_text(item, section.text)]))
    if report.key_images:
        content.append(_container(KEY_IMAGES, _shown(report.key_images)))
    made.ContentSequence = Items(content)
    return _written(made)


def key_object_selection(study: StudyFacts, report: Report) -> bytes:
    """The images the reader chose, with the notes (TID 2010). ValueError without any."""
    if not report.key_images:
        raise ValueError("a key object selection names at least one image")
    made = _document(study, report, KEY_OBJECT_CLASS, "KO", OF_INTEREST, "2010")
    made.CurrentRequestedProcedureEvidenceSequence = Items([_by_series(study.study_uid, report.key_images)])
    notes = list(dict.fromkeys(image.note for image in report.key_images if image.note))
    content = [_coded("HAS CONCEPT MOD", LANGUAGE, LANGUAGES[report.language])]
    if notes:
        content.append(_text(KEY_OBJECT_NOTE, "\n".join(notes)))
    made.ContentSequence = Items(content + [_image(image, None) for image in report.key_images])
    return _written(made)


def _object(study: StudyFacts, report: Report, class_uid: str, modality: str) -> Dataset:
    """Modules of patient, study, series and equipment, of what is known only; SOP common."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.TimezoneOffsetFromUTC = report.signed_at.strftime("%z")
    made.SOPClassUID, made.SOPInstanceUID = class_uid, report.sop_uid
    made.PatientName, made.PatientID = study.patient_name, study.patient_id
    if study.issuer:
        made.IssuerOfPatientID = study.issuer
    made.PatientBirthDate = study.birth_date if _DATE.fullmatch(study.birth_date) else ""
    made.PatientSex = study.sex if study.sex in _SEX else ""
    made.StudyInstanceUID = study.study_uid
    made.StudyDate = study.study_date if _DATE.fullmatch(study.study_date) else ""
    made.StudyTime = study.study_time if _TIME.fullmatch(study.study_time) else ""
    made.AccessionNumber, made.StudyID, made.ReferringPhysicianName = study.accession, "", ""
    if study.description:
        made.StudyDescription = study.description[:64]
    made.Modality, made.SeriesInstanceUID = modality, report.series_uid
    made.SeriesNumber = SERIES_NUMBERS[class_uid]
    made.SeriesDescription = report.title[:64]
    made.InstanceNumber = report.version
    made.Manufacturer = MANUFACTURER
    made.InstitutionName = report.organisation_name[:64]
    return made


def _document(
    study: StudyFacts, report: Report, class_uid: str, modality: str, title: Code, template: str
) -> Dataset:
    """A structured document with its root container (PS3.3 C.17.2, C.17.3)."""
    made = _object(study, report, class_uid, modality)
    _content_time(made, report.signed_at)
    made.ReferencedPerformedProcedureStepSequence = Items([])
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = Items([_code(title)])
    used = Dataset()
    used.MappingResource, used.TemplateIdentifier = "DCMR", template
    made.ContentTemplateSequence = Items([used])
    return made


def _content_time(made: Dataset, at: datetime) -> None:
    made.ContentDate, made.ContentTime = at.strftime("%Y%m%d"), at.strftime("%H%M%S")


def _observer(report: Report) -> Dataset:
    made = Dataset()
    made.VerifyingOrganization = report.organisation_name[:64]
    made.VerificationDateTime = report.signed_at.strftime("%Y%m%d%H%M%S%z")
    made.VerifyingObserverName = report.signer_name
    made.VerifyingObserverIdentificationCodeSequence = Items([])
    return made


def _code(code: Code) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = code
    return made


def _item(relation: str, kind: str, name: Code | None) -> Dataset:
    made = Dataset()
    made.RelationshipType, made.ValueType = relation, kind
    if name is not None:
        made.ConceptNameCodeSequence = Items([_code(name)])
    return made


def _text(name: Code, text: str) -> Dataset:
    made = _item("CONTAINS", "TEXT", name)
    made.TextValue = text.replace("\n", "\r\n")
    return made


def _coded(relation: str, name: Code, value: Code) -> Dataset:
    made = _item(relation, "CODE", name)
    made.ConceptCodeSequence = Items([_code(value)])
    return made


def _container(name: Code, content: Sequence[Dataset]) -> Dataset:
    made = _item("CONTAINS", "CONTAINER", name)
    made.ContinuityOfContent = "SEPARATE"
    made.ContentSequence = Items(content)
    return made


def _shown(images: Iterable[ImageReference]) -> list[Dataset]:
    """Each key image, and its note behind it."""
    content = []
    for image in images:
        content.append(_image(image, SOURCE))
        if image.note:
            content.append(_text(KEY_OBJECT_NOTE, image.note))
    return content


def _image(image: ImageReference, name: Code | None) -> Dataset:
    made = _item("CONTAINS", "IMAGE", name)
    made.ReferencedSOPSequence = Items([_reference(image)])
    return made


def _reference(image: ImageReference) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = image.sop_class_uid, image.sop_uid
    if image.frame is not None:
        made.ReferencedFrameNumber = image.frame
    return made


def _by_series(study_uid: str, images: Sequence[ImageReference]) -> Dataset:
    """Instances by series (hierarchical SOP instance reference macro, PS3.3 C.17.2.1); each once, whole."""
    series: dict[str, dict[str, Dataset]] = {}
    for image in images:
        whole = ImageReference(image.series_uid, image.sop_class_uid, image.sop_uid)
        series.setdefault(image.series_uid, {})[image.sop_uid] = _reference(whole)
    made = Dataset()
    made.StudyInstanceUID = study_uid
    made.ReferencedSeriesSequence = Items([_series(uid, found.values()) for uid, found in series.items()])
    return made


def _series(series_uid: str, references: Iterable[Dataset]) -> Dataset:
    made = Dataset()
    made.SeriesInstanceUID = series_uid
    made.ReferencedSOPSequence = Items(list(references))
    return made


def _written(made: Dataset) -> bytes:
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(uids.EXPLICIT_LITTLE)
    made.file_meta.ImplementationClassUID = UID(uids.IMPLEMENTATION_CLASS_UID)
    made.file_meta.ImplementationVersionName = uids.IMPLEMENTATION_VERSION_NAME
    file = BytesIO()
    pydicom.dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()
