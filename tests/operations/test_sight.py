"""What the watchers are told of the devices."""

from datetime import datetime, timedelta

from hub.core import actor
from hub.operations import sight
from tests import monitoring, world
from tests.parts import Databases
from tests.world import Admin

JOB = actor.job("test")


async def test_only_a_device_that_somebody_wears_is_missed(database: Databases, at: datetime) -> None:
    """Free ones that were switched on are quiet, and are switched off again: nobody need look for them."""
    tenant = (await world.build(database.admin_dsn)).own
    minute_ago = at - timedelta(minutes=1)
    async with await world.connect(database.admin_dsn) as admin:
        for name, worn, connected, seen_at in (
            ("heard", True, True, at), ("quiet", True, True, minute_ago), ("gone", True, False, at),
            ("free-quiet", False, True, minute_ago), ("free-off", False, False, at),
        ):  # fmt: skip
            device = await monitoring.wear(admin, tenant, at - timedelta(hours=1), name)
            await admin.execute(
                "INSERT INTO device_state (device_id, connected, last_seen_at) VALUES (%s, %s, %s)",
                (name, connected, seen_at),
            )
            if not worn:
                await _given_back(admin, device, at)
    async with database.app.transaction(JOB, at) as conn:
        stored = await sight.read_stored(conn, at)
    assert (stored.devices, stored.devices_heard, stored.devices_silent) == (5, 5, 2)


async def _given_back(admin: Admin, device: monitoring.Worn, at: datetime) -> None:
    await admin.execute(
        "UPDATE device_pairing SET during = tstzrange(lower(during), %s) WHERE patient_id = %s",
        (at, device.patient_id),
    )
