"""Three nodes of NATS JetStream as the hub's broker, on `deploy/nats.conf`; nodes can be killed and come back."""

import asyncio
import contextlib
import json
import re
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from hub.core import process
from tests import parts

NODES: Final = 3
PROGRAM: Final = Path(sys.executable).with_name("nats-server")
TEMPLATE: Final = Path(__file__).parents[2] / "deploy" / "nats.conf"
STOP_TIMEOUT_S: Final = 10.0
# What NATS makes of a subscription with QoS 1: messages come to the client on a subject of the server's own.
OWN_SUBJECT: Final = "$MQTT.sub.>"
# Who is elected says so in its log, in local time.
ELECTED: Final = re.compile(
    r"^\[\d+\] (\S+ \S+) .* cluster new (stream|consumer) leader for '(.*)'", re.MULTILINE
)


class Election(NamedTuple):
    """A node became the leader of a stream, or of a consumer, which is a subscription's place in a stream."""

    at_s: float
    node: int
    kind: str
    name: str


@dataclass
class Cluster:
    """The nodes, and where their MQTT listeners are."""

    folder: Path
    mqtt: tuple[tuple[str, int], ...]
    names: Mapping[str, str] = field(default_factory=dict)  # user name -> password, the hub's among them
    processes: list[Process] = field(default_factory=list)

    @property
    def external(self) -> str:
        """As HUB_MQTT_EXTERNAL names it."""
        return ",".join(f"{host}:{port}" for host, port in self.mqtt)

    async def start_node(self, number: int) -> None:
        folder = self.folder / f"n{number}"
        command = (str(PROGRAM), "-c", str(folder / "nats.conf"))
        started = await process.start(command, folder / "nats.log")
        self.processes[number:] = [started, *self.processes[number + 1 :]]

    async def kill_node(self, number: int) -> None:
        """kill -9."""
        self.processes[number].kill()
        await self.processes[number].wait()

    def elections(self) -> list["Election"]:
        """All there were, as the nodes tell them, in order."""
        found = []
        for number in range(NODES):
            text = (self.folder / f"n{number}" / "nats.log").read_text(errors="replace")
            for at, kind, name in ELECTED.findall(text):
                at_s = datetime.strptime(at, "%Y/%m/%d %H:%M:%S.%f").astimezone().timestamp()
                found.append(Election(at_s, number, kind, name.rpartition(" ")[2]))
        return sorted(found)

    def memory_pids(self) -> list[int]:
        return [one.pid for one in self.processes if one.returncode is None]


def hub_user(name: str, password: str) -> dict[str, Any]:
    """The hub's own account: its four branches and nothing else."""
    own = [f"{root}.>" for root in ("ingest", "ack", "cmd", "live")]
    return _user(name, password, publish=own, subscribe=own)


def device_user(name: str, password: str) -> dict[str, Any]:
    """A device writes its own three topics and reads its own two; in NATS a slash is a dot, but not in user names."""
    own = name.replace("/", ".")
    return _user(
        name,
        password,
        publish=[f"ingest.{own}.{kind}" for kind in ("ecg", "vitals", "event")],
        subscribe=[f"ack.{own}", f"cmd.{own}"],
    )


def _user(name: str, password: str, publish: Sequence[str], subscribe: Sequence[str]) -> dict[str, Any]:
    allowed = {"publish": list(publish), "subscribe": [*subscribe, OWN_SUBJECT]}
    return {"user": name, "password": password, "permissions": allowed}


@contextlib.asynccontextmanager
async def running(folder: Path, users: Sequence[Mapping[str, Any]]) -> AsyncIterator[Cluster]:
    """Up for as long as the block lasts."""
    ports = [tuple(parts.free_port() for _ in range(3)) for _ in range(NODES)]
    routes = [f"nats://127.0.0.1:{cluster}" for _, cluster, _ in ports]
    for number, (clients, cluster, mqtt) in enumerate(ports):
        own = folder / f"n{number}"
        own.mkdir(parents=True)
        (own / "nats.conf").write_text(_configuration(own, clients, cluster, mqtt), encoding="utf-8")
        (own / "routes.conf").write_text(f"routes: {json.dumps(routes)}\n", encoding="utf-8")
        (own / "users.conf").write_text(f"users: {json.dumps(users)}\n", encoding="utf-8")
    started = Cluster(folder, tuple(("127.0.0.1", mqtt) for _, _, mqtt in ports))
    try:
        for number in range(NODES):
            await started.start_node(number)
        yield started
    finally:
        await asyncio.gather(
            *(process.stop(one, signal.SIGTERM, STOP_TIMEOUT_S) for one in started.processes)
        )


def _configuration(folder: Path, clients: int, cluster: int, mqtt: int) -> str:
    text = TEMPLATE.read_text(encoding="utf-8")
    values = {
        "$NODE": folder.name,
        "$STORE": json.dumps(str(folder / "store")),
        "$CLIENTS": f"127.0.0.1:{clients}",
        "$CLUSTER": f"127.0.0.1:{cluster}",
        "$MQTT": f"127.0.0.1:{mqtt}",
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text
