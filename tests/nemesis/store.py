"""What the database holds after a run, read past the hub's own readers, so that what they would hide is seen."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from hub.telemetry.blocks import runs_of
from tests.nemesis.checkers import Account, Boot, Broken, Piece
from tests.nemesis.history import Key, Truth

Admin = psycopg.AsyncConnection[dict[str, object]]

_SAMPLES: Final = """
    SELECT first_sample, sample_count, electrodes_off, samples, NULL::bytea AS payload FROM ecg_packet
    WHERE recording_id = %(recording)s AND boot = %(boot)s
    UNION ALL
    SELECT first_sample, sample_count, 0, NULL, payload FROM ecg_block
    WHERE recording_id = %(recording)s AND boot = %(boot)s
    ORDER BY first_sample
"""


async def connect(admin_dsn: str) -> Admin:
    """As the owner of everything, in the name of a job: past every policy."""
    admin: Admin = await psycopg.AsyncConnection.connect(admin_dsn, autocommit=True, row_factory=dict_row)
    await admin.execute("SELECT set_config('hub.actor_kind', 'job', false)")
    return admin


async def read_boot(admin: Admin, truth: Truth, acknowledged: int) -> Boot:
    """One boot as it is stored."""
    return Boot(
        truth, await read_pieces(admin, truth.key), await read_account(admin, truth.key), acknowledged
    )


async def read_pieces(admin: Admin, key: Key) -> list[Piece]:
    """Every stored row of a boot, hot packets and blocks alike."""
    cursor = await admin.execute(_SAMPLES, {"recording": key[0], "boot": key[1]}, binary=True)
    return [Piece(run.first, run.samples) for row in await cursor.fetchall() for run in runs_of(row)]


async def read_account(admin: Admin, key: Key) -> Account | None:
    """The ledger of a boot."""
    cursor = await admin.execute(
        "SELECT produced_samples AS produced, oldest_sample AS oldest, have,"
        "  CASE WHEN final_known THEN final_samples END AS final"
        " FROM recording_boot WHERE recording_id = %s AND boot = %s",
        key,
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    have = tuple((part.lower, part.upper) for part in row["have"])  # type: ignore[attr-defined]
    return Account(row["produced"], row["oldest"], row["final"], have)  # type: ignore[arg-type]


async def read_boots(admin: Admin) -> set[Key]:
    """All boots the hub knows of."""
    cursor = await admin.execute("SELECT recording_id, boot FROM recording_boot")
    return {(row["recording_id"], row["boot"]) for row in await cursor.fetchall()}  # type: ignore[misc]


async def read_events(admin: Admin) -> set[str]:
    """Ids of all stored events of devices."""
    cursor = await admin.execute("SELECT id FROM recording_event WHERE device_id IS NOT NULL")
    return {str(row["id"]) for row in await cursor.fetchall()}


async def check_set_aside(admin: Admin) -> list[Broken]:
    """Sound devices send nothing that has to be set aside."""
    cursor = await admin.execute(
        "SELECT topic, reason, detail, times FROM set_aside ORDER BY first_at LIMIT 20"
    )
    return [
        Broken(
            "nothing is set aside", str(row["topic"]), f"{row['reason']}: {row['detail']} ({row['times']})"
        )
        for row in await cursor.fetchall()
    ]


async def check_ended(admin: Admin, recordings: Sequence[UUID]) -> list[Broken]:
    """Every recording has ended complete: nothing of it is waited for or unknown."""
    cursor = await admin.execute(
        "SELECT id, device_id, status, end_reason FROM recording WHERE id = ANY(%s)"
        " AND (status, end_reason) IS DISTINCT FROM ('ended', 'complete')",
        (list(recordings),),
    )
    return [
        Broken("every recording ends complete", str(row["device_id"]), f"{row['status']} {row['end_reason']}")
        for row in await cursor.fetchall()
    ]


async def read_findings(admin: Admin, recording_id: UUID) -> set[tuple[str, int, int | None]]:
    """(rule, onset, offset) of the findings of record."""
    cursor = await admin.execute(
        "SELECT rule, onset_sample, offset_sample FROM finding WHERE recording_id = %s AND pass = 'record'",
        (recording_id,),
    )
    rows = await cursor.fetchall()
    return {(row["rule"], row["onset_sample"], row["offset_sample"]) for row in rows}  # type: ignore[misc]


async def count_blocks(admin: Admin) -> int:
    row = await (await admin.execute("SELECT count(*) AS blocks FROM ecg_block")).fetchone()
    return int(str(row["blocks"])) if row else 0
