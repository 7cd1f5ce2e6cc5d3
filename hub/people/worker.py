"""Background work of people: the sealer of the audit."""

from hub.core import actor, jobs
from hub.people import audit

SEALER = actor.job("audit.seal")


async def seal_audit(context: jobs.Context) -> None:
    """Seal everything that is not, a bounded part per transaction."""
    while True:
        async with context.db.transaction(SEALER, context.at) as conn:
            if await audit.seal(conn, context.at) < audit.ROWS_PER_SEAL:
                return


EVERY: jobs.Every = {"audit.seal": (audit.SEAL_EVERY_S, seal_audit)}
JOBS: dict[str, jobs.JobKind] = {}
