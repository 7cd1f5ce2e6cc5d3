"""The resident child: as confined as the sandbox, and there again after whatever ended it."""

import asyncio

import pytest

from hub.core.resident import Resident
from hub.core.sandbox import SandboxFailed


async def test_it_stays_until_it_dies_hangs_or_has_served_its_share() -> None:
    async with Resident("tests.core.sandboxed:obey", 300, timeout_s=1.0, calls=4) as child:
        first = await child.call(b"pid")
        assert await child.call(b"pid") == first
        for order, reason in (
            (b"refuse", "refused"),
            (b"devour", "refused"),
            (b"loop", "timeout"),
            (b"die", "crashed"),
        ):
            with pytest.raises(SandboxFailed) as caught:
                await child.call(order)
            assert caught.value.reason == reason, order
        seen = [await child.call(b"pid") for _ in range(6)]
        assert seen[0] == seen[3] != seen[4] and first not in seen


async def test_calls_come_back_to_who_asked_and_one_that_left_disturbs_nobody() -> None:
    async with Resident("tests.core.sandboxed:reverse", 300, timeout_s=5.0) as child:
        words = [f"word {number}".encode() * (1 + 5_000 * (number % 3)) for number in range(20)]
        assert await asyncio.gather(*map(child.call, words)) == [word[::-1] for word in words]
        leaving = asyncio.create_task(child.call(words[2]))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await child.call(b"next") == b"txen"


async def test_one_that_leaves_while_it_begins_disturbs_nobody() -> None:
    async with Resident("tests.core.sandboxed:reverse", 300, timeout_s=5.0) as child:
        leaving = asyncio.create_task(child.call(b"first"))
        while child._child is None:  # noqa: ASYNC110  # it tells nobody that it has begun
            await asyncio.sleep(0.001)
        leaving.cancel()
        assert await asyncio.gather(*map(child.call, (b"next", b"last"))) == [b"txen", b"tsal"]


async def test_it_can_begin_before_it_is_called() -> None:
    async with Resident("tests.core.sandboxed:reverse", 300, timeout_s=5.0) as child:
        child.warm()
        child.warm()
        assert await child.call(b"ab") == b"ba"
    other = Resident("tests.core.sandboxed:reverse", 300, timeout_s=5.0)
    other.warm()
    await other.close()


async def test_it_reaches_nothing() -> None:
    async with Resident("tests.core.sandboxed:obey", 300, timeout_s=5.0) as child:
        assert await child.call(b"escape /nowhere") == b""
