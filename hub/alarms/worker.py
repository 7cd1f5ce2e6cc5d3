"""Background work of alarms: the silences that begin and end."""

from hub.alarms import silence
from hub.core.jobs import Context, Every, JobKind

SILENCE_EVERY_S = 2.0


async def watch_silence(context: Context) -> None:
    async with context.db.transaction(silence.ACTOR, context.at) as conn:
        await silence.end_no_data(conn, context.at)
        await silence.end_with_recordings(conn, context.at)
        await silence.raise_no_data(conn, context.at)


JOBS: dict[str, JobKind] = {}
EVERY: Every = {"alarms.no-data": (SILENCE_EVERY_S, watch_silence)}
