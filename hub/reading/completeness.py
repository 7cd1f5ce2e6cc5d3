"""How complete a recording is, as analyses and papers state it."""

from typing import Any
from uuid import UUID

from hub.core.db import Connection, one
from hub.telemetry.ledger import ledger_json
from hub.telemetry.recordings import read_boots


async def read_completeness(conn: Connection, recording_id: UUID) -> dict[str, Any]:
    """The ledger as paper states it, in samples of each channel (the leads of a packet come together)."""
    recording = await one(conn, "SELECT fs_hz, leads FROM recording WHERE id = %s", (recording_id,))
    boots = await read_boots(conn, recording_id, recording["fs_hz"])
    told = ledger_json(boots, recording["fs_hz"])
    return {
        "leads": recording["leads"],
        "boots": len(boots),
        **{name: told[name] for name in ("produced", "stored", "declared_lost", "waiting")},
        "lost": told["declared_lost"] + told["waiting"],
        "end_not_known": sum(boot.ledger.final is None for boot in boots),
    }
