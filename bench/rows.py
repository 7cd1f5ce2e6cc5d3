"""One measured figure beside its peer's."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """`ratio` is value over the peer's value; without a peer there is none."""

    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.peer_value else None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}

    def as_cells(self) -> tuple[str, ...]:
        figures = ["" if f is None else f"{f:.4g}" for f in (self.value, self.peer_value, self.ratio)]
        return self.name, figures[0], self.unit, self.peer, figures[1], figures[2]
