"""Three nodes of NATS JetStream as the broker, two ingest processes: a node is killed, then an ingest process."""

import asyncio
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub.core import clock
from tests.load import front, nats, server, ward
from tests.load.figures import Figure, say
from tests.load.nats import Cluster
from tests.load.takeover import PROCESSES, send_signal, takeover
from tests.load.ward import TAPE_S, Ward
from tests.load.witness import out_of_order
from tests.nemesis import installation
from tests.nemesis.fleet import Setup
from tests.nemesis.tape import Tape

RECOVERED_S: Final = 10.0  # after a node: as after a process


@dataclass(frozen=True)
class Plan:
    """How long, how many."""

    devices: int = 50
    calm_s: float = 40.0
    seed: int = 20_260_102
    kills_process: bool = True
    has_episodes: bool = True  # long enough for the tape's to come


SHORT: Final = Plan(devices=4, calm_s=1.5, kills_process=False, has_episodes=False)


async def run(folder: Path, plan: Plan) -> list[Figure]:
    password = secrets.token_hex(8)
    users = [nats.hub_user("hub", password)]
    users += [nats.device_user(*account) for account in ward.device_accounts(plan.devices)]
    async with (
        server.running(folder / "pg") as postgres,
        nats.running(folder / "nats", users) as cluster,
        front.standing(cluster.mqtt) as address,
    ):
        settings = {
            "HUB_DSN": postgres.dsn,
            "HUB_INGEST_PROCESSES": str(PROCESSES),
            "HUB_MQTT_EXTERNAL": cluster.external,
            "HUB_MQTT_PASSWORD": password,
        }
        async with (
            installation.installed(folder, settings) as hub,
            ward.populated(hub, plan.devices) as (database, worn),
        ):
            setup = Setup(ward.make_wearers(worn), address, Tape(plan.seed, TAPE_S), plan.seed, links=0)
            async with ward.streaming(hub, postgres.superuser_dsn, setup, database, worn, folder) as watched:
                return await _measured(watched, cluster, plan)


async def _measured(watched: Ward, cluster: Cluster, plan: Plan) -> list[Figure]:
    await asyncio.sleep(plan.calm_s)
    node_s = clock.now().timestamp()
    await cluster.kill_node(0)
    say(f"  SIGKILL to a node of the broker, which led {', '.join(_led(cluster, 0, node_s)) or 'no stream'}")
    await asyncio.sleep(plan.calm_s)
    await cluster.start_node(0)
    await asyncio.sleep(plan.calm_s)
    killed_s = clock.now().timestamp()
    if plan.kills_process:
        killed_s = send_signal(watched.hub, "ingest-1", signal.SIGKILL)
        await asyncio.sleep(plan.calm_s)
    truths, drained_s = await ward.end(watched)
    commits = await watched.commits()
    figures = takeover("a node killed (kill -9)", commits, node_s, killed_s)
    if plan.kills_process:
        until_s = killed_s + plan.calm_s
        figures += takeover("an ingest process killed (kill -9)", commits, killed_s, until_s)
    return [
        Figure("devices", len(watched.worn)),
        *figures,
        *_elections(cluster, node_s, node_s + plan.calm_s),
        Figure("packets stored out of order of index (NATS keeps no order)", out_of_order(commits)),
        Figure("drained after the end", drained_s, "s"),
        *await ward.examined(watched, truths),
        *(await ward.findings_examined(watched, truths) if plan.has_episodes else ()),
    ]


def _led(cluster: Cluster, node: int, until_s: float) -> list[str]:
    """Streams of which this node was the last to be elected."""
    newest = {
        one.name: one.node for one in cluster.elections() if one.kind == "stream" and one.at_s < until_s
    }
    return sorted(name for name, leader in newest.items() if leader == node)


def _elections(cluster: Cluster, since_s: float, until_s: float) -> list[Figure]:
    """How long NATS itself took: before, no device can be stored, whatever the hub does."""
    took = {
        kind: [
            one.at_s - since_s
            for one in cluster.elections()
            if one.kind == kind and since_s < one.at_s < until_s
        ]
        for kind in ("stream", "consumer")
    }
    return [
        Figure(
            f"a node killed (kill -9): until NATS had elected {kind} leaders anew",
            max(times, default=0.0),
            "s",
        )
        for kind, times in took.items()
    ]
