"""Attributes of studies, series and instances in a query (PS3.4 C.6.2, PS3.18 10.6.3): to which level each belongs.

A table of its own, so that a process that answers queries need not hold the whole dictionary of DICOM.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

Level = Literal["study", "series", "instance"]
Document = Mapping[str, Any]
"""A data set as DICOM JSON (PS3.18 annex F)."""

# Tag and VR of each attribute, by keyword. Of the study, and of its patient as the study has them.
STUDY: Final[Mapping[str, tuple[str, str]]] = {
    "SpecificCharacterSet": ("00080005", "CS"),
    "StudyDate": ("00080020", "DA"),
    "StudyTime": ("00080030", "TM"),
    "AccessionNumber": ("00080050", "SH"),
    "IssuerOfAccessionNumberSequence": ("00080051", "SQ"),
    "ModalitiesInStudy": ("00080061", "CS"),
    "SOPClassesInStudy": ("00080062", "UI"),
    "ReferringPhysicianName": ("00080090", "PN"),
    "ReferringPhysicianIdentificationSequence": ("00080096", "SQ"),
    "TimezoneOffsetFromUTC": ("00080201", "SH"),
    "StudyDescription": ("00081030", "LO"),
    "ProcedureCodeSequence": ("00081032", "SQ"),
    "PhysiciansOfRecord": ("00081048", "PN"),
    "NameOfPhysiciansReadingStudy": ("00081060", "PN"),
    "AdmittingDiagnosesDescription": ("00081080", "LO"),
    "PatientName": ("00100010", "PN"),
    "PatientID": ("00100020", "LO"),
    "IssuerOfPatientID": ("00100021", "LO"),
    "IssuerOfPatientIDQualifiersSequence": ("00100024", "SQ"),
    "PatientBirthDate": ("00100030", "DA"),
    "PatientBirthTime": ("00100032", "TM"),
    "PatientSex": ("00100040", "CS"),
    "OtherPatientNames": ("00101001", "PN"),
    "OtherPatientIDsSequence": ("00101002", "SQ"),
    "PatientAge": ("00101010", "AS"),
    "PatientSize": ("00101020", "DS"),
    "PatientWeight": ("00101030", "DS"),
    "EthnicGroup": ("00102160", "SH"),
    "Occupation": ("00102180", "SH"),
    "AdditionalPatientHistory": ("001021B0", "LT"),
    "PatientComments": ("00104000", "LT"),
    "PatientIdentityRemoved": ("00120062", "CS"),
    "StudyInstanceUID": ("0020000D", "UI"),
    "StudyID": ("00200010", "SH"),
    "NumberOfStudyRelatedSeries": ("00201206", "IS"),
    "NumberOfStudyRelatedInstances": ("00201208", "IS"),
}
SERIES: Final[Mapping[str, tuple[str, str]]] = {
    "SeriesDate": ("00080021", "DA"),
    "SeriesTime": ("00080031", "TM"),
    "Modality": ("00080060", "CS"),
    "Manufacturer": ("00080070", "LO"),
    "InstitutionName": ("00080080", "LO"),
    "InstitutionAddress": ("00080081", "ST"),
    "StationName": ("00081010", "SH"),
    "SeriesDescription": ("0008103E", "LO"),
    "SeriesDescriptionCodeSequence": ("0008103F", "SQ"),
    "InstitutionalDepartmentName": ("00081040", "LO"),
    "PerformingPhysicianName": ("00081050", "PN"),
    "OperatorsName": ("00081070", "PN"),
    "ManufacturerModelName": ("00081090", "LO"),
    "BodyPartExamined": ("00180015", "CS"),
    "DeviceSerialNumber": ("00181000", "LO"),
    "SoftwareVersions": ("00181020", "LO"),
    "ProtocolName": ("00181030", "LO"),
    "PatientPosition": ("00185100", "CS"),
    "SeriesInstanceUID": ("0020000E", "UI"),
    "SeriesNumber": ("00200011", "IS"),
    "FrameOfReferenceUID": ("00200052", "UI"),
    "Laterality": ("00200060", "CS"),
    "PositionReferenceIndicator": ("00201040", "LO"),
    "NumberOfSeriesRelatedInstances": ("00201209", "IS"),
    "PerformedProcedureStepStartDate": ("00400244", "DA"),
    "PerformedProcedureStepStartTime": ("00400245", "TM"),
    "PerformedProcedureStepID": ("00400253", "SH"),
    "PerformedProcedureStepDescription": ("00400254", "LO"),
    "RequestAttributesSequence": ("00400275", "SQ"),
}
INSTANCE: Final[Mapping[str, tuple[str, str]]] = {
    "SOPClassUID": ("00080016", "UI"),
    "SOPInstanceUID": ("00080018", "UI"),
    "InstanceAvailability": ("00080056", "CS"),
    "RetrieveURL": ("00081190", "UR"),
    "InstanceNumber": ("00200013", "IS"),
    "NumberOfFrames": ("00280008", "IS"),
    "Rows": ("00280010", "US"),
    "Columns": ("00280011", "US"),
    "BitsAllocated": ("00280100", "US"),
}
KNOWN: Final[Mapping[str, tuple[str, str]]] = {**STUDY, **SERIES, **INSTANCE}
VRS: Final[Mapping[str, str]] = dict(KNOWN.values())

STUDY_TAGS: Final = frozenset(tag for tag, _ in STUDY.values())
SERIES_TAGS: Final = frozenset(tag for tag, _ in SERIES.values())

# What an answer holds when nothing more is asked for (PS3.18 tables 10.6.3-3 to 10.6.3-5), and the description.
_LISTED: Final[Mapping[Level, str]] = {
    "study": """StudyDate StudyTime AccessionNumber InstanceAvailability ModalitiesInStudy ReferringPhysicianName
        TimezoneOffsetFromUTC StudyDescription PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID
        StudyID NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances""",
    "series": """Modality InstanceAvailability TimezoneOffsetFromUTC SeriesDescription StudyInstanceUID
        SeriesInstanceUID SeriesNumber BodyPartExamined NumberOfSeriesRelatedInstances
        PerformedProcedureStepStartDate PerformedProcedureStepStartTime RequestAttributesSequence""",
    "instance": """SOPClassUID SOPInstanceUID InstanceAvailability TimezoneOffsetFromUTC StudyInstanceUID
        SeriesInstanceUID InstanceNumber Rows Columns BitsAllocated NumberOfFrames""",
}
LISTED: Final[Mapping[Level, frozenset[str]]] = {
    level: frozenset(KNOWN[keyword][0] for keyword in words.split()) for level, words in _LISTED.items()
}


def only(document: Document, tags: Collection[str]) -> dict[str, Any]:
    """Of a document the elements with these tags, in their order."""
    return {tag: document[tag] for tag in sorted(document) if tag in tags}


def element(keyword: str, *values: Any) -> dict[str, dict[str, Any]]:
    """A known attribute as a document of its own; without `Value` if nothing is said."""
    tag, vr = KNOWN[keyword]
    said = [value for value in values if value not in (None, "")]
    return {tag: {"vr": vr, "Value": said} if said else {"vr": vr}}
