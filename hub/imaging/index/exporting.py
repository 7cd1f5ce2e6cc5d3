"""A DICOM study without identity, as a zip: for teaching and research, under a reason that the audit keeps."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from dicom.deidentify import Options, deidentify
from dicom.errors import InvalidInstance
from hub.core import db, sandbox, secret
from hub.core.actor import Actor
from hub.core.db import Connection, Database
from hub.core.sandbox import SandboxFailed
from hub.core.store import Store
from hub.imaging.index.framing import answer, answered, cut
from hub.people import access, audit

KEY_NAME: Final = "deidentification.key"  # the same for all exports, so that they refer to one another
AT_ONCE_BYTES: Final = 48 << 20
TIMEOUT_S: Final = 120.0
MEMORY_MB: Final = 2048


@dataclass(frozen=True)
class Asked:
    """What is exported and why; an image that may show a name goes along only if somebody has looked."""

    dicom_study_id: UUID
    reason: str
    options: Options
    possibly_burned_in: bool = False


@dataclass(frozen=True)
class Exported:
    """How many instances are in the zip, and of those that are not, how many for which reason."""

    instances: int
    left_out: dict[str, int]


async def export_study(
    database: Database, store: Store, data_dir: Path, actor: Actor, at: datetime, asked: Asked, out: Path
) -> Exported:
    """Write the zip; what can't be de-identified, or shows a name, is left out and counted."""
    async with database.transaction(actor, at) as conn:
        files = await _files(conn, actor, at, asked)
    key = secret.load_or_create(data_dir, KEY_NAME)
    left_out: dict[str, int] = {}
    made = 0
    with zipfile.ZipFile(out, "x", zipfile.ZIP_DEFLATED) as archive:
        for batch in _batches(files):
            for name, data, why in await _deidentified(store, batch, key, asked):
                if why:
                    left_out[why] = left_out.get(why, 0) + 1
                    continue
                archive.writestr(f"{name}.dcm", data)
                made += 1
    return Exported(made, left_out)


async def _files(conn: Connection, actor: Actor, at: datetime, asked: Asked) -> list[db.Row]:
    """The instances, written into the audit before the first byte leaves."""
    study = await db.one(conn, "SELECT * FROM dicom_study WHERE id = %s", (asked.dicom_study_id,))
    await access.require(conn, actor, at, "dicom.export", organisation_id=study["organisation_id"])
    await audit.record(
        conn, actor, at, "dicom.export", "dicom-study", asked.dicom_study_id,
        organisation_id=study["organisation_id"], patient_id=study["patient_id"], reason=asked.reason,
        **{name: str(value) for name, value in asdict(asked.options).items()},
    )  # fmt: skip
    return await db.rows(
        conn,
        "SELECT file_sha256, size_bytes FROM dicom_instance WHERE dicom_study_id = %s ORDER BY number, sop_uid",
        (asked.dicom_study_id,),
    )


def _batches(files: Sequence[db.Row]) -> list[list[str]]:
    batches: list[list[str]] = [[]]
    size = 0
    for file in files:
        if batches[-1] and size + file["size_bytes"] > AT_ONCE_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(file["file_sha256"])
        size += file["size_bytes"]
    return [batch for batch in batches if batch]


Result = tuple[str, bytes, str]  # new UID, bytes, why it is left out


async def _deidentified(store: Store, batch: Sequence[str], key: bytes, asked: Asked) -> list[Result]:
    payload = {
        "paths": [str(store.path(sha256)) for sha256 in batch],
        "key": key.hex(),
        "options": asdict(asked.options),
        "possibly": asked.possibly_burned_in,
    }
    try:
        said = await sandbox.run(
            "hub.imaging.index.exporting:in_sandbox", json.dumps(payload).encode(), TIMEOUT_S, MEMORY_MB
        )
    except SandboxFailed as failure:
        if len(batch) == 1:
            return [("", b"", failure.reason)]
        return [one for name in batch for one in await _deidentified(store, [name], key, asked)]
    head, rest = answered(said)
    parts = cut(rest, head["sizes"])
    return [(uid, data, why) for (uid, why), data in zip(head["made"], parts, strict=True)]


def in_sandbox(payload: bytes) -> bytes:
    """`{"paths", "key", "options", "possibly"}`: each file de-identified, or why it is left out."""
    asked = json.loads(payload)
    made: list[tuple[str, str]] = []
    parts: list[bytes] = []
    for path in asked["paths"]:
        uid, data, why = _one(Path(path), asked)
        made.append((uid, why))
        parts.append(data)
    return answer({"made": made, "sizes": [len(part) for part in parts]}, parts)


def _one(path: Path, asked: dict[str, Any]) -> Result:
    try:
        made = deidentify(path.read_bytes(), bytes.fromhex(asked["key"]), Options(**asked["options"]))
    except InvalidInstance:
        return "", b"", "unreadable"
    if made.burned_in == "yes" or (made.burned_in == "possible" and not asked["possibly"]):
        return "", b"", f"burned-in: {made.burned_in}"
    return made.sop_uid, made.data, ""
