"""A device's clock may be wrong in any way: the same bytes are stored, the ledger is exact, times come out right."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from devices import event, senml
from devices.event import Event
from devices.packet import WaveformPacket, encode
from devices.senml import Measurement
from hub.core import actor
from hub.ingest.engine import Engine
from hub.telemetry import recordings, vitals
from tests import monitoring, world
from tests.ingest.conftest import Town
from tests.monitoring import FS_HZ, Worn, ingest, message, noise, waveform

JOB = actor.job("test")
EVERY_S = 90
PACKET = 50  # samples of each packet that comes; between them the device makes what never comes
SECONDS = 7_200
NETWORK_S = 0.3
SEEN_WITHIN_S = 1_300  # that a clock was set is told with the next ten minutes
YEAR_S = 365.25 * 86_400
_names = count()

REAL = settings(
    max_examples=min(60, settings().max_examples // 16),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    print_blob=True,
)


@dataclass(frozen=True)
class Times:
    """A device's clock: how far ahead at first, how fast, and what it is set by when; reboots begin a time line."""

    ahead_s: float
    drift_ppm: float
    sets: tuple[tuple[int, float], ...]
    reboots: tuple[int, ...]
    away: tuple[int, int]  # when the line is down; what was made then comes behind live data

    def read_s(self, true_s: float, since_s: float) -> float:
        set_by_s = sum(by_s for at_s, by_s in self.sets if true_s - since_s >= at_s)
        told_s = true_s + self.ahead_s + (true_s - since_s) * self.drift_ppm * 1e-6 + set_by_s
        return max(told_s, true_s - since_s)  # no clock shows a time before 1970


AHEAD = st.sampled_from(
    (-56 * YEAR_S, -40 * 86_400.0, -3 * 3600.0, 0.0, 2.5, 7200.0, 30 * 3600.0, 10 * YEAR_S)
)
SETS = st.lists(
    st.tuples(st.integers(0, SECONDS - SEEN_WITHIN_S), st.sampled_from((-YEAR_S, -3600.0, 45.0, 3600.0))),
    max_size=2,
)
TIMES = st.builds(
    Times,
    AHEAD,
    st.sampled_from((-200.0, 0.0, 40.0, 200.0)),
    SETS.map(tuple),
    st.sets(st.integers(600, SECONDS - 600), max_size=2).map(lambda s: tuple(sorted(s))),
    st.integers(0, SECONDS // 2).flatmap(lambda a: st.tuples(st.just(a), st.integers(a, SECONDS - 1200))),
)


@dataclass(frozen=True)
class Made:
    """A packet, when its first sample was taken, and when it comes."""

    packet: WaveformPacket
    true_s: float
    comes_s: float


def made(worn: Worn, at: datetime, times: Times) -> list[Made]:
    """A packet a minute; those of the time away come one a second after it, each behind live ones."""
    since_s, found = at.timestamp(), list[Made]()
    edges = (0, *times.reboots, SECONDS)
    late = 0
    for boot, (begin, end) in enumerate(pairwise(edges), 1):
        quartz = 1 + times.drift_ppm * 1e-6
        for second in range(begin, end, EVERY_S):
            first = round((second - begin) * FS_HZ * quartz)
            true_s = since_s + begin + first / FS_HZ / quartz
            end_s = true_s + PACKET / FS_HZ
            is_away = times.away[0] <= second < times.away[1]
            comes_s = since_s + times.away[1] + 1 + (late := late + 1) if is_away else end_s
            told_s = times.read_s(true_s, since_s)
            samples = noise(PACKET, second)
            packet = waveform(worn, at, samples, first, boot=boot, device_time_s=told_s, oldest=first)
            found.append(Made(packet, true_s, comes_s + NETWORK_S))
    return sorted(found, key=lambda one: one.comes_s)


async def another(town: Town, at: datetime) -> Worn:
    async with await world.connect(town.databases.admin_dsn) as admin:
        return await monitoring.wear(admin, town.world.own, at, f"holter-c{next(_names)}", "05")


@REAL
@given(TIMES)
async def test_any_clock_stores_the_same_and_reads_the_truth(town: Town, at: datetime, times: Times) -> None:
    worn, engine = await another(town, at), Engine(town.databases.ingest)
    sent = made(worn, at, times)
    for one in sent:
        now = datetime.fromtimestamp(one.comes_s, at.tzinfo)
        await ingest(engine, [message(worn, "ecg", encode(one.packet), now)], now)
    now = at + timedelta(seconds=SECONDS + 60)
    async with town.databases.app.transaction(JOB, now) as conn:
        boots = {boot.boot: boot for boot in await recordings.read_boots(conn, worn.recording_id, FS_HZ)}
        shown = await recordings.read_recording(conn, JOB, now, worn.recording_id)
    for number, boot in boots.items():
        stored = await monitoring.stored_samples(town.databases.admin_dsn, worn.recording_id, number)
        own = [one for one in sent if one.packet.boot == number]
        assert {first: part.tobytes() for first, part in stored.items()} == {
            one.packet.first_sample: one.packet.samples.tobytes() for one in own
        }
        # Nothing tells the time of a boot whose every packet was late.
        if any(one.comes_s - one.true_s < 1 for one in own):
            for one in own:
                hub_s = boot.at(one.packet.first_sample, FS_HZ).timestamp()
                assert abs(hub_s - one.true_s) < 2.0
    ledger = shown["ledger"]
    assert ledger["stored"] == len(sent) * PACKET
    assert ledger["produced"] == ledger["stored"] + ledger["declared_lost"]
    told_s = times.read_s(now.timestamp(), at.timestamp())
    assert abs(shown["clock"]["offset_s"] - (now.timestamp() - told_s)) < 5.0
    async with await world.connect(town.databases.admin_dsn) as admin:
        days = await (
            await admin.execute("SELECT count(*) AS days FROM pg_class WHERE relname LIKE 'ecg_packet_2%%'")
        ).fetchone()
        aside = await (await admin.execute("SELECT count(*) AS rows FROM set_aside")).fetchone()
    assert days["days"] < 50  # type: ignore[index,call-overload]
    assert aside["rows"] == 0  # type: ignore[index,call-overload]


async def test_the_hubs_own_clock_is_set(town: Town, at: datetime) -> None:
    """Nothing is lost, and what was stored before is read by the clock that is right now."""
    worn, engine, monotonic_s = town.worn, town.engine, 1_000.0
    true = [at + timedelta(seconds=second) for second in range(0, 1200, 60)]
    for number, instant in enumerate(true):
        wrong = timedelta(hours=-5) if number < 8 else timedelta()
        now = instant + wrong + timedelta(seconds=NETWORK_S)
        engine.watch_clock(now, monotonic_s + number * 60)
        packet = waveform(worn, at, noise(PACKET, number), number * 60 * FS_HZ, oldest=number * 60 * FS_HZ)
        await ingest(engine, [message(worn, "ecg", encode(packet), now)], now)
    async with town.databases.app.transaction(JOB, true[-1]) as conn:
        (boot,) = await recordings.read_boots(conn, worn.recording_id, FS_HZ)
    assert len(await monitoring.stored_samples(town.databases.admin_dsn, worn.recording_id)) == len(true)
    for number, instant in enumerate(true):
        assert abs((boot.at(number * 60 * FS_HZ, FS_HZ) - instant).total_seconds()) < 1.0


def vital(time_s: float, value: float = 97.0) -> bytes:
    return senml.encode_cbor([Measurement("MDC_PULS_OXIM_SAT_O2", value, "%", time_s)])


@pytest.mark.parametrize("time_s", [-30.0, 12_345.0, 2.1e9])
async def test_a_value_without_a_usable_time_is_stored_once(town: Town, at: datetime, time_s: float) -> None:
    """Relative to its arrival, of 1970, of 2036; the broker sends it again after the hub was restarted."""
    if time_s > 0:  # the clock is known from what came before
        online = Event("o", "online", time_s, time_s)
        await ingest(town.engine, [message(town.worn, "event", event.encode(online), at)], at)
    now = at + timedelta(seconds=40)
    once = message(town.worn, "vitals", vital(time_s + (40 if time_s > 0 else 0)), now)._replace(delivery=7)
    again = once._replace(delivery=-7, received_s=once.received_s + 90)
    await ingest(town.engine, [once], now)
    later = now + timedelta(seconds=90)
    restarted = Engine(town.databases.ingest)
    for engine in (town.engine, restarted):
        await ingest(engine, [again], later)
    async with town.databases.app.transaction(JOB, later) as conn:
        found = await vitals.vitals(conn, JOB, later, town.worn.patient_id, at - timedelta(hours=1), later)
    assert [(row["value"], row["at"]) for row in found] == [(97.0, now + timedelta(seconds=min(0.0, time_s)))]


async def test_what_was_told_is_forgotten_when_nobody_sends_it_again(town: Town, at: datetime) -> None:
    once = message(town.worn, "vitals", vital(0.0), at)._replace(delivery=7)
    await ingest(town.engine, [once], at)
    left = []
    for later in (timedelta(days=6), timedelta(days=8)):
        async with town.databases.app.transaction(JOB, at) as conn:
            await vitals.forget_told(conn, at + later)
        async with await world.connect(town.databases.admin_dsn) as admin:
            left += await (await admin.execute("SELECT count(*) AS rows FROM vital_told")).fetchall()
    assert [row["rows"] for row in left] == [1, 0]  # type: ignore[call-overload]


async def test_the_same_value_measured_twice_is_two(town: Town, at: datetime) -> None:
    for number in (1, 2):
        now = at + timedelta(seconds=10 * number)
        await ingest(
            town.engine, [message(town.worn, "vitals", vital(0.0), now)._replace(delivery=number)], now
        )
    async with town.databases.app.transaction(JOB, at) as conn:
        found = await vitals.vitals(
            conn, JOB, at, town.worn.patient_id, at - timedelta(hours=1), at + timedelta(hours=1)
        )
    assert len(found) == 2


async def test_values_of_a_clock_that_is_ahead_are_shown_when_they_were_measured(
    town: Town, at: datetime
) -> None:
    ahead_s = 3 * 3600.0
    online = Event("o", "online", at.timestamp() + ahead_s, at.timestamp() + ahead_s)
    await ingest(town.engine, [message(town.worn, "event", event.encode(online), at)], at)
    now = at + timedelta(seconds=60)
    await ingest(town.engine, [message(town.worn, "vitals", vital(now.timestamp() + ahead_s), now)], now)
    async with town.databases.app.transaction(JOB, now) as conn:
        (found,) = await vitals.newest_vitals(conn, JOB, now, town.worn.patient_id)
    assert (found["at"], found["device_at"]) == (now, now + timedelta(seconds=ahead_s))
