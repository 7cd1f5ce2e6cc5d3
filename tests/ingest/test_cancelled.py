"""Stopped at the signal check: what a virtual Holter still holds is stored and acknowledged, and nobody reads it."""

from tests import monitoring, world
from tests.ingest import holters
from tests.ingest.conftest import Town
from tests.ingest.holters import now
from tests.ingest.test_from_the_broker import until
from tests.parts import Broker


async def test_a_cancelled_recording_empties_the_device_and_makes_no_study(
    town: Town, broker: Broker
) -> None:
    """The line breaks all the time, so that much is still on the device when the desk cancels."""
    databases, worn = town.databases, town.worn
    async with (
        monitoring.ingesting(broker.settings, databases.ingest, now),
        holters.ward(databases, broker, [worn], flap_s=(0.8, 0.6)) as ward,
    ):
        await ward.each(ward.start)

        async def recording() -> bool:
            return ward.produced()[0] >= 3 * 250 and (await ward.status(worn.recording_id))[0] == "recording"

        await until(recording, 40)
        await ward.each(ward.cancel)
        await until(ward.are_drained, 40)
    await ward.assert_all_stored()
    assert await ward.status(worn.recording_id) == ("discarded", "cancelled")
    async with await world.connect(databases.admin_dsn) as admin:
        told = await (await admin.execute("SELECT FROM job WHERE kind = 'recording.ended'")).fetchall()
    assert told == []
