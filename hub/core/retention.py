"""How long data are kept: kinds with what the law asks, and what a domain exports to remove its own.

The rules themselves are rows (`retention_rule`), all switched off; hub/people/retention.py serves and applies them.
hub/app.py merges the `RETENTION` of the domains.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.core.db import Connection


@dataclass(frozen=True)
class Kind:
    """What a rule is about, in words."""

    zh: str
    en: str


KINDS: Final[Mapping[str, Kind]] = {
    "study": Kind(
        "诊疗数据：检查申请、心电记录及其分析、影像及其标注、报告、报警，以及当日的生命体征",
        "Clinical data: requests, recordings with analyses, images with marks, reports and alarms, and the vital signs"
        " around them",
    ),
    "consultation": Kind("会诊文字与通话录制", "Text and captures of consultations"),
    "log": Kind(
        "登录会话、已弃置的无法识别数据、影像节点的存储确认",
        "Sessions of accounts that ended, unusable messages that were discarded, and what nodes asked of storage"
        " commitment",
    ),
    "monitoring": Kind(
        "不属于任何申请、报告或报警的监测数据", "Monitoring that belongs to no request, report or alarm"
    ),
}


@dataclass(frozen=True)
class Due:
    """What a rule would remove now."""

    number: int
    oldest_at: datetime | None


@dataclass(frozen=True)
class Removed:
    """One batch: how many, their ids where they have any, and files that nothing speaks of any more."""

    number: int
    ids: Sequence[str] = ()
    files: Sequence[str] = ()
    more: bool = False  # whether to come again


@dataclass(frozen=True)
class Sweeper:
    """Removes things of one sort that are older than an instant, one bounded batch per transaction."""

    object_kind: str
    due: Callable[[Connection, datetime], Awaitable[Due]]
    remove: Callable[[Connection, datetime], Awaitable[Removed]]


Sweepers = Mapping[str, tuple[Sweeper, ...]]


def merged(parts: Iterable[Sweepers]) -> Sweepers:
    """What all domains can remove, by kind of rule; a kind outside the table is a mistake."""
    found: dict[str, tuple[Sweeper, ...]] = dict.fromkeys(KINDS, ())
    for part in parts:
        for kind, sweepers in part.items():
            found[kind] += sweepers
    return found
