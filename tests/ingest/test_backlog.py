"""What is told of a backlog: seconds by the ledger, a rate only from what came, nothing from nothing."""

from uuid import UUID

from devices import sequencing
from devices.sequencing import Ledger
from hub.ingest.backlog import Backlogs

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
