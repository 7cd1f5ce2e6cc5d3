"""Secrets an installation makes once and keeps: data_dir/secret/NAME, readable by nobody else."""

import os
import secrets
from pathlib import Path


def load_or_create(data_dir: Path, name: str, size_bytes: int = 32) -> bytes:
    """The secret of this name; made on first use. Two processes asking at once get the same one."""
    path = data_dir / "secret" / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _create(path, secrets.token_bytes(size_bytes))
    return path.read_bytes()


def exists(data_dir: Path, name: str) -> bool:
    """Whether the secret was made here; what looks at restored data must not make one."""
    return (data_dir / "secret" / name).exists()


def _create(path: Path, value: bytes) -> None:
    part = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, value)
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(part, path)  # whole or not at all, and only one wins
    except FileExistsError:
        pass
    finally:
        part.unlink()
