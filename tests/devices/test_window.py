"""A device's window on lines of every width: live packets never stand behind much backlog, a good line is used."""

from collections import deque

import pytest

from devices.simulator.window import LONG_S, Window

STEP_S = 0.04
PACKET_BITS = 13_000


def played(kbit_s: float, seconds: float, wants_per_s: float = 400.0) -> tuple[float, int]:
    """A line of one queue, a live packet each second and backlog as the window allows: the longest a live packet
    stood in the queue after the first ten seconds, and how many packets of backlog went through.
    """
    window, queue, free_s, unconfirmed = Window(), deque[tuple[float, bool, float]](), 0.0, 0
    longest_s, through, allowance = 0.0, 0, 0.0
    for step in range(round(seconds / STEP_S)):
        now_s = step * STEP_S
        while queue and queue[0][0] <= now_s:
            _, is_live, sent_s = queue.popleft()
            unconfirmed -= 1
            if is_live and sent_s > 10:
                longest_s = max(longest_s, now_s - sent_s)
            through += not is_live
        room = window.room(unconfirmed, now_s)
        allowance = min(allowance + wants_per_s * STEP_S, wants_per_s)
        backlog = int(min(room, allowance))
        allowance -= backlog
        live = [True] if step % 25 == 0 else []
        for is_live in [*live, *[False] * backlog]:
            free_s = max(free_s, now_s) + PACKET_BITS / (kbit_s * 1000)
            queue.append((free_s + 0.05, is_live, now_s))
            unconfirmed += 1
        window.sent(len(live) + backlog, now_s)
    return longest_s, through


@pytest.mark.parametrize("kbit_s", [30, 200, 1_000, 20_000])
def test_live_never_waits_long_behind_backlog(kbit_s: float) -> None:
    longest_s, through = played(kbit_s, 60)
    packet_s = PACKET_BITS / (kbit_s * 1000)
    assert longest_s < LONG_S + 0.1 + 3 * packet_s  # the way there, and the few packets a line always gets
    possible = min(400.0, (kbit_s * 1000 - PACKET_BITS) / PACKET_BITS) * 60
    assert through > 0.5 * possible


def test_a_line_that_stops_gets_no_backlog() -> None:
    window = Window()
    window.sent(3, 0.0)
    assert window.room(3, 0.1) == 1
    assert window.room(3, 5.0) == 0
