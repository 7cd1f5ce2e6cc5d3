"""The seal chain: whatever is done to the audit afterwards, `verify` says where."""

from datetime import timedelta

import pytest

from hub.core.actor import job
from hub.people import audit
from tests import world
from tests.parts import Databases

SEALER = job("audit.seal")
LATER = world.AT + timedelta(minutes=5)


async def _record(database: Databases, count: int) -> None:
    async with database.app.transaction(SEALER, world.AT) as conn:
        for number in range(count):
            await audit.record(conn, SEALER, world.AT, "test.act", "thing", str(number), number=number)


async def _seal(database: Databases) -> int:
    async with database.app.transaction(SEALER, world.AT) as conn:
        return await audit.seal(conn, world.AT)


async def _verify(database: Databases) -> str | None:
    async with database.app.transaction(SEALER, LATER) as conn:
        return await audit.verify(conn, LATER)


@pytest.fixture
async def sealed(database: Databases) -> Databases:
    """Three seals over three rows each."""
    for _ in range(3):
        await _record(database, 3)
        assert await _seal(database) == 3
    return database


async def test_an_untouched_audit_is_whole(sealed: Databases) -> None:
    assert await _verify(sealed) is None
    assert await _seal(sealed) == 0


async def test_a_row_that_commits_late_is_sealed_all_the_same(database: Databases) -> None:
    async with database.app.transaction(SEALER, world.AT) as slow:
        await audit.record(slow, SEALER, world.AT, "test.slow", "thing", "late")
        await _record(database, 2)  # higher ids, committed and sealed before
        assert await _seal(database) == 2
    assert await _seal(database) == 1
    assert await _verify(database) is None


FORGERIES = [
    ("UPDATE audit SET actor_id = 'somebody else' WHERE id = 5", "seal 2"),
    ("UPDATE audit SET detail = '{\"number\": 99}' WHERE id = 5", "seal 2"),
    ("DELETE FROM audit_sealed WHERE audit_id = 5; DELETE FROM audit WHERE id = 5", "seal 2"),
    ("DELETE FROM audit_seal WHERE sequence = 2", "seal 2"),
    ("UPDATE audit_seal SET sha256 = repeat('0', 64) WHERE sequence = 1", "seal 1"),
    ("UPDATE audit_seal SET audit_ids = '{4,5}' WHERE sequence = 2", "seal 2"),
    (
        "INSERT INTO audit (at, actor_kind, actor_id, action, object_kind, object_id)"
        " VALUES ('2026-03-02 07:00Z', 'person', 'x', 'forged', 'thing', '1')",
        "row 10",
    ),
]


async def test_each_forgery_is_found_where_it_is(sealed: Databases) -> None:
    async with await world.connect(sealed.admin_dsn) as admin:
        for forgery, found in FORGERIES:
            async with admin.transaction(force_rollback=True):
                for statement in forgery.split("; "):
                    await admin.execute(statement)  # type: ignore[call-overload]
                broken = await audit.verify(admin, LATER)
            assert broken is not None and broken.startswith(found), (forgery, broken)
    assert await _verify(sealed) is None
