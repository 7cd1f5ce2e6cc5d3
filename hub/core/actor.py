"""Who acts. No service call and no connection exists without an actor."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Kind = Literal["person", "device", "node", "job", "anonymous"]


@dataclass(frozen=True)
class Actor:
    """A person (id: account), a device, a DICOM node, a job of the hub, or somebody not signed in."""

    kind: Kind
    id: str
    session: str | None = None  # hash of the session token, for step-up and sign-out

    @property
    def account_id(self) -> UUID:
        """The account of a person; only a person has one."""
        if self.kind != "person":
            raise ValueError(f"{self.kind} has no account")
        return UUID(self.id)


ANONYMOUS = Actor("anonymous", "")


def job(kind: str) -> Actor:
    """The actor of a job kind or of the ingest tick; the code it runs is its authority."""
    return Actor("job", kind)
