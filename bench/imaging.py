"""Receiving CT slices: by C-STORE over one and four associations, and by STOW-RS; beside Debian's Orthanc.

The same sender, the same files, one receiver after the other, in turns. The hub's figures hold fsync of every file
and a commit of PostgreSQL, whose processor time is counted; Orthanc syncs neither. Own UIDs for every turn.
"""

import asyncio
import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import requests
from pydicom.uid import generate_uid

from bench import _dicom_peers
from bench._dicom_peers import AE_TITLE, TOKEN, Receiver
from tests.imaging import senders

SLICES = int(os.environ.get("SLICES", "200"))
TURNS = int(os.environ.get("TURNS", "3"))
SIDE = 512

Row = dict[str, Any]
Send = Callable[[Receiver, Sequence[Path]], None]


def _slices(folder: Path) -> list[Path]:
    """A new study; noise does not compress, and nothing here looks at it."""
    folder.mkdir()
    study, series = generate_uid(), generate_uid()
    return [
        senders.write(senders.slice_of(study, series, number, SIDE), folder / f"{number}.dcm")
        for number in range(SLICES)
    ]


def c_store(associations: int) -> Send:
    def send(to: Receiver, files: Sequence[Path]) -> None:
        command = ["storescu", "-aet", AE_TITLE, "-aec", to.called, "127.0.0.1", str(to.port)]
        running = [
            subprocess.Popen(
                [*command, *map(str, files[number::associations])], env=os.environ | {"TCP_NODELAY": "1"}
            )
            for number in range(associations)
        ]
        if any(process.wait() for process in running):
            raise RuntimeError(f"storescu to {to.name} failed")

    return send


def stow(to: Receiver, files: Sequence[Path]) -> None:
    """The whole study in one request, as clients send it."""
    headers = {
        "Content-Type": 'multipart/related; type="application/dicom"; boundary=bench',
        "Accept": "application/dicom+json",
        "Authorization": f"Bearer {TOKEN}",
    }
    head = b"--bench\r\nContent-Type: application/dicom\r\n\r\n"
    body = (piece for path in files for piece in (head, path.read_bytes(), b"\r\n"))
    size = sum(len(head) + path.stat().st_size + 2 for path in files) + len(b"--bench--\r\n")
    answer = requests.post(
        f"{to.http}/dicom-web/studies", data=_Body(itertools.chain(body, [b"--bench--\r\n"]), size), headers=headers,
        timeout=120,
    )  # fmt: skip
    if answer.status_code != 200:
        raise RuntimeError(f"STOW to {to.name}: {answer.status_code} {answer.text[:200]}")


class _Body:
    """A body that is read as it is sent, of a length that is known: the sender holds no study in memory."""

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self._pieces, self._size = pieces, size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


# How, and which of the hub's two processes hears it.
WAYS: dict[str, tuple[Send, int]] = {
    "C-STORE, 1 association": (c_store(1), 0),
    "C-STORE, 4 associations": (c_store(4), 0),
    "STOW-RS": (stow, 1),
}


def _measured(send: Send, to: Receiver, files: Sequence[Path]) -> tuple[float, float, float]:
    """Instances per second, ms of processor time for each, MB held at most.

    The disk has all that was written before: else who syncs its files waits for those of who does not.
    """
    os.sync()
    to.forget_peak()
    cpu_s, begun_s = to.cpu_s(), time.perf_counter()
    send(to, files)
    took_s = time.perf_counter() - begun_s
    return len(files) / took_s, (to.cpu_s() - cpu_s) / len(files) * 1e3, to.peak_mb()


async def _run() -> list[Row]:
    told: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {
            (way, turn): _slices(folder / f"{n}-{turn}")
            for n, way in enumerate(WAYS)
            for turn in range(TURNS)
        }
        async with _dicom_peers.hub(folder) as ours:
            with _dicom_peers.orthanc(folder / "orthanc") as theirs:
                for (way, turn), paths in files.items():
                    send, which = WAYS[way]
                    pair = (ours[which], theirs)
                    for receiver in pair if turn % 2 else reversed(pair):
                        figures = await asyncio.to_thread(_measured, send, receiver, paths)
                        told.setdefault((way, receiver.name), []).append(figures)
    return [row for way in WAYS for row in _rows(way, told[way, "hub"], told[way, "Orthanc"])]


def _rows(
    way: str, ours: Sequence[tuple[float, float, float]], theirs: Sequence[tuple[float, float, float]]
) -> list[Row]:
    units = ("instances/s", "ms CPU/instance", "MB at most")
    rows = []
    for number, unit in enumerate(units):
        own, peer = (median(turn[number] for turn in turns) for turns in (ours, theirs))
        row: Row = {
            "name": f"imaging: {way}",
            "value": own,
            "unit": unit,
            "peer": "Orthanc",
            "peer_value": peer,
        }
        rows.append(row | {"ratio": own / peer})
    return rows


def run() -> list[Row]:
    return asyncio.run(_run())
