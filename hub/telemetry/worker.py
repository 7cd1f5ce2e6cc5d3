"""Background work of telemetry: commands to devices, and recordings that end by time."""

import secrets
from typing import Any
from uuid import UUID

from hub.core import actor, broker, clock, mqtt
from hub.core.jobs import Context, Every, JobKind
from hub.core.settings import Settings
from hub.telemetry import closing, commands
from hub.telemetry.commands import Sending

ACTOR = actor.job(commands.JOB)
TIMER = actor.job("recordings.overdue")
TAKEN_WITHIN_S = 5.0
OVERDUE_EVERY_S = 2.0


async def send_command(context: Context, payload: dict[str, Any]) -> None:
    """`device.command`: send it, unless it has been obeyed; the next attempt is enqueued with it."""
    async with context.db.transaction(ACTOR, context.at) as conn:
        sending = await commands.next_sending(
            conn, context.at, UUID(payload["recording_id"]), payload["command"], payload["attempt"]
        )
    if sending is not None:
        await _publish(context.settings, sending)


async def _publish(settings: Settings, sending: Sending) -> None:
    """One message, QoS 1, not retained: the device's own session keeps it while the device is away."""
    session = await broker.open_session(settings, f"hub-command-{secrets.token_hex(8)}")
    try:
        session.publish(sending.topic, sending.payload, qos=1)
        session.flush()
        deadline_s = clock.monotonic_s() + TAKEN_WITHIN_S
        while session.unacknowledged and session.closed is None and clock.monotonic_s() < deadline_s:
            await mqtt.wait(session, 0.5)
            session.poll()
        if session.unacknowledged:
            raise ConnectionError(session.closed or "the broker did not take the command")
    finally:
        session.disconnect()


async def close_overdue(context: Context) -> None:
    """Recordings whose rest will not come, or has come while nobody was looking."""
    async with context.db.transaction(TIMER, context.at) as conn:
        await closing.close_overdue(conn, context.at)
        await closing.close_stopping(conn, context.at)


JOBS: dict[str, JobKind] = {commands.JOB: JobKind(send_command)}
EVERY: Every = {"recordings.overdue": (OVERDUE_EVERY_S, close_overdue)}
