"""Files made ahead: each is taken once, whoever makes it, and a full disk is told to who wants a file."""

import asyncio
from pathlib import Path

import pytest

from hub.core.incoming import Incoming
from hub.core.store import Store
from hub.imaging.dimse.spares import READY, Spares


async def test_every_file_is_new_and_what_nobody_took_goes(tmp_path: Path) -> None:
    store, is_full = Store(tmp_path), False

    def make() -> Incoming:
        if is_full:
            raise OSError(28, "no room")
        return store.incoming()

    spares = Spares(make)
    taken = []
    for number in range(5 * READY):
        taken.append(spares.take())
        if number % 3 == 0:
            await asyncio.sleep(0.005)  # sometimes it keeps up, sometimes not
    assert len({file.path for file in taken}) == len(taken)
    is_full = True
    await asyncio.sleep(0.05)
    with pytest.raises(OSError, match="no room"):
        while True:  # until none is left
            taken.append(spares.take())
    await asyncio.sleep(0.05)
    is_full = False
    taken.append(spares.take())
    assert len({file.path for file in taken}) == len(taken)
    await spares.aclose()
    assert set((tmp_path / "incoming").iterdir()) == {file.path for file in taken}
    for file in taken:
        file.close()
