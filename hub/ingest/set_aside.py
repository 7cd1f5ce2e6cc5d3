"""What can't be used is kept: its bytes, the reason, how often it came. Operators see it; nothing is dropped."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.core import ids
from hub.core.db import Connection
from hub.ingest.decoding import Item, Refusal, device_of

LONGEST_TOPIC = 256


@dataclass(frozen=True, slots=True, eq=False)
class SetAside:
    """A message that is set aside, wholly or for a part of what it says."""

    item: Item
    refusal: Refusal

    @property
    def sha256(self) -> str:
        topic = self.item.received.topic.encode()
        return hashlib.sha256(topic + b"\0" + self.item.received.payload).hexdigest()


async def set_aside(conn: Connection, at: datetime, refused: Sequence[SetAside]) -> None:
    """Keep messages; one that comes again is counted, not kept again."""
    distinct: dict[str, list[SetAside]] = {}
    for entry in refused:
        distinct.setdefault(entry.sha256, []).append(entry)
    for sha256, entries in distinct.items():
        await _keep(conn, at, sha256, entries[0], len(entries))


def storable(text: str) -> str:
    """Text of a device as PostgreSQL takes it: no NUL, no half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


async def _keep(conn: Connection, at: datetime, sha256: str, entry: SetAside, times: int) -> None:
    received, device = entry.item.received, entry.item.device
    topic = storable(received.topic)[:LONGEST_TOPIC]
    await conn.execute(
        "INSERT INTO set_aside AS s (id, sha256, topic, device_id, organisation_id, reason, detail, payload, times,"
        "  first_at, last_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (sha256) DO UPDATE SET times = s.times + excluded.times, last_at = excluded.last_at",
        (
            ids.new(at), sha256, topic, device.id if device else device_of(topic),
            device.organisation_id if device else None, entry.refusal.reason, storable(entry.refusal.detail),
            received.payload, times, at, at,
        ),
    )  # fmt: skip
