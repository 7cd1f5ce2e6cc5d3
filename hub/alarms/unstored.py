"""Alarms that are not stored yet: told to open pages from memory while the database is away or slow. Pure.

The id of an alarm follows from its episode, so that a page shows it once, whether it heard of it from here, from the
database, or from both. What is stored is told no more; an episode whose alarm was stored once is news again only when
it grows more urgent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from hub.alarms.raising import URGENCY, Cause, alarm_id

PATIENCE_S: Final = 2.0  # storing takes no longer unless something is wrong
LINGERS_S: Final = 5.0  # told on for a moment after it is stored, until pages have heard it from the database
KEPT: Final = 5_000
TOLD: Final = 50  # of one recording

Word = tuple[str, UUID, list[dict[str, Any]]]  # shard, recording, alarms


class OfShard(Protocol):
    """A recording, and where to speak of it."""

    @property
    def id(self) -> UUID: ...
    @property
    def shard(self) -> str: ...


@dataclass(slots=True)
class _Alarm:
    recording: OfShard
    cause: Cause
    seen_at: datetime
    is_gone: bool
    is_told: bool = False
    stored_s: float | None = None


class Unstored:
    """Of one ingest process."""

    def __init__(self) -> None:
        self._alarms: dict[str, _Alarm] = {}
        self._stored: dict[str, int] = {}  # episodes with a stored alarm: how urgent it was
        self._told: dict[UUID, str] = {}  # recordings whose pages show something of ours: their shards

    def note(self, recording: OfShard, cause: Cause, at: datetime, *, is_gone: bool = False) -> None:
        """An episode was seen, or seen again, that makes an alarm."""
        key, known = cause.source_key, self._alarms.get(cause.source_key)
        if known is None:
            if self._stored.get(key, -1) >= URGENCY[cause.priority] or len(self._alarms) >= KEPT:
                return
            self._alarms[key] = _Alarm(recording, cause, at, is_gone)
            return
        worst = max(known.cause.priority, cause.priority, key=URGENCY.__getitem__)
        known.cause, known.is_gone, known.stored_s = replace(cause, priority=worst), is_gone, None

    def cause(self, source_key: str) -> Cause | None:
        """As it was when it was first seen."""
        known = self._alarms.get(source_key)
        return known.cause if known else None

    def stored(self, source_keys: Iterable[str], now_s: float) -> None:
        """They are committed."""
        for key in source_keys:
            known = self._alarms.get(key)
            if known is None:
                continue
            known.stored_s = now_s
            self._stored.pop(key, None)  # the newest goes last
            self._stored[key] = URGENCY[known.cause.priority]
            if not known.is_told:
                del self._alarms[key]
        for key in list(self._stored)[:-KEPT]:
            del self._stored[key]

    def leave(self, shards: Iterable[str]) -> None:
        """Another process sees to these."""
        gone = set(shards)
        self._alarms = {k: a for k, a in self._alarms.items() if a.recording.shard not in gone}
        self._told = {k: shard for k, shard in self._told.items() if shard not in gone}

    def due(self, now_s: float, is_away: bool) -> list[Word]:
        """For each recording all that its pages should show; once nothing, when there is nothing any more."""
        shown: dict[UUID, list[dict[str, Any]]] = {key: [] for key in self._told}
        shards = dict(self._told)
        for key, one in list(self._alarms.items()):
            if one.stored_s is not None and now_s - one.stored_s > LINGERS_S:
                del self._alarms[key]
                continue
            one.is_told |= is_away or now_s - one.seen_at.timestamp() > PATIENCE_S
            if one.is_told:
                shown.setdefault(one.recording.id, []).append(_word(one))
                shards[one.recording.id] = one.recording.shard
        self._told = {key: shards[key] for key, words in shown.items() if words}
        return [(shards[key], key, words[-TOLD:]) for key, words in shown.items()]


def _word(one: _Alarm) -> dict[str, Any]:
    """An alarm as far as it can be told without the database."""
    cause = one.cause
    return {
        "id": alarm_id(cause.source_key),
        "recording_id": one.recording.id,
        "rule": cause.rule,
        "category": cause.category,
        "priority": cause.priority,
        "condition": "gone" if one.is_gone else "active",
        "late": cause.late,
        "numbers": cause.numbers,
        "note": cause.note,
        "onset_at": cause.onset_at,
        "raised_at": one.seen_at,
    }
