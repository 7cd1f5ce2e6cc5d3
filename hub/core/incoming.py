"""A file as it is being received from one sender: written and hashed piece by piece, then kept together with others.

Written in the caller's own thread, into the page cache: that costs less than handing each piece over. What may wait
for the disk is `keep`, which runs elsewhere and makes any number of files durable at once.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

FOLDER: Final = "incoming"  # swept when the hub starts
NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Incoming:
    """Bytes under a name of nobody's choosing, until they are kept or thrown away."""

    def __init__(self, root: Path) -> None:
        self.path = root / FOLDER / secrets.token_hex(16)
        try:
            self._handle = os.open(self.path, NEW, 0o600)
        except FileNotFoundError:  # the first of all
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(self.path, NEW, 0o600)
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.is_kept = False

    def write(self, piece: bytes | memoryview) -> None:
        """Append; OSError if there is no room."""
        self._digest.update(piece)
        written = 0
        while written < len(piece):
            written += os.write(self._handle, piece[written:] if written else piece)
        self.size_bytes += written

    @property
    def sha256(self) -> str:
        """Of all that was written."""
        return self._digest.hexdigest()

    def sync(self) -> None:
        """Let the disk have it."""
        os.fsync(self._handle)

    def close(self) -> None:
        """The name goes, too, unless the file has been kept under another."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
            self.path.unlink(missing_ok=True)


def keep(files: Sequence[Incoming], target_of: Callable[[str], Path]) -> None:
    """Make files durable under the names their bytes give them: fsync, rename, fsync of the folders. Once is enough."""
    new = [file for file in files if not file.is_kept]
    for file in new:
        file.sync()
    folders = set[Path]()
    for file in new:
        target = target_of(file.sha256)
        if not target.parent.exists():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            folders.add(target.parent.parent)
        if not target.exists():
            file.path.rename(target)
        folders.add(target.parent)
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    for file in new:
        file.is_kept = True
        file.close()
