"""New ids: UUID version 7 (RFC 9562), so that rows of one time lie together in an index."""

import secrets
from datetime import datetime
from uuid import UUID


def new(at: datetime) -> UUID:
    """A fresh id made at an instant: 48 bits of milliseconds, 74 random bits."""
    milliseconds = int(at.timestamp() * 1000) & ((1 << 48) - 1)
    value = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return UUID(int=value)
