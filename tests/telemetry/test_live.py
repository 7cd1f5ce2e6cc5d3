"""Live pages over real sockets: what the device sends is what the page gets, while it may."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from numpy.typing import NDArray

from devices import control, packet, senml
from devices.senml import Measurement
from ecg.synthetic import Segment, Synthesiser
from hub.core import actor
from hub.ingest.worker import Worker
from hub.people import grants
from tests import world
from tests.ingest.conftest import Town
from tests.ingest.devices import Device, connected
from tests.ingest.test_from_the_broker import committed, database_away, until
from tests.monitoring import FS_HZ, LEADS, cut, noise, stored_signal
from tests.parts import Broker
from tests.serving import Serving
from tests.telemetry.conftest import Now


@dataclass
class Page:
    """A page that keeps everything it is told."""

    ws: ClientWebSocketResponse
    acknowledges: bool = True
    said: list[dict[str, Any]] = field(default_factory=list)
    frames: list[tuple[int, NDArray[np.int16]]] = field(default_factory=list)

    async def read(self) -> None:
        async for message in self.ws:
            if message.type == WSMsgType.TEXT:
                self.said.append(json.loads(message.data))
                continue
            _, leads, count, _, first = struct.unpack_from("<BBHfQ", message.data)
            self.frames.append((first, np.frombuffer(message.data, "<i2", offset=16).reshape(leads, count)))
            if self.acknowledges:
                await self.acknowledge()

    async def acknowledge(self) -> None:
        first, samples = self.frames[-1]
        await self.ws.send_json({"type": "ack", "sample": first + samples.shape[1]})

    def words(self, kind: str) -> list[dict[str, Any]]:
        return [word for word in self.said if word["type"] == kind]

    @property
    def signal(self) -> NDArray[np.int16]:
        return np.concatenate([samples for _, samples in self.frames], axis=1)

    @property
    def samples(self) -> int:
        return sum(samples.shape[1] for _, samples in self.frames)


OpenPage = Callable[..., Any]


@pytest.fixture
async def open_page(town: Town, pages: Serving) -> AsyncIterator[OpenPage]:
    """Somebody opens the live page of the first patient, and has been greeted."""
    readers = []

    async def open_as(role: str, path: str | None = None, acknowledges: bool = True) -> Page:
        ws = await pages.as_(town.world.own, role).socket(
            path or f"/api/recordings/{town.worn.recording_id}/live"
        )
        page = Page(ws, acknowledges)
        readers.append(asyncio.create_task(page.read()))
        await until(lambda: page.said)
        return page

    yield open_as
    for reader in readers:
        reader.cancel()


@pytest.fixture
def device(town: Town, broker: Broker, ingesting: Worker) -> Any:
    with connected(broker, town.worn) as connection:
        yield connection


async def play(
    town: Town, device: Device, at: datetime, samples: NDArray[np.int16], step: int = 50, **kind: Any
) -> None:
    bounds = range(step, samples.shape[1] + 1, step)
    for one in cut(town.worn, at, samples, bounds, **kind):
        await device.publish(f"{town.worn.topic}/ecg", packet.encode(one))


async def test_a_page_gets_the_very_samples_that_are_stored(
    town: Town, device: Device, open_page: OpenPage, now: Now
) -> None:
    page, samples = await open_page("township_doctor"), noise(1_000)
    assert page.words("hello")[0]["recording"]["id"] == str(town.worn.recording_id)
    await play(town, device, now(), samples)
    await until(lambda: page.samples == 1_000)
    assert np.array_equal(page.signal, samples)
    await until(lambda: committed(device) == 1_000)
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, town.worn.recording_id), samples)


async def test_watching_asks_the_device_for_short_packets(
    town: Town, device: Device, open_page: OpenPage
) -> None:
    await open_page("township_doctor")
    await until(lambda: any(topic.startswith("cmd/") for topic, _ in device.heard))
    command = control.decode_command(next(p for topic, p in device.heard if topic.startswith("cmd/")))
    assert (command.kind, command.packet_ms) == ("watch", 200)


async def test_a_page_that_stops_acknowledging_is_held_and_then_taken_to_the_newest(
    town: Town, device: Device, open_page: OpenPage, now: Now
) -> None:
    page, samples = await open_page("township_doctor", acknowledges=False), noise(8 * FS_HZ)
    await play(town, device, now(), samples, 250)
    await until(lambda: page.words("status") and page.words("status")[-1]["ledger"]["stored"] == 8 * FS_HZ)
    assert page.samples <= 3 * FS_HZ
    await page.acknowledge()
    await until(lambda: page.words("skipped") and page.frames[-1][0] > 7 * FS_HZ - 1)
    skipped = page.words("skipped")[0]
    assert page.samples + skipped["to_sample"] - skipped["from_sample"] == 8 * FS_HZ


async def test_results_findings_and_alarms_come_with_the_signal(
    town: Town, device: Device, open_page: OpenPage, now: Now
) -> None:
    """Sinus rhythm that stops: beats are told, then asystole, as a high alarm."""
    page = await open_page("township_doctor")
    heart = Synthesiser(1, FS_HZ, LEADS, (Segment("sinus", 20.0, 75.0),))
    samples = np.concatenate([heart.samples(0, 15 * FS_HZ), np.zeros((3, 8 * FS_HZ), np.int16)], axis=1)
    beating, still = 15, 8  # seconds, each its own packet; what is told between them comes from the beats
    packets = cut(
        town.worn, now(), samples, range(FS_HZ, samples.shape[1] + 1, FS_HZ), uv_per_lsb=heart.uv_per_lsb
    )
    assert len(packets) == beating + still
    for one in packets[:beating]:
        await device.publish(f"{town.worn.topic}/ecg", packet.encode(one))
    await until(lambda: any(word["rate_bpm"] for word in page.words("second")), 30)
    for one in packets[beating:]:
        await device.publish(f"{town.worn.topic}/ecg", packet.encode(one))
    await until(lambda: page.words("alarm"), 30)
    assert page.words("alarm")[0]["alarm"]["priority"] == "high"
    assert {word["finding"]["rule"] for word in page.words("finding")} >= {"asystole"}
    beats = [beat for word in page.words("second") for beat in word["beats"]]
    assert len(beats) > 12
    assert max(word["rate_bpm"] or 0 for word in page.words("second")) == pytest.approx(75, abs=8)


async def test_vitals_come_to_the_page_of_their_patient(
    town: Town, device: Device, open_page: OpenPage, now: Now
) -> None:
    page = await open_page("township_doctor")
    pack = senml.encode_cbor([Measurement("MDC_PULS_OXIM_SAT_O2", 96, "%", now().timestamp())])
    await device.publish(f"{town.worn.topic}/vitals", pack)
    await until(lambda: page.words("vitals"))
    assert page.words("vitals")[0]["vitals"][0]["value"] == 96


async def test_a_page_closes_when_its_right_is_taken_back(
    town: Town, open_page: OpenPage, ingesting: Worker, at: datetime
) -> None:
    consent = uuid4()
    async with await world.connect(town.databases.admin_dsn) as admin:
        await world.insert(
            admin, "access_grant", id=uuid4(), account_id=town.world.own.accounts["family_member"],
            action="patient.read", object_kind="patient", object_id=town.worn.patient_id, reason="consent",
            source_kind="consent", source_id=consent, valid_from=at,
        )  # fmt: skip
    page = await open_page("family_member")
    async with town.databases.app.transaction(actor.job("test"), at) as conn:
        await grants.revoke(conn, at, "consent", consent)
    await until(lambda: page.ws.closed, 2)
    assert page.ws.close_code == 4403


async def test_the_board_shows_who_is_recorded_and_how_old_that_is(
    town: Town, device: Device, open_page: OpenPage, now: Now
) -> None:
    heart = Synthesiser(1, FS_HZ, LEADS, (Segment("sinus", 20.0, 75.0),))
    board = await open_page("township_doctor", "/api/board")
    await play(town, device, now(), heart.samples(0, 12 * FS_HZ), 250, uv_per_lsb=heart.uv_per_lsb)

    def shown() -> dict[str, Any]:
        return next((row for row in board.said[-1]["patients"] if row["rate_bpm"]), {})

    await until(lambda: shown() and shown()["connected"])
    assert shown()["recording_id"] == str(town.worn.recording_id)
    assert shown()["age_s"] < 30


async def test_a_foreign_doctor_opens_no_page(town: Town, pages: Serving) -> None:
    client = pages.as_(town.world.foreign, "township_doctor")
    await client.json("GET", f"/api/recordings/{town.worn.recording_id}/live", status=404)


async def test_with_the_database_away_alarms_come_from_memory_and_are_the_same_once_stored(
    town: Town, device: Device, open_page: OpenPage, now: Now
) -> None:
    """The heart stops while nothing can be stored: the page is told at once, and later of no second alarm."""
    page, board = await open_page("township_doctor"), await open_page("township_doctor", "/api/board")
    heart = Synthesiser(1, FS_HZ, LEADS, (Segment("sinus", 20.0, 75.0),))
    samples = np.concatenate([heart.samples(0, 15 * FS_HZ), np.zeros((3, 8 * FS_HZ), np.int16)], axis=1)
    bounds = range(FS_HZ, samples.shape[1] + 1, FS_HZ)
    packets = [
        packet.encode(one) for one in cut(town.worn, now(), samples, bounds, uv_per_lsb=heart.uv_per_lsb)
    ]
    for one in packets[:15]:
        await device.publish(f"{town.worn.topic}/ecg", one)
    await until(lambda: committed(device) == 15 * FS_HZ)
    await until(lambda: board.said[-1]["patients"])
    async with database_away(town):
        for one in packets[15:]:
            await device.publish(f"{town.worn.topic}/ecg", one)
        await until(lambda: any(word["alarms"] for word in page.words("unstored")))
        await until(lambda: page.words("storing") and page.words("storing")[-1]["state"] == "away")
        (told,) = page.words("unstored")[-1]["alarms"]
        assert (told["rule"], told["priority"], told["stored"]) == ("asystole", "high", False)
        await until(lambda: board.said[-1]["patients"][0]["open_alarms"])
        (brief,) = board.said[-1]["patients"][0]["open_alarms"]
        assert (brief["id"], brief["stored"]) == (told["id"], False)
        assert board.said[-1]["storing"]["state"] == "away"
    # Told one by one, or all anew if the server's own listening was not back yet.
    await until(lambda: page.words("alarm") or any(word["alarms"] for word in page.words("alarms")), 30)
    told_one = [word["alarm"] for word in page.words("alarm")]
    stored = [*told_one, *(one for word in page.words("alarms") for one in word["alarms"])][0]
    assert (stored["id"], stored["onset_at"], stored["late"]) == (told["id"], told["onset_at"], False)
    await until(lambda: page.words("unstored")[-1]["alarms"] == [])
    await until(lambda: page.words("storing")[-1]["state"] == "ok", 30)
    await until(lambda: [one["id"] for one in board.said[-1]["patients"][0]["open_alarms"]] == [stored["id"]])
    async with await world.connect(town.databases.admin_dsn) as admin:
        rows = await (await admin.execute("SELECT id FROM alarm")).fetchall()
    assert [str(row["id"]) for row in rows] == [told["id"]]


async def test_a_board_goes_on_while_the_database_hangs(
    town: Town, ingesting: Worker, open_page: OpenPage
) -> None:
    board = await open_page("township_doctor", "/api/board")
    async with await world.connect(town.databases.admin_dsn) as admin:
        await admin.execute("BEGIN")
        await admin.execute("LOCK TABLE patient IN ACCESS EXCLUSIVE MODE")
        heard = len(board.said)
        await until(lambda: len(board.said) > heard + 5)
        await admin.execute("ROLLBACK")
