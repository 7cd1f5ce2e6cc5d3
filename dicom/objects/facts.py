"""What an object is made of: the study it belongs to, the report, the images it speaks of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Language = Literal["zh-CN", "en"]


@dataclass(frozen=True)
class StudyFacts:
    """Patient and study as the images of the study say it, so that every archive puts the object beside them."""

    study_uid: str
    patient_id: str
    issuer: str
    patient_name: str  # PN as sent
    birth_date: str  # DA
    sex: str
    accession: str
    study_date: str  # DA
    study_time: str  # TM
    description: str


@dataclass(frozen=True)
class ImageReference:
    """An image the report speaks of; `frame` None: all of it."""

    series_uid: str
    sop_class_uid: str
    sop_uid: str
    frame: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the report: `kind` is a row of the table of sections."""

    kind: Literal["findings", "impression", "recommendation"]
    text: str


@dataclass(frozen=True)
class Report:
    """A signed version. UIDs are given by the caller, so that making it twice gives the same object."""

    sop_uid: str
    series_uid: str
    version: int
    kind: Literal["imaging", "ecg-12-lead", "holter"]
    title: str
    language: Language
    sections: Sequence[Section]
    signed_at: datetime  # aware, in the zone of the clinic
    signer_name: str
    organisation_name: str
    withdrawn: str = ""  # the reason, of a version that takes the report back
    key_images: Sequence[ImageReference] = field(default_factory=tuple)
    evidence: Sequence[ImageReference] = field(default_factory=tuple)  # images that were read
    predecessor: tuple[str, str, str] | None = None  # series UID, class, SOP UID of the version before
