"""Background work of telemetry: commands to devices, recordings that end by time, packets that become blocks."""

import secrets
from typing import Any
from uuid import UUID

from devices import control
from devices.control import Command
from hub.core import actor, broker, clock, mqtt
from hub.core.jobs import Context, Every, JobKind
from hub.core.settings import Settings
from hub.telemetry import closing, commands, compaction, device_list, devices, metrics, vitals
from hub.telemetry.commands import Sending

ACTOR = actor.job(commands.JOB)
ASKER = actor.job(devices.ASK_JOB)
TIMER = actor.job("recordings.overdue")
TAKEN_WITHIN_S = 5.0
OVERDUE_EVERY_S = 2.0
COMPACTOR = actor.job(compaction.JOB)
COMPACT_EVERY_S = 30.0
LEDGER_EVERY_S = 10.0
PACKER = actor.job("vitals.pack")
PACK_EVERY_S = 600.0
FORGETTER = actor.job("vitals.told")
TOLD_EVERY_S = 3600.0


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


async def ask_again(context: Context, payload: dict[str, Any]) -> None:
    """`device.ask`: what the running recording of a device lacks, a command for each boot."""
    async with context.db.transaction(ASKER, context.at) as conn:
        owed = await device_list.missing(conn, payload["device_id"])
    for one in owed:
        command = Command(
            f"ask.{secrets.token_hex(8)}", "ask", (context.at + commands.EXPIRES_AFTER).timestamp(),
            recording=one.recording_id.bytes, boot=one.boot, ranges=one.ranges, sent_at_s=context.at.timestamp(),
        )  # fmt: skip
        await _publish(context.settings, Sending(one.topic, control.encode_command(command)))


async def close_overdue(context: Context) -> None:
    """Recordings whose rest will not come, or has come while nobody was looking."""
    async with context.db.transaction(TIMER, context.at) as conn:
        await closing.close_overdue(conn, context.at)
        await closing.close_stopping(conn, context.at)


async def compact(context: Context, payload: dict[str, Any]) -> None:
    """`telemetry.compact`: the old packets of a recording, a transaction at a time."""
    recording_id = UUID(payload["recording_id"])
    async with context.db.transaction(COMPACTOR, context.at) as conn:
        boots = await compaction.boots_of(conn, recording_id)
    for boot in boots:
        position: int | None = 0
        while position is not None:
            async with context.db.transaction(COMPACTOR, context.at) as conn:
                position = await compaction.compact_next(conn, context.at, recording_id, boot, position)


async def enqueue_compaction(context: Context) -> None:
    """Recordings with packets to be compacted, and what all blocks take by now."""
    async with context.db.transaction(COMPACTOR, context.at) as conn:
        metrics.WAITING.set(await compaction.enqueue_due(conn, context.at))
        await metrics.count_stored(conn)


async def forget_days(context: Context) -> None:
    """Days whose packets are all in blocks need no partition."""
    async with context.db.transaction(COMPACTOR, context.at) as conn:
        await compaction.forget_days(conn, context.at)


async def forget_told(context: Context) -> None:
    """What values without a time of their own were given, once nobody sends them again."""
    async with context.db.transaction(FORGETTER, context.at) as conn:
        await vitals.forget_told(conn, context.at)


async def pack_vitals(context: Context) -> None:
    """Where TimescaleDB keeps them: compress the oldest that no late value can fall among."""
    async with context.db.transaction(PACKER, context.at) as conn:
        await vitals.pack_vitals(conn, context.at)


async def count_ledger(context: Context) -> None:
    """What became of every sample, as a metric."""
    async with context.db.transaction(TIMER, context.at) as conn:
        await metrics.count_ledger(conn)


JOBS: dict[str, JobKind] = {
    devices.ASK_JOB: JobKind(ask_again),
    commands.JOB: JobKind(send_command),
    compaction.JOB: JobKind(compact, timeout_s=3600.0),
}
EVERY: Every = {
    "recordings.overdue": (OVERDUE_EVERY_S, close_overdue),
    compaction.JOB: (COMPACT_EVERY_S, enqueue_compaction),
    "packets.forget-days": (PACK_EVERY_S, forget_days),
    "vitals.pack": (PACK_EVERY_S, pack_vitals),
    "vitals.told": (TOLD_EVERY_S, forget_told),
    "telemetry.ledger": (LEDGER_EVERY_S, count_ledger),
}
