"""What a restored backup shows of the audit: its head is that of the backup, and every seal fits."""

from collections.abc import Mapping
from typing import Any, Final

from hub.core import db
from hub.core.db import Connection
from hub.core.proofs import Fact, Proof, Restored, Verdict
from hub.people import audit


async def audit_head(conn: Connection) -> Mapping[str, Any]:
    """How much there is and the newest seal, which stands for everything before it."""
    return await db.one(
        conn,
        "SELECT (SELECT count(*) FROM audit) AS entries, (SELECT count(*) FROM audit_seal) AS seals,"
        " (SELECT sha256 FROM audit_seal ORDER BY sequence DESC LIMIT 1) AS newest",
    )


async def audit_chain(restored: Restored) -> Verdict:
    """`hub audit verify` over the restored rows."""
    broken = await audit.verify(restored.conn, restored.at)
    return Verdict("every entry is as it was sealed", (broken,) if broken else ())


FACTS: Final[Mapping[str, Fact]] = {"audit head": audit_head}
PROOFS: Final[Mapping[str, Proof]] = {"audit chain": audit_chain}
