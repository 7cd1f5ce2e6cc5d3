"""A CT of a chest that nobody has: for the demo, tests and benchmarks, which may not use anybody's images.

Ellipses in Hounsfield units (air -1000, lung about -850, water 0, soft tissue about 40, bone 300 and more), vessels
that keep their course, and the noise of a scanner: white noise, averaged over neighbours as a reconstruction does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, Final
from uuid import UUID, uuid5

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from dicom import uids

Array = NDArray[Any]
CT_CLASS: Final = "1.2.840.10008.5.1.4.1.1.2"
INTERCEPT: Final = -1024
FIELD_MM: Final = 360.0
SLICE_MM: Final = 5.0
NOISE_HU: Final = 16.0
VESSELS: Final = 26  # in each lung


@dataclass(frozen=True)
class Patient:
    """Whose study this is to be."""

    name: str
    identifier: str
    birth_date: str  # DA
    sex: str  # M, F or O
    accession: str = ""


@dataclass(frozen=True)
class Chest:
    """A study: `nodule_mm` is the diameter of a nodule in the right upper lobe, 0 for none."""

    key: UUID  # all UIDs follow from it
    patient: Patient
    at: datetime
    slices: int = 60
    side: int = 512
    nodule_mm: float = 0.0
    description: str = "胸部平扫"


def files(chest: Chest) -> Iterator[bytes]:
    """The study's DICOM files, from head to foot; always the same bytes for the same study."""
    for number in range(chest.slices):
        yield _file(chest, number, hounsfield(chest, number))


def hounsfield(chest: Chest, number: int) -> NDArray[np.int16]:
    """A slice, (side, side) in HU; the patient's right is on the left."""
    rng = np.random.default_rng([chest.key.int & 0xFFFF_FFFF, number])
    axis = (np.arange(chest.side, dtype=np.float32) + 0.5) / chest.side * FIELD_MM - FIELD_MM / 2
    x, y = axis[None, :], axis[:, None]
    along = number / max(chest.slices - 1, 1)  # 0 at the neck, 1 at the diaphragm
    image = np.full((chest.side, chest.side), -1000.0, np.float32)
    _ellipse(image, x, y, (0, 5), (150 - 12 * (1 - along), 100), -90)  # skin and fat
    _ellipse(image, x, y, (0, 5), (140 - 12 * (1 - along), 90), 45)  # muscle
    size = np.sin(np.pi * (0.12 + 0.76 * along))
    for side in (-1, 1):
        _ellipse(image, x, y, (side * 66, -2), (52 * size, 68 * size), -860)
        _vessels(image, x, y, chest, side, number, size)
    _ellipse(image, x, y, (0, -5), (22, 52), 40)  # mediastinum
    if along > 0.45:
        _ellipse(image, x, y, (18, -22), (46 * along, 38 * along), 50)  # heart
    _ellipse(image, x, y, (-6, 8), (9, 9), -980 if along < 0.5 else 45)  # trachea
    _ellipse(image, x, y, (14, 34), (12, 12), 55)  # aorta
    _bones(image, x, y, number)
    _nodule(image, x, y, chest, number)
    image += _noise(rng, chest.side)
    return np.rint(np.clip(image, INTERCEPT, 3071)).astype(np.int16)


def _ellipse(
    image: Array, x: Array, y: Array, centre: tuple[float, float],
    half: tuple[float, float], value: float,
) -> None:  # fmt: skip
    inside = ((x - centre[0]) / max(half[0], 1e-3)) ** 2 + ((y - centre[1]) / max(half[1], 1e-3)) ** 2 <= 1
    image[inside] = value


def _vessels(
    image: Array, x: Array, y: Array, chest: Chest, side: int,
    number: int, size: float,
) -> None:  # fmt: skip
    """Each keeps its course through the slices."""
    course = np.random.default_rng([chest.key.int & 0xFFFF, side + 1])
    for _ in range(VESSELS):
        angle, far, drift, thick = course.random(4) * (2 * np.pi, 1.0, 0.4, 1.0)
        angle += drift * number * 0.1
        place = (side * 66 + np.cos(angle) * far * 42 * size, -2 + np.sin(angle) * far * 56 * size)
        radius = (0.8 + 2.6 * thick * (1 - far)) * max(float(size), 0.2)
        _ellipse(image, x, y, place, (radius, radius), 30)


def _bones(image: Array, x: Array, y: Array, number: int) -> None:
    _ellipse(image, x, y, (0, 66), (20, 17), 420)
    _ellipse(image, x, y, (0, 66), (16, 13), 180)
    _ellipse(image, x, y, (0, 82), (7, 6), 20)  # spinal canal
    _ellipse(image, x, y, (0, -78), (16, 5), 300)  # sternum
    for rib in range(12):
        angle = 2 * np.pi * (rib + 0.5 + 0.09 * number) / 12
        _ellipse(image, x, y, (128 * np.cos(angle), 5 + 80 * np.sin(angle)), (7, 5), 380)


def _nodule(image: Array, x: Array, y: Array, chest: Chest, number: int) -> None:
    """A ball at a third of the way down."""
    away_mm = (number - chest.slices // 3) * SLICE_MM
    square = (chest.nodule_mm / 2) ** 2 - away_mm**2
    if square > 0:
        radius = float(np.sqrt(square))
        _ellipse(image, x, y, (-78, -24), (radius, radius), 35)


def _noise(rng: np.random.Generator, side: int) -> Array:
    """Averaged over 2 x 2 neighbours, of the standard deviation NOISE_HU."""
    white = rng.standard_normal((side + 1, side + 1), np.float32)
    return (white[:-1, :-1] + white[1:, :-1] + white[:-1, 1:] + white[1:, 1:]) * np.float32(NOISE_HU / 2)


def _file(chest: Chest, number: int, image: NDArray[np.int16]) -> bytes:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.SOPClassUID, made.SOPInstanceUID = CT_CLASS, _uid(chest, f"slice {number}")
    made.StudyDate = made.SeriesDate = made.ContentDate = chest.at.strftime("%Y%m%d")
    made.StudyTime = made.SeriesTime = made.ContentTime = chest.at.strftime("%H%M%S")
    made.AccessionNumber, made.Modality, made.Manufacturer = chest.patient.accession, "CT", "Telehub phantom"
    made.ReferringPhysicianName, made.StudyID = "", "1"
    made.StudyDescription, made.SeriesDescription = chest.description, "5 mm"
    made.PatientName, made.PatientID = chest.patient.name, chest.patient.identifier
    made.PatientBirthDate, made.PatientSex = chest.patient.birth_date, chest.patient.sex
    made.BodyPartExamined, made.PatientPosition, made.KVP = "CHEST", "HFS", "120"
    made.SliceThickness = SLICE_MM
    made.StudyInstanceUID, made.SeriesInstanceUID = _uid(chest, "study"), _uid(chest, "series")
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = _uid(chest, "frame"), ""
    made.SeriesNumber, made.AcquisitionNumber, made.InstanceNumber = 2, 1, number + 1
    spacing = FIELD_MM / chest.side
    corner = -FIELD_MM / 2 + spacing / 2
    made.ImagePositionPatient = [round(corner, 4), round(corner, 4), -SLICE_MM * number]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows = made.Columns = chest.side
    made.PixelSpacing = [round(spacing, 6)] * 2
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.WindowCenter, made.WindowWidth = [40, -600], [400, 1500]
    made.WindowCenterWidthExplanation = ["纵隔", "肺"]
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = INTERCEPT, 1, "HU"
    made.PixelData = (image - np.int16(INTERCEPT)).astype("<u2").tobytes()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(uids.EXPLICIT_LITTLE)
    made.file_meta.ImplementationClassUID = UID(uids.IMPLEMENTATION_CLASS_UID)
    file = BytesIO()
    pydicom.dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def _uid(chest: Chest, name: str) -> str:
    return f"2.25.{uuid5(chest.key, name).int}"
