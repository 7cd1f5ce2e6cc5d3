"""Taking a backup of a running hub: a base by `pg_basebackup`, then the write-ahead log since; files; keys.

A replication slot of its own keeps the log on the server until it has been fetched, so nothing is configured for
archiving, and the same holds for our own server and for a given one, PostgreSQL 15 to 18. The server bounds what a slot
may hold (`max_slot_wal_keep_size`): a backup that comes too late finds the slot lost and begins a new chain by itself.
"""

import asyncio
import hashlib
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hub.core import backup_folder as place
from hub.core import backup_log, clock, db, process
from hub.core.backup_folder import BackupError, Chain, Kind, Point
from hub.core.backup_log import LogLost, Source, connected, drop_slots, receive, slot_name, slots, start, tool
from hub.core.postgres import CONFIGURATION
from hub.core.proofs import Fact
from hub.core.store import Store

QUIET_WITHIN_S: Final = 60.0
QUIET_PAUSE_S: Final = 0.01
KEY_FOLDERS: Final = ("secret", "tls")
USABLE_SLOT: Final = ("reserved", "extended", "unreserved")


@dataclass(frozen=True)
class Server:
    """What has to be known of the server."""

    system_identifier: str
    timeline: int
    major: int
    segment_bytes: int
    database: str
    superuser: str
    preload: str


@dataclass(frozen=True)
class Moment:
    """A position of the log, and what the database held exactly there."""

    at: datetime
    lsn: str
    end_segment_byte: int  # the log is fetched up to this boundary of a segment
    facts: Mapping[str, Any] | None


async def take(source: Source, target: Path, base_max_age: timedelta, new_base: bool = False) -> Point:
    """Add a backup to the place: an increment, or a base where there is none that can be continued."""
    with place.opened(target) as repository:
        await asyncio.to_thread(place.sweep, target)
        server = await _server(source)
        chain = None if new_base else await _continued(source, server, target, base_max_age)
        point = await _increment(source, server, target, chain, repository) if chain else None
        if point is None:
            point = await _new_chain(source, server, target, repository)
        newest = (await asyncio.to_thread(place.chains, target))[-1]
        await drop_slots(source, slots(repository), but=slot_name(repository, newest.folder.name))
    return point


async def _increment(
    source: Source, server: Server, target: Path, chain: Chain, repository: str
) -> Point | None:
    """What came since the last point; None if the log can't be continued."""
    try:
        slot = slot_name(repository, chain.folder.name)
        return await _add_point(source, server, target, chain, slot, "increment")
    except LogLost:
        return None


async def _server(source: Source) -> Server:
    async with connected(source) as conn:
        row = await db.one(conn, _SERVER_SQL)
        if row.pop("tablespaces"):
            raise BackupError("this server has tablespaces of its own; back it up with its own tools")
        if row.pop("keep_wal") == "-1":
            raise BackupError(
                "a backup that does not come could fill this server's disk: set max_slot_wal_keep_size, say"
                f" {CONFIGURATION['max_slot_wal_keep_size']}, in its postgresql.conf and reload it"
            )
    return Server(**row)


# The libraries are told to members of pg_monitor only.
_SERVER_SQL: Final = """
    SELECT s.system_identifier::text AS system_identifier, c.timeline_id AS timeline,
           current_setting('server_version_num')::int / 10000 AS major,
           (SELECT setting::int FROM pg_settings WHERE name = 'wal_segment_size') AS segment_bytes,
           current_database()::text AS database,
           (SELECT rolname::text FROM pg_roles WHERE rolsuper AND rolcanlogin ORDER BY oid LIMIT 1) AS superuser,
           coalesce((SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'),
               (SELECT extname::text FROM pg_extension WHERE extname = 'timescaledb'), '') AS preload,
           current_setting('max_slot_wal_keep_size') AS keep_wal,
           EXISTS (SELECT FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')) AS tablespaces
    FROM pg_control_system() s, pg_control_checkpoint() c"""


async def _continued(source: Source, server: Server, target: Path, max_age: timedelta) -> Chain | None:
    """The newest chain if the server still has all log since its last point, and its base is not too old."""
    found = await asyncio.to_thread(place.chains, target)
    if not found:
        return None
    chain, repository = found[-1], place.repository_id(target)
    if chain.points[0].system_identifier != server.system_identifier:
        raise BackupError(f"{target} holds backups of another database; name another folder")
    if chain.points[-1].timeline != server.timeline:
        return None
    async with connected(source) as conn:
        slot = await db.maybe(
            conn,
            "SELECT wal_status, clock_timestamp() AS at FROM pg_replication_slots WHERE slot_name = %s",
            (slot_name(repository, chain.folder.name),),
        )
    if slot is None or slot["wal_status"] not in USABLE_SLOT or slot["at"] - chain.points[0].at > max_age:
        return None
    return chain


async def _new_chain(source: Source, server: Server, target: Path, repository: str) -> Point:
    """Base and first point under a hidden name; then the chain appears, and the slots of earlier ones go."""
    async with connected(source) as conn:
        at = (await db.one(conn, "SELECT clock_timestamp() AS at"))["at"]
        name = place.stamp(at)
        slot = slot_name(repository, name)
        await db.run(conn, "SELECT pg_create_physical_replication_slot(%s, true)", (slot,))
    hidden = place.made(target / f"{place.UNFINISHED}{name}")
    try:
        await _base(source, hidden, slot)
        point = await _add_point(source, server, target, Chain(hidden, ()), slot, "base")
    except BaseException:
        await drop_slots(source, slot, but="")
        raise
    hidden.rename(target / name)
    place.sync_folder(target)
    return point


async def _base(source: Source, folder: Path, slot: str) -> None:
    """Every file of the cluster with its hash, while the log that comes meanwhile is fetched, too."""
    fetching = await start(source, "pg_receivewal", *receive(source, folder, slot))
    try:
        await tool(
            source, "pg_basebackup", "--dbname", source.dsn, "--pgdata", str(folder / "base"), "--format=plain",
            "--wal-method=none", "--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password",
        )  # fmt: skip
    finally:
        await process.stop(fetching, signal.SIGINT, 30)


async def _add_point(
    source: Source, server: Server, target: Path, chain: Chain, slot: str, kind: Kind
) -> Point:
    """The log up to a quiet instant, then the files, which are stored before rows speak of them."""
    moment = await _moment(source, server.segment_bytes)
    segments = await backup_log.fetch(source, chain, slot, moment.end_segment_byte, server.segment_bytes)
    copied, damaged, added = await asyncio.to_thread(copy_files, source.store, target / "files")
    point_id = place.stamp(moment.at)
    keys = await asyncio.to_thread(_copy_keys, source.data_dir, chain.folder / "secret" / point_id)
    lines, of_base, size = await asyncio.to_thread(_sums, chain, segments, copied)
    point = Point(
        id=point_id, kind=kind, at=moment.at, lsn=moment.lsn, system_identifier=server.system_identifier,
        timeline=server.timeline, major=server.major, segment_bytes=server.segment_bytes, database=server.database,
        superuser=server.superuser, preload=server.preload,
        base_sha256=of_base, segments=segments,
        files_sha256=hashlib.sha256(lines).hexdigest(), file_count=len(copied), damaged_files=tuple(damaged),
        keys=keys, facts=moment.facts, added_bytes=added + size,
    )  # fmt: skip
    await asyncio.to_thread(place.write_point, chain.folder, point, lines)
    return point


def _sums(chain: Chain, segments: Mapping[str, str], files: set[str]) -> tuple[bytes, str, int]:
    """(which files came and went, hash of the base's manifest, bytes of base and log that this point adds)."""
    first = not chain.points
    before = set() if first else place.listed_files(chain, chain.points[-1])
    new = [chain.wal / f"{name}.zst" for name in segments]
    new += [path for path in chain.base.rglob("*") if path.is_file()] if first else []
    size = sum(path.stat().st_size for path in new)
    return place.file_lines(before, files), place.file_sha256(chain.base / "backup_manifest"), size


async def _moment(source: Source, segment_bytes: int) -> Moment:
    """A position of the log and what the database holds there; then the log goes on in a new segment."""
    async with connected(source) as reader, connected(source) as marker:
        await reader.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        found = await _quiet(reader, marker)
        quiet = found is not None
        row = found or await db.one(marker, _POSITION_SQL)
        await db.run(marker, "SELECT pg_logical_emit_message(false, 'telehub', 'point')")
        switched = await db.one(marker, "SELECT pg_switch_wal() - '0/0'::pg_lsn AS byte")
        end = -(-int(switched["byte"]) // segment_bytes) * segment_bytes
        facts = await _facts(reader, source.facts) if quiet else None
    return Moment(row["at"], row["lsn"], end, facts)


_POSITION_SQL: Final = "SELECT clock_timestamp() AS at, pg_current_wal_insert_lsn()::text AS lsn"


async def _quiet(reader: db.Connection, marker: db.Connection) -> db.Row | None:
    """An instant at which no transaction was writing: `reader` sees the database as it was then. None after a minute.

    Nobody is locked out. The snapshot must have nothing in progress, and the next transaction to get a number, our own,
    must get the snapshot's upper bound: then everything numbered before was finished before the position was read, and
    everything else writes its commit behind it. So recovery up to the position gives exactly the snapshot.
    """
    until_s = clock.monotonic_s() + QUIET_WITHIN_S
    while clock.monotonic_s() < until_s:
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        row = await _if_quiet(reader, marker)
        if row is not None:
            return row
        await reader.execute("ROLLBACK")
        await asyncio.sleep(QUIET_PAUSE_S)
    return None


async def _if_quiet(reader: db.Connection, marker: db.Connection) -> db.Row | None:
    snapshot = await db.one(
        reader,
        "SELECT pg_snapshot_xmin(s)::text AS oldest, pg_snapshot_xmax(s)::text AS next FROM pg_current_snapshot() s",
    )
    if snapshot["oldest"] != snapshot["next"]:
        return None
    position = await db.one(marker, _POSITION_SQL)
    own = await db.one(marker, "SELECT pg_current_xact_id()::text AS number")
    return position if own["number"] == snapshot["next"] else None


async def _facts(conn: db.Connection, facts: Mapping[str, Fact]) -> Mapping[str, Any]:
    await db.run(conn, "SET LOCAL ROLE hub_owner")
    await db.run(
        conn, "SELECT set_config('hub.actor_kind', 'job', true), set_config('hub.actor_id', 'backup', true)"
    )
    return {name: await fact(conn) for name, fact in facts.items()}


def copy_files(store: Store, target: Path) -> tuple[set[str], list[str], int]:
    """Bring what is new in the store; all names that are safe now, those whose bytes are wrong, new bytes."""
    kept, damaged, added = set(), [], 0
    folders = set()
    for name in store.names():
        copy = target / name[:2] / name
        if not copy.exists():
            try:
                same = place.copy_hashed(store.path(name), copy) == name
            except FileNotFoundError:  # removed by a retention rule meanwhile
                continue
            if not same:
                copy.unlink()
                damaged.append(name)
                continue
            added += copy.stat().st_size
            folders.add(copy.parent)
        kept.add(name)
    for folder in folders:
        place.sync_folder(folder)
    return kept, damaged, added


def _copy_keys(data_dir: Path, target: Path) -> dict[str, str]:
    """The small files without which a backup can't be read, or phones would not trust the hub."""
    found = [path for name in KEY_FOLDERS for path in sorted((data_dir / name).rglob("*")) if path.is_file()]
    shutil.rmtree(target, ignore_errors=True)
    place.made(target)
    keys = {}
    for path in found:
        name = str(path.relative_to(data_dir))
        keys[name] = place.copy_hashed(path, target / name)
        (target / name).chmod(0o600)
    return keys
