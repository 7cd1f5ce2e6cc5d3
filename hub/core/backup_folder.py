"""How backups lie on their disk: chains of a base and what came since, each complete or not there.

    TARGET/repository.json          the id of this place
    TARGET/files/ab/abcd...         stored files by SHA-256, shared by all chains
    TARGET/20261122T010203000Z/     a chain: `base/`, `wal/SEGMENT.zst`, `secret/POINT/`, `points/POINT.json`

A *point* is one finished backup: a position of the write-ahead log up to which everything is here, with the hashes of
what it added. It is written last, under a temporary name, synced and renamed; what an interrupted backup left has no
point that speaks of it. A chain under construction has a name that begins with a dot.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

FORMAT: Final = 1
STAMP: Final = re.compile(r"\d{8}T\d{9}Z")
SEGMENT: Final = re.compile(r"[0-9A-F]{24}")
UNFINISHED, REMOVED = ".unfinished-", ".removed-"
CHUNK_BYTES: Final = 1 << 20

Kind = Literal["base", "increment"]
Facts = Mapping[str, Any]


class BackupError(RuntimeError):
    """A backup that can't be made or used; the words say why and what to do."""


class Damaged(BackupError):
    """A part of a backup is not what was written."""


@dataclass(frozen=True)
class Point:
    """One finished backup. `at` is by the database server's clock; hashes are SHA-256 in hex."""

    id: str
    kind: Kind
    at: datetime
    lsn: str  # everything committed before it is in this backup
    system_identifier: str
    timeline: int
    major: int  # of PostgreSQL
    segment_bytes: int
    database: str
    superuser: str
    preload: str  # shared_preload_libraries
    base_sha256: str  # of the base's own manifest
    segments: Mapping[str, str]  # of the log, that this point added: name -> hash of the compressed file
    files_sha256: str  # of the list of stored files this point added and took away
    file_count: int  # stored files in all
    damaged_files: tuple[str, ...]  # whose bytes no longer fitted their name when this point was made
    keys: Mapping[str, str]  # small files of the data folder -> hash
    facts: Facts | None  # what the database said of itself at `lsn`; None if no instant was quiet
    added_bytes: int
    format: int = FORMAT

    @property
    def position(self) -> tuple[int, int]:
        """Where it stands in the history of the database: (timeline, byte of the log)."""
        high, _, low = self.lsn.partition("/")
        return self.timeline, (int(high, 16) << 32) + int(low, 16)


@dataclass(frozen=True)
class Chain:
    """A base and the points since."""

    folder: Path
    points: tuple[Point, ...]

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def wal(self) -> Path:
        return self.folder / "wal"

    def up_to(self, point: Point) -> tuple[Point, ...]:
        return self.points[: self.points.index(point) + 1]


def stamp(at: datetime) -> str:
    """The name of a point: its instant, sortable."""
    return f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03}Z"


@contextlib.contextmanager
def opened(target: Path) -> Iterator[str]:
    """Hold the place for one backup at a time; its id. Made if it isn't there."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (target / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup to {target} is running") from None
        if not (target / "repository.json").exists():
            _begin(target)
        yield repository_id(target)


def sweep(target: Path) -> None:
    """Remove what was left half; only while the place is held."""
    for left in [*target.glob(f"{UNFINISHED}*"), *target.glob(f"{REMOVED}*")]:
        shutil.rmtree(left)


def _begin(target: Path) -> None:
    if any(target.glob("[!.]*")):
        raise BackupError(f"{target} holds something else; name an empty folder, or one of earlier backups")
    about = {"format": FORMAT, "id": secrets.token_hex(4)}
    write_whole(target / "repository.json", json.dumps(about).encode())


def repository_id(target: Path) -> str:
    """The id of a place of backups."""
    path = target / "repository.json"
    try:
        about = json.loads(path.read_bytes())
        known = about["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupError(
            f"{path.parent} is no backup of a hub: repository.json is missing or damaged"
        ) from None
    if not known:
        raise BackupError(f"{path.parent} was written by a newer program")
    return str(about["id"])


def chains(target: Path) -> list[Chain]:
    """The finished chains, oldest first; raises `Damaged` for a point that is not as it was written.

    In order of the log, not of names: a clock may have been set back.
    """
    repository_id(target)
    found = [_chain(path) for path in target.iterdir() if STAMP.fullmatch(path.name)]
    return sorted(found, key=lambda chain: chain.points[0].position)


def _chain(folder: Path) -> Chain:
    points = map(read_point, (folder / "points").glob("*.json"))
    ordered = tuple(sorted(points, key=lambda point: point.position))
    if not ordered:
        raise Damaged(
            f"{folder.name} holds no point: it was not written by a backup, or its points were removed"
        )
    return Chain(folder, ordered)


def write_point(chain: Path, point: Point, file_lines: bytes) -> None:
    """The last step: from here on the backup is there."""
    folder = made(chain / "points")
    write_whole(folder / f"{point.id}.files", file_lines)
    text = _canonical(dataclasses.asdict(point) | {"at": point.at.isoformat()})
    sealed = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "point": json.loads(text)}
    write_whole(folder / f"{point.id}.json", json.dumps(sealed, indent=1).encode())


def read_point(path: Path) -> Point:
    try:
        sealed = json.loads(path.read_bytes())
        fields = sealed["point"]
        if hashlib.sha256(_canonical(fields).encode()).hexdigest() != sealed["sha256"]:
            raise Damaged(f"point {path.stem}: its description was changed after it was written")
        if fields["format"] != FORMAT:
            raise BackupError(f"point {path.stem} was written by a newer program")
        made_at = datetime.fromisoformat(fields["at"])
        return Point(**fields | {"at": made_at, "damaged_files": tuple(fields["damaged_files"])})
    except (ValueError, KeyError, TypeError):
        raise Damaged(f"point {path.stem}: its description can't be read") from None


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def listed_files(chain: Chain, point: Point) -> set[str]:
    """The stored files that belong to a point: what it and those before it added and did not take away."""
    found: set[str] = set()
    for step in chain.up_to(point):
        lines = (chain.folder / "points" / f"{step.id}.files").read_bytes()
        if hashlib.sha256(lines).hexdigest() != step.files_sha256:
            raise Damaged(f"point {step.id}: its list of files was changed after it was written")
        for line in lines.decode().split():
            (found.add if line[0] == "+" else found.discard)(line[1:])
    return found


def file_lines(before: set[str], now: set[str]) -> bytes:
    """The list of a point: what came and went since the one before."""
    lines = [*(f"+{name}" for name in sorted(now - before)), *(f"-{name}" for name in sorted(before - now))]
    return "".join(f"{line}\n" for line in lines).encode()


def remove_old(target: Path, keep: int) -> int:
    """Remove all but the newest `keep` chains, and the files no chain speaks of any more; how many chains."""
    found = chains(target)
    old = found[: max(0, len(found) - keep)]
    for chain in old:
        hidden = target / f"{REMOVED}{chain.folder.name}"
        chain.folder.rename(hidden)
        shutil.rmtree(hidden)
    if old:
        kept = {
            name
            for chain in found[len(old) :]
            for point in chain.points
            for name in listed_files(chain, point)
        }
        _remove_files(target / "files", kept)
    return len(old)


def _remove_files(folder: Path, kept: set[str]) -> None:
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        if path.name not in kept:
            path.unlink()


def made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_whole(path: Path, content: bytes) -> None:
    """A small file, whole and durable, or not there."""
    part = path.with_name(f".{path.name}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_hashed(source: Path, target: Path) -> str:
    """Copy under the final name once it is durable; the SHA-256 of what was copied."""
    made(target.parent)
    part, digest = target.with_name(f".{target.name}.part"), hashlib.sha256()
    with source.open("rb") as read, part.open("wb") as write:
        while chunk := read.read(CHUNK_BYTES):
            digest.update(chunk)
            write.write(chunk)
        write.flush()
        os.fsync(write.fileno())
    part.rename(target)
    return digest.hexdigest()


def missing_segments(names: Iterable[str], first: str, segment_bytes: int) -> list[str]:
    """Names that ought to be between `first` and the last but aren't."""
    have = sorted(names)
    per_log = (1 << 32) // segment_bytes
    wanted, last, position = [], have[-1] if have else first, segment_number(first, per_log)
    while position <= segment_number(last, per_log):
        wanted.append(f"{first[:8]}{position // per_log:08X}{position % per_log:08X}")
        position += 1
    return sorted(set(wanted) - set(have))


def segment_number(name: str, per_log: int) -> int:
    return int(name[8:16], 16) * per_log + int(name[16:24], 16)
