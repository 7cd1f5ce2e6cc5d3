"""What is told of a backlog: seconds by the ledger, a rate only from what came, nothing from nothing."""

from uuid import UUID

import numpy as np

from devices import sequencing
from devices.packet import WaveformPacket
from devices.sequencing import Ledger
from hub.ingest.accounting import MICROSECOND, Boot
from hub.ingest.backlog import Backlogs
from hub.ingest.bindings import Recording
from hub.ingest.decoding import Item, Received
from hub.ingest.samples import Arrival, arrival_of
from hub.ingest.senders import Senders
from hub.ingest.steady import Steady
from hub.ingest.timeline import Timeline
from tests import world

FS_HZ = 100
KEY = (UUID(int=1), 1)


def test_the_rate_is_of_what_was_missing_not_of_live_data() -> None:
    backlogs, ledger, missing_s = Backlogs(), Ledger(), 0.0
    ledger, _ = sequencing.receive(ledger, 3_600 * FS_HZ, 3_601 * FS_HZ, 0)
    assert backlogs.note("h", KEY, (Ledger(), ledger), FS_HZ, 0.0) == 3_600
    for second in range(1, 61):
        before = ledger
        live = (3_600 + second) * FS_HZ
        ledger, _ = sequencing.receive(ledger, live, live + FS_HZ, 0)
        if second > 20:  # ten seconds of signal each second
            first = (second - 21) * 10 * FS_HZ
            ledger, _ = sequencing.receive(ledger, first, first + 10 * FS_HZ, 0)
        missing_s = backlogs.note("h", KEY, (before, ledger), FS_HZ, float(second))
        rate = backlogs.per_s("h", float(second))
        assert (rate is None) == (second < 26)
        assert rate is None or 8 < rate < 13
    assert missing_s == 3_600 - 400
    assert backlogs.per_s("h", 95.0) is None


def test_what_is_missing_counts_over_all_boots() -> None:
    backlogs = Backlogs()
    one, _ = sequencing.receive(Ledger(), 10 * FS_HZ, 11 * FS_HZ, 0)
    two, _ = sequencing.receive(Ledger(), 5 * FS_HZ, 6 * FS_HZ, 0)
    backlogs.note("h", KEY, (Ledger(), one), FS_HZ, 0.0)
    assert backlogs.note("h", (KEY[0], 2), (Ledger(), two), FS_HZ, 1.0) == 15
    filled, _ = sequencing.receive(one, 0, 10 * FS_HZ, 0)
    assert backlogs.note("h", KEY, (one, filled), FS_HZ, 2.0) == 5


def test_what_is_old_and_missing_counts_once() -> None:
    """A device back after an hour: its newest second is live, what comes behind it is old, and nothing counts twice."""
    timeline, began_s = Timeline(), world.AT.timestamp()
    timeline.inherit({KEY: round(began_s * MICROSECOND)})
    senders, now_s = Senders(timeline, Steady()), began_s + 3_601
    live, _ = sequencing.receive(Ledger(), 3_600 * FS_HZ, 3_601 * FS_HZ, 0)
    more, _ = sequencing.receive(live, 0, FS_HZ, 0)
    held_s = []
    for first_s, before, after in ((3_600, Ledger(), live), (0, live, more)):
        senders.note_stored(_arrival(first_s, now_s), Boot(*KEY, 0, before), Boot(*KEY, 0, after))
        held_s += senders.due(now_s).columns["backlog_s"].tolist()
    assert held_s == [3_600, 3_599]


def _arrival(first_s: int, received_s: float) -> Arrival:
    """A second of signal as a device sends it."""
    recording = Recording(
        KEY[0], "h", "00", UUID(int=2), UUID(int=3), "recording", True, FS_HZ, ("MDC_ECG_LEAD_II",), 1.0, False
    )  # fmt: skip
    samples = np.zeros((1, FS_HZ), np.int16)
    sent = WaveformPacket(
        KEY[0].bytes, 1, 1, first_s * FS_HZ, 0, received_s, FS_HZ, recording.leads, 1.0, samples, 0, None
    )
    return arrival_of(Item(Received("00", "", b"", received_s), None), recording, sent)
