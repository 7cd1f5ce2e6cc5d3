"""What a virtual device wants sent: the last part of its topic (`ecg`, `vitals`, `event`) and the bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Publish:
    topic_kind: str
    payload: bytes
