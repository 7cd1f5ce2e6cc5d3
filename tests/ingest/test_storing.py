"""What devices send is stored once, exactly, whatever the order; and only where it belongs."""

import asyncio
import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices import event, packet, senml
from devices.event import Event
from devices.senml import Measurement
from ecg.synthetic import Segment, Synthesiser
from hub.core import db
from hub.ingest.engine import ACTOR, Engine
from hub.ingest.tick import Sorted
from tests import monitoring, world
from tests.ingest.conftest import Town
from tests.monitoring import Worn, cut, ingest, message, noise, send, stored_samples, stored_signal, waveform

LENGTH = 400
_names = count()

REAL = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]]]:
    """Two ways of cutting the same samples, and an order of all packets with repeats, in batches."""
    cuts = []
    for _ in range(2):
        inner = draw(st.sets(st.integers(1, LENGTH - 1), max_size=6))
        cuts.append([*sorted(inner), LENGTH])
    numbers = list(range(sum(len(bounds) for bounds in cuts)))
    repeats = draw(st.lists(st.sampled_from(numbers), max_size=6))
    order = draw(st.permutations([*numbers, *repeats]))
    size = draw(st.integers(1, len(order)))
    return cuts, [list(order[at : at + size]) for at in range(0, len(order), size)]


async def another(town: Town, at: datetime) -> Worn:
    async with await world.connect(town.databases.admin_dsn) as admin:
        return await monitoring.wear(admin, town.world.own, at, f"holter-x{next(_names)}", "02")


@REAL
@given(deliveries())
async def test_any_order_with_repeats_stores_identical_bytes(
    town: Town, at: datetime, delivery: tuple[list[list[int]], list[list[int]]]
) -> None:
    cuts, batches = delivery
    worn, samples = await another(town, at), noise(LENGTH)
    packets = [packet for bounds in cuts for packet in cut(worn, at, samples, bounds)]
    for batch in batches:
        await send(town.engine, worn, [packets[number] for number in batch], at)
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, worn.recording_id), samples)
    assert await reasons(town) == []


@REAL
@given(deliveries(), st.integers(0, 2**32))
async def test_processes_that_remember_an_older_ledger_store_identical_bytes(
    town: Town, at: datetime, delivery: tuple[list[list[int]], list[list[int]]], turns: int
) -> None:
    """Two that both believe to own the shard, in turns and at once: what one remembers the other has changed."""
    cuts, batches = delivery
    worn, samples = await another(town, at), noise(LENGTH)
    packets = [one for bounds in cuts for one in cut(worn, at, samples, bounds)]
    pair = town.engine, Engine(town.databases.ingest)
    pieces = [packets[number] for batch in batches for number in batch]
    for place, piece in enumerate(pieces):
        await send(pair[turns >> place & 1], worn, [piece], at)
    await asyncio.gather(*(send(engine, worn, pieces, at) for engine in pair))
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, worn.recording_id), samples)
    async with await world.connect(town.databases.admin_dsn) as admin:
        row = await db.one(
            admin,
            "SELECT have::text AS have FROM recording_boot WHERE recording_id = %s",
            (worn.recording_id,),
        )
    assert row["have"] == f"{{[0,{LENGTH})}}"
    assert await reasons(town) == []


@REAL
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=12))
async def test_no_packet_reaches_a_recording_that_is_not_its_devices(
    town: Town, at: datetime, sent: list[tuple[int, int, int]]
) -> None:
    """(who sends, whose recording it names, which packet): only one's own is stored, the rest is kept aside."""
    pair = (await another(town, at), await another(town, at))
    signals = (noise(LENGTH, 1), noise(LENGTH, 2))
    bounds = (100, 200, 300, 400)
    own: dict[int, set[int]] = {0: set(), 1: set()}
    for sender, named, number in sent:
        packet = cut(pair[named], at, signals[named], bounds)[number]
        await send(town.engine, pair[sender], [packet], at)
        if sender == named:
            own[named].add(number)
    for index, worn in enumerate(pair):
        stored = await stored_samples(town.databases.admin_dsn, worn.recording_id)
        assert {first // 100 for first in stored} == own[index]
        assert all(
            np.array_equal(part, signals[index][:, first : first + 100]) for first, part in stored.items()
        )


async def rows(town: Town, query: str, *values: Any) -> list[dict[str, Any]]:
    async with await world.connect(town.databases.admin_dsn) as admin:
        return await (await admin.execute(query, values)).fetchall()  # type: ignore[call-overload,no-any-return]


async def reasons(town: Town) -> list[tuple[str, int]]:
    found = await rows(town, "SELECT reason, times FROM set_aside ORDER BY first_at, reason")
    return [(row["reason"], row["times"]) for row in found]


async def test_other_samples_of_stored_indices_are_set_aside_and_the_first_stay(
    town: Town, at: datetime
) -> None:
    first, second = noise(200, 1), noise(300, 2)
    await send(town.engine, town.worn, [waveform(town.worn, at, first)], at)
    await send(town.engine, town.worn, [waveform(town.worn, at, second)] * 2, at)
    stored = await stored_signal(town.databases.admin_dsn, town.worn.recording_id)
    assert np.array_equal(stored, np.concatenate([first, second[:, 200:]], axis=1))
    assert await reasons(town) == [("conflict", 2)]


async def test_the_ledger_accounts_for_every_sample(town: Town, at: datetime) -> None:
    """Two boots: one lost its middle, of the other the end is missing until it comes."""
    worn, samples = town.worn, noise(600)
    one, _, three = cut(worn, at, samples, (200, 400, 600))
    later = waveform(worn, at + timedelta(minutes=1), noise(100, 3), boot=2)
    await send(town.engine, worn, [one, replace(three, oldest=400), later], at)
    counts = {"counts": ((1, 600), (2, 150))}
    end = Event("e1", "end", at.timestamp(), recording=worn.recording_id.bytes, boot=2, **counts)
    await ingest(town.engine, [message(worn, "event", event.encode(end), at)], at)
    found = await rows(town, "SELECT status FROM recording WHERE id = %s", worn.recording_id)
    assert found[0]["status"] == "stopping"
    rest = waveform(worn, at + timedelta(minutes=1), noise(50, 4), first=100, boot=2)
    assert len(await rows(town, "SELECT FROM analyser_state")) == 1
    assert (await send(town.engine, worn, [rest], at)).ended == (worn.recording_id,)
    found = await rows(
        town, "SELECT boot, produced_samples, oldest_sample, have::text FROM recording_boot ORDER BY boot"
    )
    assert [tuple(row.values()) for row in found] == [
        (1, 600, 400, "{[0,200),[400,600)}"),
        (2, 150, 0, "{[0,150)}"),
    ]
    jobs = await rows(town, "SELECT kind FROM job WHERE kind = 'recording.ended'")
    assert len(jobs) == 1
    assert await rows(town, "SELECT FROM analyser_state") == []  # nobody takes it up any more


async def test_a_device_is_told_of_a_gap_at_once_and_of_progress_every_two_seconds(
    town: Town, at: datetime
) -> None:
    samples, acks = noise(900), town.engine.acknowledgements
    one, two, three = cut(town.worn, at, samples, (300, 600, 900))
    await send(town.engine, town.worn, [one], at)
    assert len(acks(100.0)) == 1
    await send(town.engine, town.worn, [three], at)
    assert len(acks(100.2)) == 1  # a gap
    await send(town.engine, town.worn, [two], at)
    assert acks(100.4) == []
    assert len(acks(102.3)) == 1
    for told_at_s in (
        math.inf,
        103.0,
    ):  # the last word to devices that leave is not the last to those that stay
        await send(town.engine, town.worn, [two], at)
        assert len(acks(told_at_s)) == 1


async def test_a_wrong_device_clock_does_not_make_days_without_end(town: Town, at: datetime) -> None:
    worn, samples = town.worn, noise(200)
    of_1970 = waveform(worn, at, samples[:, :100], device_time_s=12.0)
    far_ahead = waveform(worn, at, samples, first=250 * 86_400 * 100)
    await send(town.engine, worn, [of_1970, far_ahead], at)
    (row,) = await rows(town, "SELECT anchor_at FROM recording_boot")
    assert row["anchor_at"] == at
    assert await reasons(town) == [("bad-time", 1)]


def vital(at: datetime, value: float, device_name: str = "") -> Measurement:
    return Measurement("MDC_PULS_OXIM_SAT_O2", value, "%", at.timestamp(), device_name)


async def test_vitals_belong_to_whom_the_device_was_paired_with_then(town: Town, at: datetime) -> None:
    before, during = at - timedelta(minutes=5), at + timedelta(minutes=5)
    pack = senml.encode_cbor([vital(before, 90), vital(during, 97)])
    for _ in range(2):
        await ingest(town.engine, [message(town.worn, "vitals", pack, during)], during)
    found = await rows(town, "SELECT patient_id, value FROM vital")
    assert [tuple(row.values()) for row in found] == [(town.worn.patient_id, 97.0)]
    assert await reasons(town) == [("no-pairing", 2)]


async def test_another_value_of_the_same_time_is_set_aside(town: Town, at: datetime) -> None:
    for value in (97, 88, 97):
        await ingest(
            town.engine, [message(town.worn, "vitals", senml.encode_cbor([vital(at, value)]), at)], at
        )
    assert [row["value"] for row in await rows(town, "SELECT value FROM vital")] == [97.0]
    assert await reasons(town) == [("conflict", 1)]


async def test_an_event_is_kept_once(town: Town, at: datetime) -> None:
    pressed = Event("b1", "button", at.timestamp(), at.timestamp(), recording=town.worn.recording_id.bytes)
    for _ in range(2):
        await ingest(town.engine, [message(town.worn, "event", event.encode(pressed), at)], at)
    assert [row["kind"] for row in await rows(town, "SELECT kind FROM recording_event")] == ["button"]


async def test_a_message_that_breaks_the_hub_is_set_aside_and_the_others_are_stored(
    town: Town, at: datetime
) -> None:
    """A constraint nobody thought of stands for a bug: it costs that message only."""
    async with await world.connect(town.databases.admin_dsn) as admin:
        await admin.execute("ALTER TABLE recording_event ADD CHECK (kind <> 'sos')")
    sos = Event("s1", "sos", at.timestamp(), at.timestamp(), recording=town.worn.recording_id.bytes)
    messages = [
        message(town.worn, "event", event.encode(sos), at),
        message(town.worn, "event", event.encode(replace(sos, id="b1", kind="button")), at),
    ]
    batch, _ = await town.engine.take(messages, at, may_load=True)
    await town.engine.commit_singly(batch, at)
    assert [row["kind"] for row in await rows(town, "SELECT kind FROM recording_event")] == ["button"]
    assert await reasons(town) == [("hub-failure", 1)]


async def test_a_new_owner_of_the_shard_goes_on_where_the_old_one_stopped(town: Town, at: datetime) -> None:
    """Beats found by two engines one after the other are those of a single one."""
    worn = town.worn
    heart = Synthesiser(7, monitoring.FS_HZ, monitoring.LEADS, (Segment("sinus", 60.0, 70.0),))
    samples = heart.samples(0, 40 * monitoring.FS_HZ)
    packets = cut(worn, at, samples, range(250, 10_001, 250), uv_per_lsb=heart.uv_per_lsb)

    async def beats(engine: Engine, part: list[Any]) -> list[int]:
        found = []
        for one in part:
            await send(engine, worn, [one], at)
            for _, text in engine.seconds():
                found += json.loads(text)["beats"]
        return found

    first = Engine(town.databases.ingest)
    early = await beats(first, packets[:20])
    await first.commit(Sorted([]), at, leaving={town.worn.shard})
    late = await beats(Engine(town.databases.ingest), packets[20:])
    assert len(early + late) > 35
    assert np.all(np.diff(early + late) > 0.4 * monitoring.FS_HZ)


async def test_short_packets_say_what_long_ones_do_of_rate_and_quality(town: Town, at: datetime) -> None:
    """While somebody watches, packets are shorter than what the analyser decides at once."""
    heart = Synthesiser(7, monitoring.FS_HZ, monitoring.LEADS, (Segment("sinus", 60.0, 70.0),))
    samples, told = heart.samples(0, 10 * monitoring.FS_HZ), []
    for one in cut(town.worn, at, samples, range(40, 2_481, 40), uv_per_lsb=heart.uv_per_lsb):
        await town.engine.take([message(town.worn, "ecg", packet.encode(one), at)], at, may_load=True)
        told += [json.loads(text) for _, text in town.engine.seconds()]
    assert len(told) > 7
    for second in told[4:]:
        assert second["quality"] == ["good"] * 3 and 65 < second["rate_bpm"] < 75


async def test_nobodys_device_is_nobodys_data(town: Town, at: datetime) -> None:
    stranger = replace(town.worn, device_id="stranger", recording_id=uuid4())
    await send(town.engine, stranger, [waveform(stranger, at, noise(100))], at)
    assert await reasons(town) == [("unknown-device", 1)]
    async with town.databases.ingest.transaction(ACTOR, at) as conn:
        assert await db.rows(conn, "SELECT recording_id FROM ecg_packet") == []


async def test_a_process_that_lost_its_shard_replaces_no_newer_analyser(town: Town, at: datetime) -> None:
    """It hung while another went on; what it still has to save is old."""
    heart = Synthesiser(7, monitoring.FS_HZ, monitoring.LEADS, (Segment("sinus", 60.0, 70.0),))
    packets = cut(town.worn, at, heart.samples(0, 3_000), range(250, 3_001, 250), uv_per_lsb=heart.uv_per_lsb)
    hung, shard = Engine(town.databases.ingest), {town.worn.shard}
    await send(hung, town.worn, packets[:4], at)
    await hung.commit(Sorted([]), at, leaving=shard)
    await send(town.engine, town.worn, packets[4:], at)
    await town.engine.commit(Sorted([]), at, leaving=shard)
    (before,) = await rows(town, "SELECT next_sample, state FROM analyser_state")
    await hung.commit(Sorted([]), at + timedelta(minutes=5), leaving=shard)
    assert await rows(town, "SELECT next_sample, state FROM analyser_state") == [before]
    assert before["next_sample"] == 3_000
