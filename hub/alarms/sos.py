"""The patient's own alarm: the SOS key of a device. High, and it latches until somebody resolves it."""

from datetime import UTC, datetime, timedelta
from typing import Final

from devices.event import Event
from hub.alarms.raising import LATE_AFTER, Cause, OfPatient, raise_alarm
from hub.core.actor import Actor
from hub.core.db import Connection

SOS: Final = "sos"


def source_key(device_id: str, event: Event) -> str:
    """The name of one press, however often the device tells of it."""
    return f"{SOS}:{device_id}:{event.id}"


def cause_of(device_id: str, event: Event, received_s: float) -> Cause:
    """The alarm of one press; its age is by the device's own clock."""
    age = timedelta(seconds=max(0.0, (event.sent_time_s or event.device_time_s) - event.device_time_s))
    pressed_at = datetime.fromtimestamp(received_s, UTC) - age
    key = source_key(device_id, event)
    return Cause(key, SOS, "physiological", "high", pressed_at, {}, late=age > LATE_AFTER)


async def raise_sos(
    conn: Connection,
    actor: Actor,
    at: datetime,
    recording: OfPatient,
    device_id: str,
    event: Event,
    received_s: float,
) -> None:
    """Raise it, unless it was raised before."""
    await raise_alarm(conn, actor, at, recording, cause_of(device_id, event, received_s))
