"""Metadata of a study over the web, however many there are."""

import json
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from aiohttp import ClientPayloadError

from hub.imaging.dicomweb import wado
from hub.imaging.index import indexing, retrieving
from tests import world
from tests.imaging import senders
from tests.imaging.conftest import Clinic
from tests.imaging.test_images import STUDY, a_slice, prepared, received

URL = f"/dicom-web/studies/{STUDY}/metadata"


async def metadata(clinic: Clinic, encoding: str = "identity") -> tuple[str | None, list[Any]]:
    """How the body was sent, and what it says."""
    async with await clinic.doctor.call("GET", URL, headers={"Accept-Encoding": encoding}) as answer:
        assert answer.status == 200
        return answer.headers.get("Transfer-Encoding"), json.loads(await answer.read())


async def test_what_is_too_much_to_be_held_goes_out_as_it_is_read(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not made ready, nor tried again; and of no size that could be told before."""
    await received(clinic, *(senders.as_file(a_slice(n, 5.0 * n)) for n in range(3)))
    await prepared(clinic)
    how, before = await metadata(clinic)
    assert how is None and len(before) == 3
    async with await world.connect(clinic.two.admin_dsn) as admin:
        await admin.execute("UPDATE dicom_study SET is_open = false")
    monkeypatch.setattr(retrieving, "PACKED_CHARS_MAX", 1_000)
    await indexing.pack(clinic.context())
    assert await clinic.rows("SELECT is_packed FROM dicom_series") == [{"is_packed": True}]
    assert await clinic.rows("SELECT FROM dicom_series_metadata") == []
    assert await metadata(clinic) == (None, before)
    monkeypatch.setattr(wado, "HELD_BYTES_MAX", 0)
    for encoding in ("identity", "gzip"):
        assert await metadata(clinic, encoding) == ("chunked", before)


async def test_half_of_a_list_does_not_look_like_the_whole(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it has begun, a failure can only be told by cutting the line."""

    async def broken(*_: Any) -> AsyncIterator[bytes]:
        yield b"[{}"
        raise psycopg.OperationalError("the server went away")

    await received(clinic, senders.as_file(a_slice(1, 0.0)))
    monkeypatch.setattr(retrieving, "bodies", broken)
    monkeypatch.setattr(wado, "HELD_BYTES_MAX", 0)
    with pytest.raises(ClientPayloadError):
        await metadata(clinic)
