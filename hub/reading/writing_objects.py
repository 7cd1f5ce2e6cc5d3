"""DICOM objects of a report, written. Runs in the sandbox: CBOR of `report_objects` in, CBOR list of files out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import cbor2

from dicom.objects import (
    ImageReference,
    Report,
    Section,
    StudyFacts,
    encapsulated_pdf,
    key_object_selection,
    text_report,
)
from dicom.objects.writing import TEXT_SR_CLASS


def write(payload: bytes) -> bytes:
    """The paper, the text, and the selection of key images if there are any."""
    given = cbor2.loads(payload)
    study, report = StudyFacts(**given["study"]), _report(given)
    files = [
        encapsulated_pdf(study, _as(report, given, "pdf"), given["pdf"]),
        text_report(study, _as(report, given, "text")),
    ]
    if report.key_images:
        files.append(key_object_selection(study, _as(report, given, "keys")))
    return cbor2.dumps(files)


def _as(report: Report, given: Mapping[str, Any], kind: str) -> Report:
    series_uid, sop_uid = given["uids"][kind]
    return replace(report, series_uid=series_uid, sop_uid=sop_uid)


def _report(given: Mapping[str, Any]) -> Report:
    told = dict(given["report"])
    images = {one[2]: ImageReference(*one) for one in given["images"]}
    keys = tuple(
        replace(images[uid], frame=frame if given["frames"][uid] > 1 else None, note=note)
        for uid, frame, note in given["key_images"]
        if uid in images
    )
    sections = tuple(Section(kind, text) for kind, text in told.pop("sections"))
    before = given["before"]
    return Report(
        sop_uid="",
        series_uid="",
        sections=sections,
        signed_at=datetime.fromisoformat(told.pop("signed_at")),
        key_images=keys,
        evidence=tuple(images.values()),
        predecessor=None if before is None else (given["uids"]["text"][0], TEXT_SR_CLASS, before),
        **told,
    )
