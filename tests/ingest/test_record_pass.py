"""The second look: what is found of record does not depend on how the samples came, and nobody is alarmed twice."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices import event
from devices.event import Event
from devices.packet import WaveformPacket
from ecg.synthetic import Segment, Synthesiser
from hub.alarms.findings import findings
from hub.core.actor import job
from hub.core.jobs import Worker, run_due
from hub.core.settings import Settings
from hub.core.store import Store
from hub.ingest import record_pass
from hub.ingest.engine import Engine
from tests import monitoring, world
from tests.ingest.conftest import Town
from tests.monitoring import FS_HZ, LEADS, Worn, cut, ingest, message, send

LENGTH_S = 1_300  # two stretches and a short one
PACKET_S = 10
# Runs that begin and end on both sides of the borders at 600 and 1200 s, and within.
HEART = (
    Segment("sinus", 240.0, 70.0),
    Segment("vt", 9.0, 170.0),
    Segment("sinus", 200.0, 64.0, pause_s=3.6),
    Segment("af", 320.0, 105.0),
    Segment("sinus", 300.0, 46.0),
    Segment("sinus", 118.0, 72.0),
    Segment("vt", 30.0, 165.0),
    Segment("sinus", 83.0, 75.0),
)
_names = count()

REAL = settings(
    max_examples=min(30, settings().max_examples // 33),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a shrunk example says no more, and takes minutes
    print_blob=True,
)


@cache
def heart() -> NDArray[np.int16]:
    return Synthesiser(5, FS_HZ, LEADS, HEART).samples(0, LENGTH_S * FS_HZ)


def packets(worn: Worn, at: datetime) -> list[WaveformPacket]:
    scale = Synthesiser(5, FS_HZ, LEADS, HEART).uv_per_lsb
    bounds = range(PACKET_S * FS_HZ, LENGTH_S * FS_HZ + 1, PACKET_S * FS_HZ)
    return cut(worn, at, heart(), bounds, uv_per_lsb=scale)


async def another(town: Town, at: datetime) -> Worn:
    async with await world.connect(town.databases.admin_dsn) as admin:
        return await monitoring.wear(admin, town.world.own, at, f"holter-r{next(_names)}", "04")


async def look(town: Town, at: datetime, folder: Path) -> int:
    """Do the jobs that are due."""
    worker = Worker(
        town.databases.app, Store(folder), Settings(data_dir=folder), record_pass.JOBS, lambda: at, "test"
    )
    return await run_due(worker)


async def end(town: Town, worn: Worn, at: datetime) -> None:
    counts = ((1, LENGTH_S * FS_HZ),)
    over = Event("e", "end", at.timestamp(), recording=worn.recording_id.bytes, boot=1, counts=counts)
    await ingest(town.engine, [message(worn, "event", event.encode(over), at)], at)


async def of_record(town: Town, worn: Worn) -> list[dict[str, Any]]:
    async with await world.connect(town.databases.admin_dsn) as admin:
        found = await admin.execute(
            "SELECT rule, version, boot, onset_sample, offset_sample, priority, leads, numbers, quality, note"
            " FROM finding WHERE recording_id = %s AND pass = 'record' ORDER BY onset_sample, rule",
            (worn.recording_id,),
        )
        return await found.fetchall()  # type: ignore[return-value]


async def live(town: Town, worn: Worn, at: datetime, folder: Path) -> None:
    """Packet by packet as they are made, the jobs done as they fall due."""
    for number, packet in enumerate(packets(worn, at)):
        now = at + timedelta(seconds=(number + 1) * PACKET_S)
        await send(town.engine, worn, [packet], now)
        if number % 20 == 0:
            await look(town, now, folder)
    await end(town, worn, at + timedelta(seconds=LENGTH_S))
    await look(town, at + timedelta(seconds=LENGTH_S + 90), folder)


@REAL
@given(st.integers(0, 2**32), st.booleans(), st.integers(1, 70))
async def test_findings_of_record_do_not_depend_on_how_the_samples_came(
    town: Town, at: datetime, tmp_path: Path, seed: int, ends_first: bool, size: int
) -> None:
    quiet, worn, rng = await another(town, at), await another(town, at), Random(seed)
    await live(town, quiet, at, tmp_path)
    sent = packets(worn, at)
    order = sent + rng.choices(sent, k=20)  # some come twice
    rng.shuffle(order)
    now = at + timedelta(hours=3)
    if ends_first:
        await send(town.engine, worn, order[:1], now)
        await end(town, worn, now)
    for first in range(0, len(order), size):
        await send(town.engine, worn, order[first : first + size], now)
        await look(town, now, tmp_path)
    if not ends_first:
        await end(town, worn, now)
    await look(town, now + timedelta(seconds=90), tmp_path)
    expected = await of_record(town, quiet)
    assert {"ventricular-run", "pause", "atrial-fibrillation", "bradycardia"} <= {
        row["rule"] for row in expected
    }
    assert await of_record(town, worn) == expected
    await send(Engine(town.databases.ingest), worn, sent, now)
    assert await look(town, now + timedelta(seconds=90), tmp_path) == 0


async def test_an_episode_over_a_border_is_seen_as_one(town: Town, at: datetime, tmp_path: Path) -> None:
    await live(town, town.worn, at, tmp_path)
    actor = job("test")
    async with town.databases.app.transaction(actor, at) as conn:
        shown = await findings(conn, actor, at, town.worn.recording_id)
    irregular = [row for row in shown if row["rule"] == "atrial-fibrillation"]
    assert len(irregular) == 1
    length_s = (irregular[0]["offset_sample"] - irregular[0]["onset_sample"]) / FS_HZ
    assert irregular[0]["pass"] == "record"
    assert abs(length_s - 320) < 40
    assert irregular[0]["onset_at"] == at + timedelta(seconds=irregular[0]["onset_sample"] / FS_HZ)


async def test_a_late_critical_run_is_an_alarm_for_who_asked(
    town: Town, at: datetime, tmp_path: Path
) -> None:
    """The line was down while the heart raced; live before and after it saw nothing."""
    sent = packets(town.worn, at)
    known, held = [*sent[:10], *sent[120:]], sent[10:120]
    for packet in known:
        await send(town.engine, town.worn, [packet], at + timedelta(seconds=packet.end_sample / FS_HZ))
    now = at + timedelta(hours=1)
    await end(town, town.worn, now)
    await look(town, now, tmp_path)
    assert await alarms(town) == []
    for packet in held:
        await send(town.engine, town.worn, [packet], now)
    for _ in range(2):
        await look(town, now, tmp_path)
        raised = await alarms(town)
        assert {(row["rule"], row["priority"], row["late"], row["condition"]) for row in raised} == {
            ("ventricular-run", "high", True, "gone")
        }
        async with await world.connect(town.databases.admin_dsn) as admin:
            (administrator,) = await (
                await admin.execute(
                    "SELECT account_id FROM role_assignment WHERE role = 'organisation_admin'"
                    " AND organisation_id = ANY(%s)",
                    (list(town.world.own.organisations.values()),),
                )
            ).fetchall()
        assert {row["addressee_id"] for row in raised} == {administrator["account_id"]}  # type: ignore[call-overload]
        assert len(raised) == 2
        await send(town.engine, town.worn, held, now)


async def alarms(town: Town) -> list[dict[str, Any]]:
    async with await world.connect(town.databases.admin_dsn) as admin:
        found = await admin.execute("SELECT * FROM alarm WHERE category = 'physiological' ORDER BY onset_at")
        return await found.fetchall()  # type: ignore[return-value]


async def test_live_data_do_not_wait_for_a_second_look(town: Town, at: datetime) -> None:
    """A new boot refers to the recording whose findings a look is putting in place."""
    await send(town.engine, town.worn, packets(town.worn, at)[:1], at)
    async with town.databases.app.transaction(record_pass.ACTOR, at) as conn:
        work = await record_pass.read_work(conn, town.worn.recording_id, 1, 0)
        await record_pass.store_look(conn, at, work, [])
        stored = await send(town.engine, town.worn, [replace(packets(town.worn, at)[0], boot=2)], at)
    assert stored.samples == PACKET_S * FS_HZ
