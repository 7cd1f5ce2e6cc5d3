"""Who may look at which study, as it was decided within the last second: a viewer asks for hundreds of pieces of one.

As with open streams, a right that ends is noticed within a second; the row-level policies notice it at once.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from hub.core import clock
from hub.core.actor import Actor
from hub.core.db import Database, Row
from hub.people import access

HOLDS_S: Final = 1.0
KEPT_MAX: Final = 10_000


class Looks:
    """What was decided, and until when it holds."""

    def __init__(self, now_s: Callable[[], float] = clock.monotonic_s) -> None:
        self._now_s = now_s
        self._until_s: dict[tuple[Actor, str, UUID, UUID | None], float] = {}

    async def require(self, database: Database, actor: Actor, at: datetime, action: str, row: Row) -> None:
        """Raise unless the actor may do this with the row's study (`study_id`, `patient_id`, `organisation_id`)."""
        key, now_s = (actor, action, row["study_id"], row["patient_id"]), self._now_s()
        if self._until_s.get(key, 0.0) > now_s:
            return
        async with database.transaction(actor, at) as conn:
            await access.require(
                conn, actor, at, action, patient_id=row["patient_id"], organisation_id=row["organisation_id"]
            )
        if len(self._until_s) >= KEPT_MAX:
            self._until_s.clear()
        self._until_s[key] = now_s + HOLDS_S
