"""What the tick knows of devices and recordings, while some of it changes under its hands."""

from datetime import datetime

from devices.packet import encode
from hub.ingest import tick
from hub.ingest.bindings import Recording
from hub.ingest.decoding import decode
from tests.ingest.conftest import Town
from tests.monitoring import message, noise, send, waveform


async def test_what_has_changed_is_asked_again_and_never_looks_unknown(town: Town, at: datetime) -> None:
    """A NOTIFY comes between loading and sorting out, whenever it likes: an `end` set aside then would be lost."""
    worn, bindings = town.worn, town.engine.bindings
    packet = waveform(worn, at, noise(250))
    await send(town.engine, worn, [packet], at)
    for changed in ((worn.device_id, worn.recording_id), (None, worn.recording_id), (None, None)):
        town.engine.forget_changed(*changed)
        item = decode(message(worn, "ecg", encode(packet), at), bindings.devices)
        batch = tick.sort_out([item], bindings, lambda _: 0.0)
        assert (len(batch.arrivals), batch.refused) == (1, [])
        assert bindings.missing_devices([worn.device_id], at.timestamp()) == {worn.device_id}
        assert bindings.missing_recordings([packet.recording]) == {packet.recording}
        await send(town.engine, worn, [packet], at)
        assert bindings.missing_devices([worn.device_id], at.timestamp()) == set()
        assert isinstance(bindings.recordings[packet.recording], Recording)
