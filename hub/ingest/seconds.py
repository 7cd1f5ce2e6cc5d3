"""What live pages hear of a recording each second, as JSON.

Thousands of these are made in a second, and nearly all of one is a few numbers: the text is put together here, the same
to the byte as `to_json` of the same object would be.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from hub.alarms.findings import Found, finding_json
from hub.core.fields import to_json
from hub.ingest.accounting import MICROSECOND
from hub.ingest.analysis import Second

INSTANTS_KEPT: Final = 1 << 14  # whole seconds as text: those of now, and those in which boots began


def second_json(second: Second, at_us: int, anchor_us: int, found: Sequence[Found]) -> str:
    """`at_us`: the end of the newest sample by the hub's clock, `anchor_us`: where its boot's time line begins, both in
    microseconds of unix time; `found`: the second's findings, where they belong.
    """
    rate_bpm = "null" if second.rate_bpm is None else float.__repr__(second.rate_bpm)
    findings = to_json([finding_json(one) for one in found]) if found else "[]"
    return (
        f'{{"boot":{second.boot},"sample":{second.sample},"at":"{_instant(at_us)}",'
        f'"anchor_at":"{_instant(anchor_us)}","rate_bpm":{rate_bpm},"beats":[{",".join(map(str, second.beats))}],'
        f'"quality":{_words(second.quality)},"findings":{findings}}}'
    )


def _instant(us: int) -> str:
    seconds, rest = divmod(us, MICROSECOND)
    return f"{_whole(seconds)}.{rest:06d}Z" if rest else f"{_whole(seconds)}Z"


@lru_cache(INSTANTS_KEPT)
def _whole(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


@lru_cache(INSTANTS_KEPT)
def _words(quality: tuple[str, ...]) -> str:
    return to_json(list(quality))
