"""DICOM for tests: objects made here, a receiving hub on a real database, and people who send."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from dicom import part10, uids
from hub.core.db import Database
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.dimse import listening as dicom_ports
from hub.imaging.index import nodes
from tests import parts, world
from tests.world import World

CT = "1.2.840.10008.5.1.4.1.1.2"
AE_TITLE = "CTSCANNER"


def slice_of(
    study_uid: str, series_uid: str, number: int, side: int = 64, seed: int = 1, **values: Any
) -> Dataset:
    """A CT slice with pixels of noise."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = (
        CT,
        generate_uid(entropy_srcs=[study_uid, series_uid, str(number)]),
    )
    made.StudyDate, made.StudyTime, made.AccessionNumber, made.Modality = "20260302", "080000", "", "CT"
    made.StudyDescription, made.PatientName, made.PatientID = "胸部", "王^建国", "P1"
    made.PatientBirthDate, made.PatientSex = "19500501", "M"
    made.StudyInstanceUID, made.SeriesInstanceUID = study_uid, series_uid
    made.SeriesNumber, made.InstanceNumber, made.BodyPartExamined = 1, number, "CHEST"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows = made.Columns = side
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 1
    pixels = np.random.default_rng([seed, number]).integers(-1000, 1000, (side, side), np.int16)
    made.PixelData = pixels.tobytes()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def write(made: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """As a DICOM file."""
    with_meta(made, syntax).save_as(path, enforce_file_format=True)
    return path


def with_meta(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    """With what stands before a data set in a file."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.ImplementationClassUID = uids.IMPLEMENTATION_CLASS_UID
    return made


def as_file(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The bytes of a DICOM file."""
    written = BytesIO()
    with_meta(made, syntax).save_as(written, enforce_file_format=True)
    return written.getvalue()


def data_set(file: bytes) -> bytes:
    """What of a file is sent by DICOM."""
    return file[part10.read_meta(file).data_set_at :]


@dataclass(frozen=True)
class Receiving:
    """A hub's DICOM port, and the node that may call it."""

    port: int
    settings: Settings
    store: Store
    world: World
    node_id: UUID
    database: Database

    async def instances(self) -> list[dict[str, Any]]:
        async with await world.connect(self.world.admin_dsn) as admin:
            found = await admin.execute("SELECT * FROM dicom_instance ORDER BY received_at, sop_uid")
            return await found.fetchall()

    async def set_asides(self) -> list[dict[str, Any]]:
        async with await world.connect(self.world.admin_dsn) as admin:
            return await (await admin.execute("SELECT * FROM dicom_set_aside ORDER BY first_at")).fetchall()


async def node(two: World, ae_title: str = AE_TITLE, **values: Any) -> UUID:
    """A node of the own tenant's town that calls from this machine."""
    made = uuid4()
    async with await world.connect(two.admin_dsn) as admin:
        await world.insert(
            admin, "dicom_node", id=made, organisation_id=two.own.organisations["town"], name="CT",
            ae_title=ae_title, created_at=world.AT, **({"address": "127.0.0.1"} | values),
        )  # fmt: skip
    return made


@contextlib.asynccontextmanager
async def receiving(
    database: Database, two: World, data_dir: Path, clock: Callable[[], datetime], **values: Any
) -> AsyncIterator[Receiving]:
    """A DICOM listener on a free port, in this process."""
    port = parts.free_port()
    settings = Settings(
        data_dir=data_dir,
        **({"dimse_port": port, "dimse_plain_addresses": ("127.0.0.1",), "disk_floor_mb": 1} | values),
    )  # fmt: skip
    make(data_dir)
    store, stop = Store(data_dir / "files"), asyncio.Event()
    node_id = await node(two)
    task = asyncio.create_task(dicom_ports.run(settings, database, store, clock, stop))
    try:
        await listening(settings.dimse_port or settings.dimse_tls_port)
        yield Receiving(port, settings, store, two, node_id, database)
    finally:
        stop.set()
        await task


def certificate(folder: Path, name: str) -> tuple[Path, Path, str]:
    """A device's own certificate, signed by itself, with its key and its hash."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    day = timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - day)
        .not_valid_after(datetime.now(UTC) + day)
        .sign(key, hashes.SHA256())
    )
    shown, secret = folder / f"{name}.crt", folder / f"{name}.key"
    shown.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return shown, secret, nodes.certificate_hash(made.public_bytes(serialization.Encoding.DER))


def make(folder: Path) -> None:
    folder.mkdir(exist_ok=True)


@contextlib.asynccontextmanager
async def line(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, closed for certain."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def listening(port: int) -> None:
    for _ in range(3000):
        with contextlib.suppress(OSError):
            async with line(port):
                return
        await asyncio.sleep(0.01)
    raise TimeoutError("nothing listens")
