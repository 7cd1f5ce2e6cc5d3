"""What devices send is stored once, exactly, whatever the order; and only where it belongs."""

from datetime import datetime

import numpy as np

from tests.ingest.conftest import Town
from tests.monitoring import cut, noise, send, stored_signal


async def test_packets_in_order_are_stored(town: Town, at: datetime) -> None:
    samples = noise(1000)
    stored = await send(town.engine, town.worn, cut(town.worn, at, samples, (250, 500, 1000)), at)
    assert stored.samples == 1000
    assert np.array_equal(await stored_signal(town.databases.admin_dsn, town.worn.recording_id), samples)
