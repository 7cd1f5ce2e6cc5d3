"""Which stretches are looked at again: after any deliveries every complete one was seen as it is now, once."""

from hypothesis import given
from hypothesis import strategies as st

from devices import sequencing
from devices.sequencing import Ledger, Ranges
from hub.ingest import stretches
from hub.ingest.stretches import BEHIND_S, STRETCH_S

FS_HZ = 1
LENGTH = 3 * STRETCH_S
PIECE = 100

STEPS = st.one_of(
    st.tuples(st.just("packet"), st.integers(0, LENGTH // PIECE - 1)),
    st.tuples(st.just("declare"), st.integers(0, LENGTH)),
    st.tuples(st.just("finish"), st.just(LENGTH)),
)


def stored(ledger: Ledger, low: int, high: int) -> Ranges:
    return sequencing.subtract(((low, high),), sequencing.trim(ledger.stored, low, high))


@given(st.lists(STEPS, max_size=60))
def test_every_complete_stretch_was_seen_as_it_is(steps: list[tuple[str, int]]) -> None:
    ledger, seen = Ledger(), dict[int, Ranges]()
    for step, number in steps:
        before = ledger
        match step:
            case "packet":
                ledger, _ = sequencing.receive(ledger, number * PIECE, (number + 1) * PIECE, 0)
            case "declare":
                ledger = sequencing.declare(ledger, number)
            case _:
                ledger = sequencing.finish(ledger, number)
        for one in stretches.due(before, ledger, FS_HZ):
            now = stored(ledger, one.low, one.high)
            assert seen.get(one.number) != now or before.final != ledger.final
            assert not sequencing.trim(ledger.stored, max(one.low, ledger.oldest), one.high)
            seen[one.number] = now
    for number in range(LENGTH // STRETCH_S):
        one = stretches.stretch_of(number, FS_HZ, ledger.final)
        rest = sequencing.trim(ledger.stored, max(one.low, min(ledger.oldest, one.high)), one.high)
        is_complete = ledger.seen >= one.high and not (rest and ledger.oldest < one.high)
        if is_complete and stored(ledger, one.first, one.end):
            assert seen.get(number) == stored(ledger, one.low, one.high)


def test_live_data_make_each_stretch_complete_once() -> None:
    ledger, found = Ledger(), list[int]()
    for second in range(LENGTH):
        before = ledger
        ledger, _ = sequencing.receive(ledger, second, second + 1, 0)
        found += [one.number for one in stretches.due(before, ledger, FS_HZ)]
        assert len(found) == max(0, (second + 1 - BEHIND_S) // STRETCH_S)
    end = sequencing.finish(ledger, LENGTH)
    assert [one.number for one in stretches.due(ledger, end, FS_HZ)] == [2]
    assert stretches.due(end, Ledger(*end), FS_HZ) == []
