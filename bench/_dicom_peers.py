"""Two receivers side by side: the hub's own processes on a durable PostgreSQL, and Debian's Orthanc as it comes."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psutil

from hub.core import migrate, postgres
from hub.imaging.index import nodes
from tests import parts, world

ROOT = Path(__file__).parents[1]
AE_TITLE = "BENCH"
TOKEN = "bench-token"
READY_S = 30.0


@dataclass(frozen=True)
class Receiver:
    """Where to send, and which processes do the work."""

    name: str
    called: str
    port: int
    http: str
    roots: tuple[int, ...]  # process ids of all that work; their children count, too
    memory_roots: tuple[int, ...]  # of those that hold the bytes
    dsn: str = ""  # the hub's

    def cpu_s(self) -> float:
        """User and system time of all of them, and of their children that are gone."""
        total = 0.0
        for process in self._family(self.roots):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        for root in self.roots:
            times = psutil.Process(root).cpu_times()
            total += times.children_user + times.children_system
        return total

    def peak_mb(self) -> float:
        """The most memory the receiving processes have held at once, as the kernel counts it."""
        peaks = []
        for process in self._family(self.memory_roots):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{process.pid}/status").read_text()
                peaks.append(int(words.partition("VmHWM:")[2].split()[0]) / 1024)
        return sum(peaks)

    def forget_peak(self) -> None:
        for process in self._family(self.memory_roots):
            with contextlib.suppress(OSError):
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    @staticmethod
    def _family(roots: tuple[int, ...]) -> Iterator[psutil.Process]:
        for pid in roots:
            root = psutil.Process(pid)
            yield from (root, *root.children(recursive=True))


def wait_for(port: int) -> None:
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


def _start(command: list[str], environ: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(
            command, env=os.environ | environ, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def hub(folder: Path) -> AsyncIterator[tuple[Receiver, Receiver]]:
    """PostgreSQL with the hub's durable settings, and the processes `dimse` and `web`, each as a receiver."""
    dimse_port, http_port = parts.free_port(), parts.free_port()
    async with postgres.running(folder / "pg" / "data") as server:
        await migrate.migrate(server.admin_dsn, datetime.now(UTC))
        two = await world.build(server.admin_dsn)
        async with await world.connect(server.admin_dsn) as admin:
            await world.insert(
                admin, "dicom_node", id=uuid4(), organisation_id=two.own.organisations["town"], name="CT",
                ae_title=AE_TITLE, address="127.0.0.1", token_sha256=nodes.token_hash(TOKEN),
                created_at=datetime.now(UTC),
            )  # fmt: skip
        (folder / "hub").mkdir(mode=0o700)
        environ = {
            "HUB_DSN": server.admin_dsn, "HUB_DATA_DIR": str(folder / "hub"), "HUB_DIMSE_PORT": str(dimse_port),
            "HUB_DIMSE_PLAIN_ADDRESSES": "127.0.0.1", "HUB_HTTP_PORT": str(http_port), "HUB_MQTT_PASSWORD": "none",
            "OPENBLAS_NUM_THREADS": "1",
        }  # fmt: skip
        processes = [
            _start(
                [sys.executable, "-m", "hub.cli", "serve", "--role", role], environ, folder / f"{role}.log"
            )
            for role in ("dimse", "web")
        ]
        try:
            wait_for(dimse_port)
            wait_for(http_port)
            dimse, web = (process.pid for process in processes)
            database = int((folder / "pg" / "data" / "postmaster.pid").read_text().split()[0])
            where = ("hub", "TELEHUB", dimse_port, f"http://127.0.0.1:{http_port}")
            dsn = server.admin_dsn
            yield (
                Receiver(*where, (dimse, database), (dimse,), dsn),
                Receiver(*where, (web, database), (web,), dsn),
            )
        finally:
            for process in processes:
                _stop(process)


@contextlib.contextmanager
def orthanc(folder: Path) -> Iterator[Receiver]:
    """As Debian ships it, with its own index; `TCP_NODELAY=1` is what its DICOM library asks for."""
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:" + os.environ.get("PATH", ""))
    if program is None:
        raise SystemExit("Orthanc is not installed: apt-get install orthanc")
    dicom_port, http_port = parts.free_port(), parts.free_port()
    folder.mkdir()
    settings = {
        "Name": "bench", "StorageDirectory": str(folder), "IndexDirectory": str(folder), "DicomAet": "ORTHANC",
        "DicomPort": dicom_port, "HttpPort": http_port, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True, "OverwriteInstances": False, "Plugins": _plugins(),
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    process = _start([program, str(folder / "orthanc.json")], {"TCP_NODELAY": "1"}, folder / "log")
    try:
        wait_for(dicom_port)
        wait_for(http_port)
        yield Receiver(
            "Orthanc", "ORTHANC", dicom_port, f"http://127.0.0.1:{http_port}", (process.pid,), (process.pid,)
        )
    finally:
        _stop(process)


def _plugins() -> list[str]:
    """DICOMweb, where Debian's package of it is installed."""
    return [str(path) for path in Path("/usr/share/orthanc/plugins").glob("libOrthancDicomWeb.so*")][:1]
