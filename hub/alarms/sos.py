"""The patient's own alarm: the SOS key of a device. High, and it latches until somebody resolves it."""

from datetime import UTC, datetime, timedelta
from typing import Final

from devices.event import Event
from hub.alarms.raising import LATE_AFTER, Cause, OfPatient, raise_alarm
from hub.core.actor import Actor
from hub.core.db import Connection

SOS: Final = "sos"


async def raise_sos(
    conn: Connection,
    actor: Actor,
    at: datetime,
    recording: OfPatient,
    device_id: str,
    event: Event,
    received_s: float,
) -> None:
    """One alarm for each press, however often the device tells of it; its age is by the device's own clock."""
    age = timedelta(seconds=max(0.0, (event.sent_time_s or event.device_time_s) - event.device_time_s))
    pressed_at = datetime.fromtimestamp(received_s, UTC) - age
    cause = Cause(
        f"{SOS}:{device_id}:{event.id}", SOS, "physiological", "high", pressed_at, {}, late=age > LATE_AFTER
    )
    await raise_alarm(conn, actor, at, recording, cause)
