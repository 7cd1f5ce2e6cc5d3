"""What each watcher makes of a picture: silent while its hop works, heard when it does not, undecided when blind."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.core.incidents import KINDS, require_known
from hub.operations import figures
from hub.operations.sight import Sight, Stored
from hub.operations.watchers import WATCHERS, look

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
STORED = Stored(AT, 3, 0.5, {}, 0, {}, 40, 40, 0, {}, 0.5, 3_600.0)
WORD = {
    "process": "ingest-1", "pid": 7, "shards": list(range(16)), "pending": 10, "commit_p99_s": 0.05, "state": "ok",
    "slowed_devices": 0, "unacknowledged_max": 20, "silent_s": 0.6,
}  # fmt: skip
WELL = Sight(
    at=AT, up_s=600, ingest_processes=1, shards=16, words=(WORD,), broker_s=500, stored=STORED, answer_s=0.01,
    answered_for_s=600, processes={"web": {figures.MEMORY: 2e8}, "jobs": {figures.MEMORY: 2e8}, "ingest-1": {}},
    free_bytes=100 << 30, disk_bytes=200 << 30, memory_available=0.5, certificate_days=300,
)  # fmt: skip


def spoken(**other: Any) -> Sight:
    return replace(WELL, words=(WORD | other,))


def told(**other: Any) -> Sight:
    return replace(WELL, stored=replace(STORED, **other))


BROKEN: list[tuple[str, str, Sight]] = [
    ("database-away", "", replace(WELL, stored=None, database_away_s=3.0, answered_for_s=0)),
    ("database-away", "", spoken(state="away")),
    ("database-slow", "", spoken(commit_p99_s=0.9)),
    ("database-slow", "", replace(WELL, answer_s=1.5)),
    ("broker-away", "", replace(WELL, broker_s=None, broker_away_s=4)),
    ("broker-away", "", spoken(silent_s=6.5)),  # its process answers
    ("ingest-missing", "ingest-1", replace(spoken(silent_s=6.5), processes={"ingest-1": None})),
    ("ingest-missing", "ingest-2", replace(WELL, ingest_processes=2)),
    ("ingest-blocked", "ingest-1", spoken(state="blocked")),
    ("ingest-slow", "ingest-1", spoken(state="slow")),
    ("shard-unread", "", spoken(shards=list(range(15)))),
    ("session-ids", "ingest-1", spoken(unacknowledged_max=60_000)),
    ("set-aside-flood", "not-cbor", told(set_aside_recent={"not-cbor": 100, "conflict": 3})),
    ("devices-silent", "", told(devices_silent=12)),
    ("device-clock", "holter-7", told(clocks_wrong={"holter-7": -7_200.0})),
    ("jobs-stuck", "", told(jobs_oldest_s=90.0)),
    ("jobs-failed", "reading.pdf", told(jobs_failed={"reading.pdf": 2})),
    ("audit-unsealed", "", told(audit_unsealed_s=30.0)),
    ("process-missing", "jobs", replace(WELL, processes={"jobs": None, "web": {}})),
    ("certificate-ends", "", replace(WELL, certificate_days=12)),
    ("disk-low", "", replace(WELL, free_bytes=1 << 30)),
    ("disk-low", "", replace(WELL, days_left=2.0)),
    ("disk-reserve", "", replace(WELL, reserve_used=True)),
    ("memory-high", "jobs", replace(WELL, processes={"jobs": {figures.MEMORY: 3e9}})),
    ("memory-high", "", replace(WELL, memory_available=0.01)),
]


def test_while_everything_works_nothing_is_told() -> None:
    assert {kind: found for kind, found in look(WELL).items() if found != {}} == {}
    hops = figures.hops(WELL, figures.Rates(), set(), set())
    assert {hop["state"] for hop in hops} == {"works"}


@pytest.mark.parametrize(("kind", "subject", "sight"), BROKEN)
def test_a_broken_hop_is_told_with_its_subject_and_known_facts(kind: str, subject: str, sight: Sight) -> None:
    found = look(sight)[kind]
    assert found is not None and list(found) == [subject]
    require_known(kind, found[subject])
    (hop,) = [
        hop for hop in figures.hops(sight, figures.Rates(), {kind}, set()) if hop["state"] != "works"
    ] or [None]
    assert (hop is None) == (KINDS[kind].priority == "low")


def test_every_watcher_is_tried_and_every_kind_is_somebodys() -> None:
    assert {kind for kind, _, _ in BROKEN} == WATCHERS.keys()
    assert KINDS.keys() - WATCHERS.keys() == {"backup-old"}  # raised by the timer of backups


def test_who_is_blind_judges_nothing() -> None:
    """Else a database that is away would clear what its rows had shown, and a broker that is away accuse ingest."""
    blind = replace(WELL, stored=None, database_away_s=3.0, broker_s=None, broker_away_s=9, words=())
    undecided = {kind for kind, found in look(blind).items() if found is None}
    assert undecided == {
        "database-slow", "devices-silent", "device-clock", "ingest-missing", "shard-unread", "jobs-stuck",
        "jobs-failed", "set-aside-flood", "audit-unsealed",
    }  # fmt: skip
    just_started = replace(WELL, up_s=3.0, broker_s=3.0, words=(), processes={"jobs": None})
    assert not look(just_started)["ingest-missing"] and not look(just_started)["process-missing"]
    after_an_outage = replace(told(devices_silent=40, jobs_oldest_s=300.0), answered_for_s=5.0)
    assert not look(after_an_outage)["devices-silent"] and not look(after_an_outage)["jobs-stuck"]


def test_rates_survive_a_process_that_began_anew() -> None:
    rates = figures.Rates()
    rates.take({"ingest-1": {figures.PACKETS: 1_000.0}, "ingest-2": {figures.PACKETS: 500.0}}, 10.0)
    rates.take(
        {"ingest-1": {figures.PACKETS: 1_600.0}, "ingest-2": {figures.PACKETS: 200.0}, "web": None}, 14.0
    )
    assert rates.per_s[figures.PACKETS] == (600 + 200) / 4


def test_days_left_are_told_once_there_is_a_trend() -> None:
    hours = [AT.replace(hour=hour) for hour in (0, 6, 12)]
    space = [(hour, (100 - 5 * k) << 30) for k, hour in enumerate(hours)]
    assert figures.days_left(space, hours[2], 90 << 30) == pytest.approx(4.5)
    assert figures.days_left(space[:1], hours[0], 100 << 30) is None
    assert figures.days_left(space, hours[2], 120 << 30) is None
