"""Getting images out by DICOMweb, beside Debian's Orthanc: a list of studies, metadata, files, frames, a picture.

Both hold one series of 200 CT slices. The hub lists 50 among 100,000 studies, with row-level security and tokens looked
up as ever; Orthanc among 3,000. In turns, the same client, one call at a time.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from pydicom.dataset import Dataset

from bench import _dicom_peers, imaging
from bench._dicom_peers import TOKEN, Receiver
from hub.core import db, jobs
from hub.core.actor import job
from hub.core.db import Database
from hub.core.settings import Settings
from hub.core.store import Store
from hub.imaging.index import dicom_studies, indexing
from hub.imaging.intake import worker as imaging_worker
from hub.imaging.pictures import copying
from tests import world
from tests.imaging import senders

STUDIES: Final = int(os.environ.get("STUDIES", "100000"))
PEER_STUDIES: Final = int(os.environ.get("PEER_STUDIES", "3000"))
SLICES: Final = int(os.environ.get("SLICES", "200"))
SIDE: Final = 512
AT_ONCE: Final = 250  # small files of one request
STUDY, SERIES = (f"2.25.{uuid4().int >> 48}" for _ in range(2))
JSON: Final = "application/dicom+json"

Row = dict[str, Any]


def _slice(study: str, series: str, number: int, side: int) -> Dataset:
    """With what a scanner tells of a slice."""
    made = senders.slice_of(study, series, number, side)
    made.ImageType, made.Manufacturer, made.ManufacturerModelName = (
        ["ORIGINAL", "PRIMARY", "AXIAL"],
        "M",
        "X64",
    )
    made.InstitutionName, made.StationName, made.ReferringPhysicianName = "县医院", "CT1", "李^红"
    made.SeriesDescription, made.ProtocolName, made.PatientAge, made.StudyID = (
        "肺窗 1.0",
        "Chest",
        "075Y",
        "7",
    )
    made.KVP, made.XRayTubeCurrent, made.ExposureTime, made.SliceThickness = 120, 210, 500, 1.0
    made.ConvolutionKernel, made.GantryDetectorTilt, made.TableHeight = "B60f", 0, 152.5
    made.PatientPosition, made.FrameOfReferenceUID = "HFS", f"{study}.1"
    made.ImagePositionPatient, made.ImageOrientationPatient = (
        [-170.3, -170.3, float(number)],
        [1, 0, 0, 0, 1, 0],
    )
    made.PixelSpacing, made.SliceLocation, made.AcquisitionNumber = [0.664, 0.664], float(number), 1
    made.WindowCenter, made.WindowWidth = [40, -600], [400, 1600]
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = -1024, 1, "HU"
    made.SeriesDate = made.AcquisitionDate = made.ContentDate = made.StudyDate
    made.SeriesTime = made.AcquisitionTime = made.ContentTime = made.StudyTime
    return made


def _files(folder: Path, made: Iterator[Dataset]) -> list[Path]:
    folder.mkdir()
    return [senders.write(one, folder / f"{number}.dcm") for number, one in enumerate(made)]


def _fill(ours: Receiver, theirs: Receiver, folder: Path) -> None:
    series = _files(folder / "series", (_slice(STUDY, SERIES, number, SIDE) for number in range(SLICES)))
    for receiver in (ours, theirs):
        imaging.stow(receiver, series)
    for start in range(1, PEER_STUDIES, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, PEER_STUDIES))
        small = (_slice(f"{STUDY}.{number}", f"{SERIES}.{number}", 1, 2) for number in numbers)
        imaging.stow(theirs, _files(folder / f"small{start}", small))


async def _index(database: Database, data_dir: Path) -> None:
    """What the jobs process does once images have come, and a minute has passed."""
    settings, store = Settings(data_dir=data_dir), Store(data_dir / "files")
    context = jobs.Context(database, store, settings, datetime.now(UTC))
    later = jobs.Context(database, store, settings, context.at + timedelta(hours=1))
    await indexing.queue_waiting(context)
    kinds = {**imaging_worker.JOBS, **indexing.JOBS, **copying.JOBS}
    await jobs.run_due(jobs.Worker(database, store, settings, kinds, lambda: datetime.now(UTC), "bench"))
    async with database.transaction(job("bench"), later.at) as conn:
        await dicom_studies.complete_quiet(conn, job("bench"), later.at)
    await indexing.pack(later)
    async with database.transaction(job("bench"), later.at) as conn:
        made = await db.one(conn, "SELECT count(*) AS packed FROM dicom_series_metadata")
    if made["packed"] != 1:
        raise RuntimeError("the series' metadata were not made ready")


# The study that came, copied with its own UIDs, numbers, names and dates; every sixth is another clinic's.
_STUDIES: Final = """
    INSERT INTO dicom_study (id, organisation_id, study_uid, sent_patient_id, sent_issuer, sent_name, sent_birth_date,
        sent_sex, accession, description, study_date, study_time, first_at, completed_at, completed_instances, is_open,
        name_alphabetic, document, listed)
    SELECT gen_random_uuid(), CASE WHEN n %% 6 = 0 THEN %(foreign)s ELSE s.organisation_id END, u.uid,
        'P' || n / 3, '', 'Wang^' || n, s.sent_birth_date, 'M', 'A' || n, s.description, d.day,
        lpad((n * 7919 %% 86400)::text, 6, '0'), s.first_at, s.completed_at, 1, false, 'wang^' || n,
        replace(replace(replace(s.document::text, s.study_uid, u.uid), s.study_date, d.day), s.sent_name, 'Wang^' || n)
          ::jsonb,
        replace(replace(replace(s.listed, s.study_uid, u.uid), s.study_date, d.day), s.sent_name, 'Wang^' || n)
    FROM dicom_study s, generate_series(1, %(studies)s * 6 / 5) n,
        LATERAL (SELECT to_char('2016-01-01'::date + n / 35, 'YYYYMMDD') AS day) d,
        LATERAL (SELECT s.study_uid || '.' || n AS uid) u"""
_SERIES: Final = """
    INSERT INTO dicom_series (id, dicom_study_id, series_uid, modality, number, description, body_part, document,
        listed, is_packed)
    SELECT gen_random_uuid(), s.id, s.study_uid || '.1', 'CT', 1, e.description, e.body_part, e.document,
        e.listed, true
    FROM dicom_study s, dicom_series e WHERE e.series_uid = %(series)s AND s.study_uid <> %(study)s"""
_INSTANCES: Final = """
    INSERT INTO dicom_instance (id, organisation_id, dicom_study_id, dicom_series_id, sop_uid, sop_class_uid,
        transfer_syntax, number, rows, columns, file_sha256, size_bytes, sent_by, received_at, indexed_at)
    SELECT gen_random_uuid(), s.organisation_id, s.id, e.id, s.study_uid || '.1.1', i.sop_class_uid, i.transfer_syntax,
        1, i.rows, i.columns, i.file_sha256, i.size_bytes, i.sent_by, i.received_at, i.indexed_at
    FROM dicom_study s JOIN dicom_series e ON e.dicom_study_id = s.id,
        (SELECT * FROM dicom_instance LIMIT 1) i WHERE s.study_uid <> %(study)s"""


async def _grow(admin_dsn: str) -> None:
    """As many studies as a district has after some years."""
    async with await world.connect(admin_dsn) as admin:
        clinics = await admin.execute(
            "SELECT id FROM organisation WHERE level = 'town' AND id NOT IN (SELECT organisation_id FROM dicom_study)"
        )
        row = await clinics.fetchone()
        named = {"foreign": row and row["id"], "studies": STUDIES, "series": SERIES, "study": STUDY}
        for statement in (_STUDIES, _SERIES, _INSTANCES):
            await admin.execute(statement, named)  # type: ignore[call-overload]
        await admin.execute("UPDATE dicom_node SET may_query = true")
        await admin.execute("VACUUM ANALYZE")


class Client:
    """One connection, kept open, that costs as little as it can: what comes is read into the same piece of memory."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver, address = receiver, urlsplit(receiver.http)
        self._line = HTTPConnection(address.hostname or "", address.port)
        self._piece = memoryview(bytearray(1 << 20))

    def get(self, path: str, accept: str) -> int:
        """How many bytes came."""
        answer, size = self._answer(path, accept), 0
        while came := answer.readinto(self._piece):
            size += came
        if answer.status != 200:
            raise RuntimeError(f"{self.receiver.name} {path}: {answer.status}")
        return size

    def listed(self, path: str) -> list[Row]:
        found: list[Row] = json.loads(self._answer(path, JSON).read())
        return found

    def _answer(self, path: str, accept: str) -> HTTPResponse:
        """Orthanc hangs up on a line that was idle for a second; then it is asked on a new one."""
        try:
            return self._asked(path, accept)
        except ConnectionError:
            self._line.close()
            return self._asked(path, accept)

    def _asked(self, path: str, accept: str) -> HTTPResponse:
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Accept": accept,
            "Host": urlsplit(self.receiver.http).netloc,
        }
        self._line.request("GET", f"/dicom-web{path}", headers=headers)
        return self._line.getresponse()


_ONE: Final = f"/studies/{STUDY}/series/{SERIES}"
_FILES: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_OCTETS: Final = 'multipart/related; type="application/octet-stream"'
# What, its address (by the number of the turn), what is accepted, how often, and how many bytes there must be at least.
Turn = tuple[str, Callable[[Sequence[str], int], str], str, int, int]
TURNS: Final[Sequence[Turn]] = (
    ("QIDO, 50 studies", lambda _, n: f"/studies?limit=50&offset={n}", JSON, 30, 20_000),
    ("metadata of a series", lambda _, __: f"{_ONE}/metadata", JSON, 9, SLICES * 1000),
    ("retrieval of a series", lambda _, __: _ONE, _FILES, 7, SLICES * SIDE * SIDE * 2),
    (
        "a frame as stored",
        lambda uids, n: f"{_ONE}/instances/{uids[n]}/frames/1",
        _OCTETS,
        30,
        SIDE * SIDE * 2,
    ),
    ("a rendered frame", lambda uids, n: f"{_ONE}/instances/{uids[n]}/rendered", "image/jpeg", 30, 1000),
)


def _measured(ours: Receiver, theirs: Receiver) -> list[Row]:
    clients = [Client(ours), Client(theirs)]
    uids = [one["00080018"]["Value"][0] for one in clients[0].listed(f"{_ONE}/instances")]
    if len(uids) != SLICES or any(len(client.listed("/studies?limit=50")) != 50 for client in clients):
        raise RuntimeError("the two don't hold what they should")
    rows = []
    for name, path, accept, times, size_min in TURNS:
        took: list[list[float]] = [[], []]
        busy_ms = [0.0, 0.0]
        for turn in range(-times // 3, times):  # those before 0 warm both up
            for which in (0, 1) if turn % 2 else (1, 0):
                cpu_s, begun_s = clients[which].receiver.cpu_s(), time.perf_counter()
                size = clients[which].get(path(uids, turn % times), accept)
                if size < size_min:
                    raise RuntimeError(f"{name}: {size} bytes only")
                if turn >= 0:
                    took[which].append((time.perf_counter() - begun_s) * 1e3)
                    busy_ms[which] += (clients[which].receiver.cpu_s() - cpu_s) * 1e3 / times
        rows += [_row(name, "ms", *map(statistics.median, took)), _row(name, "ms CPU", *busy_ms)]
    return rows


def _row(name: str, unit: str, own: float, peer: float) -> Row:
    row: Row = {"name": f"imaging: {name}", "value": own, "unit": unit, "peer": "Orthanc", "peer_value": peer}
    return row | {"ratio": own / peer if peer else None}


async def _run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with _dicom_peers.hub(folder) as (_, web):
            with _dicom_peers.orthanc(folder / "orthanc") as theirs:
                await asyncio.to_thread(_fill, web, theirs, folder)
                async with Database(web.dsn, "hub_app") as database:
                    await _index(database, folder / "hub")
                await _grow(web.dsn)
                return await asyncio.to_thread(_measured, web, theirs)


def run() -> list[Row]:
    return asyncio.run(_run())
