"""The write-ahead log of a backup: kept on the server by a replication slot, fetched, compressed, without a hole."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import zstandard
from psycopg.rows import dict_row

from hub.core import backup_folder as place
from hub.core import db, process
from hub.core.backup_folder import BackupError, Chain
from hub.core.proofs import Fact
from hub.core.store import Store

SLOT_FREE_WITHIN_S: Final = 30.0
PAUSE_S: Final = 0.01
ZSTD_LEVEL: Final = 3

Segments = dict[str, str]


class LogLost(BackupError):
    """The log since the last point is not all there: only a new base helps."""


@dataclass(frozen=True)
class Source:
    """The hub to be saved. `dsn` logs in to its database with REPLICATION, and may act as hub_owner."""

    dsn: str
    binaries: Path  # of the server's major version
    data_dir: Path
    facts: Mapping[str, Fact]  # asked of the database here and again of the restored one

    @property
    def store(self) -> Store:
        return Store(self.data_dir / "files")


@contextlib.asynccontextmanager
async def connected(source: Source) -> AsyncIterator[db.Connection]:
    conn = await psycopg.AsyncConnection.connect(
        source.dsn, autocommit=True, row_factory=dict_row, application_name="hub_backup"
    )
    async with conn:
        yield conn


def slot_name(repository: str, chain: str) -> str:
    return f"{slots(repository)}{chain.lower()}"


def slots(repository: str) -> str:
    """How the names of a place's slots begin."""
    return f"telehub_{repository}_"


async def drop_slots(source: Source, prefix: str, but: str) -> None:
    """Slots of ours that nobody continues would hold the log back."""
    async with connected(source) as conn:
        await db.run(
            conn,
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            " WHERE starts_with(slot_name, %s) AND slot_name <> %s AND NOT active",
            (prefix, but),
        )


def receive(source: Source, folder: Path, slot: str) -> Sequence[str]:
    into = place.made(folder / "receiving")
    return ("--dbname", source.dsn, "--directory", str(into), "--slot", slot, "--no-loop", "--no-password")


async def fetch(source: Source, chain: Chain, slot: str, end_byte: int, segment_bytes: int) -> Segments:
    """Everything from the chain's base to a boundary between segments, without a hole; what is new, with its hashes."""
    receiving = place.made(chain.folder / "receiving")
    for left in receiving.glob("*.partial"):  # the slot still holds it from its beginning
        left.unlink()
    await _slot_free(source, slot)
    end = _lsn(end_byte - 1)
    try:
        await tool(source, "pg_receivewal", *receive(source, chain.folder, slot), "--endpos", end)
    except BackupError as failure:
        raise LogLost(str(failure)) from None
    known = {name for point in chain.points for name in point.segments}
    segments = await asyncio.to_thread(_keep_segments, chain, known)
    first = _first_segment(chain.base)
    missing = place.missing_segments(known | segments.keys(), first, segment_bytes)
    last = max(known | segments.keys(), default="")
    per_log = (1 << 32) // segment_bytes
    reached = (place.segment_number(last, per_log) + 1) * segment_bytes if last else 0
    if missing or reached < end_byte:
        raise LogLost(f"the log has a hole at {missing[0] if missing else _lsn(reached)}")
    return segments


async def _slot_free(source: Source, slot: str) -> None:
    """A receiver that just ended holds the slot for a moment."""
    query = "SELECT FROM pg_replication_slots WHERE slot_name = %s AND active"
    async with connected(source) as conn, asyncio.timeout(SLOT_FREE_WITHIN_S):
        while True:
            if await db.maybe(conn, query, (slot,)) is None:
                return
            await asyncio.sleep(PAUSE_S)


def _lsn(byte: int) -> str:
    return f"{byte >> 32:X}/{byte & 0xFFFFFFFF:X}"


def _first_segment(base: Path) -> str:
    """The segment from which recovery of the base begins."""
    label = (base / "backup_label").read_text()
    return label.split("(file ", 1)[1][:24]


def _keep_segments(chain: Chain, known: set[str]) -> Segments:
    """Compress what was received, and count what an interrupted backup had compressed already."""
    first = _first_segment(chain.base)
    place.made(chain.wal)
    for path in sorted((chain.folder / "receiving").iterdir()):
        if place.SEGMENT.fullmatch(path.name):
            if path.name >= first:
                _compress(path, chain.wal / f"{path.name}.zst")
            path.unlink()
    found = {path.name.removesuffix(".zst") for path in chain.wal.glob("*.zst")} - known
    place.sync_folder(chain.wal)
    return {name: place.file_sha256(chain.wal / f"{name}.zst") for name in sorted(found)}


def _compress(source: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    with source.open("rb") as read, part.open("wb") as write:
        zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).copy_stream(read, write)
        write.flush()
        os.fsync(write.fileno())
    part.rename(target)


async def start(source: Source, name: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        source.binaries / name, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE, start_new_session=True, preexec_fn=process.tied_to_us(),
    )  # fmt: skip


async def tool(source: Source, name: str, *arguments: str) -> None:
    """Run a program of PostgreSQL to its end; what it complained of if it failed."""
    child = await start(source, name, *arguments)
    try:
        _, errors = await child.communicate()
    finally:
        await process.stop(child, signal.SIGKILL, 5)
    if child.returncode != 0:
        words = errors.decode(errors="replace").strip().splitlines()
        raise BackupError(f"{name}: {words[-1] if words else f'exit code {child.returncode}'}")
