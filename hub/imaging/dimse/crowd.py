"""How many may be connected to a port: strangers of one address, associations of one node, all together.

Who has the most to wait for gives way: of a peer's own connections one that is over or idle is ended for its next, so
that a crowd of idle ones locks nobody out.
"""

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Final, Generic, Protocol, TypeVar

CONNECTIONS: Final = 256
UNKNOWN_CONNECTIONS: Final = 32  # of one address that have not yet said who they are
NODE_ASSOCIATIONS: Final = 16
EVICTED_AFTER_S: Final = 2.0  # of doing nothing, when the same peer wants another
WATCH_EVERY_S: Final = 1.0


class Member(Protocol):
    """A connection of the crowd; `who` is None until it is known which node calls."""

    address: str

    @property
    def who(self) -> str | None: ...

    @property
    def is_over(self) -> bool: ...

    def idle_s(self) -> float:
        """For how long it has done nothing."""

    def end_if_idle(self) -> None: ...

    def drop(self) -> None:
        """End it at once."""


M = TypeVar("M", bound=Member)


class Crowd(Generic[M]):
    """All connections of a process's ports; without TLS only from these networks."""

    def __init__(self, plain_from: Sequence[str]) -> None:
        self.open: set[M] = set()
        self._plain_from = [ipaddress.ip_network(text, strict=False) for text in plain_from]

    def admits(self, address: str, is_plain: bool) -> bool:
        """Whether to listen to a new connection at all."""
        if is_plain and not any(ipaddress.ip_address(address) in network for network in self._plain_from):
            return False
        unknown = [one for one in self.open if one.address == address and one.who is None]
        if len(unknown) >= UNKNOWN_CONNECTIONS:
            return _one_gives_way(unknown)
        return len(self.open) < CONNECTIONS

    def has_room_for(self, who: str) -> bool:
        """Whether a node may have one more."""
        own = [one for one in self.open if one.who == who]
        return len(own) < NODE_ASSOCIATIONS or _one_gives_way(own)

    async def watch(self) -> None:
        """End what does nothing, for ever."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            for one in list(self.open):
                one.end_if_idle()


def _one_gives_way(own: Sequence[Member]) -> bool:
    """Whether one of a peer's own is over or idle, and was ended for its next."""
    longest = max(own, key=lambda one: (one.is_over, one.idle_s()))
    if not longest.is_over and longest.idle_s() < EVICTED_AFTER_S:
        return False
    longest.drop()
    return True
