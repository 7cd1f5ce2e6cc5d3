"""A file sent piece by piece arrives whole, however the line behaves; nothing is said to be received before it is."""

import asyncio
import hashlib
import random
from datetime import timedelta
from uuid import UUID

import pytest

from hub.core import disk
from hub.core.jobs import Context
from hub.core.settings import Settings
from hub.imaging.intake import uploads, worker
from tests import world
from tests.imaging.conftest import Clinic
from tests.imaging.tus import RESUMABLE, Sending

PIECE = 1 << 16


def some_bytes(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count)


async def state(clinic: Clinic) -> dict:
    answer = await clinic.doctor.json("GET", f"/api/uploads?request_id={clinic.request_id}")
    (upload,) = answer["uploads"]
    return upload


async def test_a_file_cut_ten_times_arrives_whole_and_little_is_sent_twice(clinic: Clinic) -> None:
    chance = random.Random(7)
    sending = Sending(clinic.doctor, some_bytes(20 * PIECE + 17))
    assert (await sending.create(clinic.request_id)).status == 201
    cuts, partial = 0, clinic.store.partial(UUID(sending.path.rpartition("/")[2]))
    while (offset := await sending.offset()) < len(sending.data):
        piece = sending.data[offset : offset + 4 * PIECE]
        if cuts < 10:
            after = chance.randrange(1, len(piece))
            await sending.cut(offset, piece, after, partial.size)
            cuts += 1
            await until(sending, offset + after)
        else:
            assert (await sending.send(offset, piece)).status == 204
    told = await state(clinic)
    assert told["state"] == "received" and told["offset_bytes"] == len(sending.data)
    assert clinic.store.path(hashlib.sha256(sending.data).hexdigest()).read_bytes() == sending.data
    assert sending.sent_bytes <= 1.02 * len(sending.data) + PIECE


async def until(sending: Sending, offset: int) -> None:
    """Wait until the hub has seen the cut: what came before it counts."""
    async with asyncio.timeout(10):
        while await sending.offset() < offset:  # noqa: ASYNC110 - the hub tells nobody
            await asyncio.sleep(0.01)


async def test_the_same_file_again_is_the_same_upload_and_costs_nothing(clinic: Clinic) -> None:
    data = some_bytes(3 * PIECE)
    first = Sending(clinic.doctor, data)
    place = await first.whole(clinic.request_id)
    again = Sending(clinic.doctor, data, name="other-name.xml")
    assert await again.whole(clinic.request_id) == place and again.sent_bytes == 0


async def test_a_damaged_piece_is_asked_for_again(clinic: Clinic) -> None:
    sending = Sending(clinic.doctor, some_bytes(PIECE))
    await sending.create(clinic.request_id)
    answer = await sending.send(0, b"\0" * PIECE, sum_of=sending.data)
    assert answer.status == 460 and await sending.offset() == 0
    assert (await sending.send(0, sending.data)).status == 204
    assert (await state(clinic))["state"] == "received"


async def test_another_file_than_announced_is_never_received(clinic: Clinic) -> None:
    sending = Sending(clinic.doctor, some_bytes(PIECE))
    await sending.create(clinic.request_id, sha256="a" * 64)
    answer = await sending.send(0, sending.data)
    assert answer.status == 460 and (await answer.json())["error"]["code"] == "upload_not_whole"
    assert await sending.offset() == 0 and (await state(clinic))["state"] == "receiving"


@pytest.mark.parametrize("offset", [1, PIECE, 2 * PIECE + 1])
async def test_a_piece_at_another_place_changes_nothing(clinic: Clinic, offset: int) -> None:
    sending = Sending(clinic.doctor, some_bytes(2 * PIECE))
    await sending.create(clinic.request_id)
    assert (await sending.send(offset, b"x")).status == 409
    assert await sending.offset() == 0


async def test_more_than_announced_is_refused(clinic: Clinic) -> None:
    sending = Sending(clinic.doctor, some_bytes(100))
    await sending.create(clinic.request_id)
    assert (await sending.send(0, sending.data + b"x")).status == 413
    assert await sending.offset() == 0


async def test_bytes_the_disk_lost_are_asked_for_again(clinic: Clinic) -> None:
    """As after a backup was restored: the database speaks of bytes that are not there."""
    sending = Sending(clinic.doctor, some_bytes(2 * PIECE))
    await sending.create(clinic.request_id)
    await sending.send(0, sending.data[:PIECE])
    for path in (clinic.data_dir / "files" / "partial").iterdir():
        path.unlink()
    assert await sending.offset() == 0
    await sending.whole(clinic.request_id)
    assert (await state(clinic))["state"] == "received"


async def test_who_does_not_care_for_the_patient_neither_sends_nor_sees(clinic: Clinic) -> None:
    foreign = clinic.served.as_(clinic.two.foreign, "township_doctor")
    sending = Sending(clinic.doctor, some_bytes(PIECE))
    await sending.create(clinic.request_id)
    theirs = Sending(foreign, sending.data)
    assert (await theirs.create(clinic.request_id)).status == 404
    theirs.path = sending.path
    assert (await theirs.call("HEAD", {})).status == 404
    assert (await theirs.send(0, sending.data)).status == 404
    assert (await theirs.call("DELETE", {})).status == 404
    await foreign.json("GET", f"/api/uploads?request_id={clinic.request_id}", status=404)


async def test_a_long_list_comes_in_pages_each_upload_once(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "LISTED", 3)
    for number in range(7):
        await Sending(clinic.doctor, some_bytes(100, number)).create(clinic.request_id)
    path, found, sizes = f"/api/uploads?request_id={clinic.request_id}", list[str](), list[int]()
    after = ""
    while True:
        page = await clinic.doctor.json("GET", path + after)
        found += [upload["sha256"] for upload in page["uploads"]]
        sizes.append(len(page["uploads"]))
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert sizes == [3, 3, 1]
    assert set(found) == {hashlib.sha256(some_bytes(100, number)).hexdigest() for number in range(7)}


async def test_one_nobody_goes_on_with_expires_and_may_begin_anew(clinic: Clinic) -> None:
    sending = Sending(clinic.doctor, some_bytes(2 * PIECE))
    await sending.create(clinic.request_id)
    await sending.send(0, sending.data[:PIECE])
    later = world.AT + timedelta(days=8)
    await worker.expire(
        Context(clinic.databases.app, clinic.store, Settings(data_dir=clinic.data_dir), later)
    )
    assert (await sending.call("HEAD", {})).status == 410
    assert not list((clinic.data_dir / "files" / "partial").iterdir())
    await sending.whole(clinic.request_id)
    assert (await state(clinic))["state"] == "received"


async def test_a_full_disk_is_told_and_nothing_begins(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = Sending(clinic.doctor, some_bytes(PIECE))
    await sending.create(clinic.request_id)
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 1 << 20)
    assert (await sending.send(0, sending.data)).status == 507 and await sending.offset() == 0
    assert (await Sending(clinic.doctor, b"x").create(clinic.request_id)).status == 507
    (request,) = await clinic.rows("SELECT accession FROM service_request")
    push = f"/api/ecg?accession={request['accession']}"
    assert (await clinic.doctor.call("POST", push, {})).status == 507
    monkeypatch.undo()
    assert (await sending.send(0, sending.data)).status == 204


async def test_what_the_server_can_is_told_to_anybody(clinic: Clinic) -> None:
    anybody = clinic.served.anybody()
    async with anybody.http.request("OPTIONS", anybody.base + "/api/uploads", headers=RESUMABLE) as answer:
        assert answer.status == 204 and "checksum" in answer.headers["Tus-Extension"]


async def test_bodies_that_never_come_disturb_nobody(clinic: Clinic) -> None:
    """Two gigabytes announced, not a byte sent, on twenty connections: another file goes through beside them."""
    sending = Sending(clinic.doctor, some_bytes(PIECE))
    await sending.create(clinic.request_id)
    host, port = clinic.served.base.removeprefix("http://").split(":")
    cookie = "".join(f"{name}: {value}\r\n" for name, value in clinic.doctor.headers.items())
    idle = []
    for _ in range(20):
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /api/ecg?accession=T1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: {2 << 30}\r\n{cookie}\r\n"
        writer.write(head.encode())
        idle.append(writer)
    await sending.whole(clinic.request_id)
    assert (await state(clinic))["state"] == "received"
    for writer in idle:
        writer.close()
