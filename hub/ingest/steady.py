"""Boots that go on: nearly every packet begins where the one before it ended, and nothing is missing.

Those are read, stored and acknowledged in columns (`Run`), a row of the table here for each boot. Whatever is not so
(a first packet, a gap, a resend, an event, something changed by a person) takes the ordinary way, packet by packet,
which is the authority: a packet of a run can take it at any time, as if it had never been in one. What is committed
is compared with the ledger's rows either way.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import compress, repeat
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices import alike, packet, sequencing
from devices.alike import Mould, Stack
from devices.control import progress_head
from devices.sequencing import Ledger
from hub.ingest.accounting import LONGEST_BOOT_S, MICROSECOND, Boot, Key, at_us
from hub.ingest.acks import AckBook
from hub.ingest.bindings import OVER, Device, Recording
from hub.ingest.clocks import WINDOW_S, Observed
from hub.ingest.decoding import TELEHUB, Item, Received
from hub.ingest.samples import Arrival, arrival_of
from hub.ingest.signals import Signals
from hub.ingest.timeline import Heard

KEPT: Final = 50_000  # boots; beyond, all are met anew
MOULDS_KEPT: Final = 1000
FEW: Final = 12  # messages of one tick: to read columns of so few costs more than one by one
NEVER: Final = float("inf")

Rows = NDArray[np.int64]

_COLUMNS: Final = np.dtype(
    [
        ("recording", "V16"), ("boot", "i8"), ("anchor_us", "i8"), ("fs_hz", "i8"),
        ("head", "i8"),  # end of what was read
        ("stored_end", "i8"), ("oldest", "i8"),  # as committed
        ("is_whole", "?"),  # nothing is missing below `stored_end`, and more may come
        ("is_known", "?"),  # the binding is as it was when the boot was met
        ("is_over", "?"),  # its recording is, nobody analyses it
        ("shard", "i8"), ("mould", "i8"), ("length", "i8"),  # of a packet
        ("sender", "i8"),  # row of its device in `hub.ingest.presence`; -1 until that is known
        ("looks_new", "?"),  # its packets look different now
        # The least its clocks said in these minutes: what is above is no news (`hub.ingest.clocks`).
        ("line_minute", "i8"), ("line_least_s", "f8"), ("line_offset_s", "f8"),
        ("own_minute", "i8"), ("own_least_s", "f8"),
        ("ack_due_s", "f8"),
    ]
)  # fmt: skip


@dataclass(slots=True)
class Source:
    """Who sends a boot, and how its packets look; the frame is of one of them."""

    device: Device
    recording: Recording
    key: Key
    mould: Mould
    frame: bytes
    ack_topic: str  # where its device hears what is stored
    ack_head: bytes


@dataclass(frozen=True, slots=True)
class Run:
    """Packets of one mould that came in one tick, each going on where its boot had ended."""

    received: list[Received]
    sources: list[Source]
    rows: Rows  # of the table as it was at that time
    generation: int  # of the table
    stack: Stack
    received_s: NDArray[np.float64]
    has_news: NDArray[np.bool_]  # of a clock

    def __len__(self) -> int:
        return len(self.received)

    def only(self, kept: NDArray[np.bool_]) -> "Run":
        """Those of its packets."""
        places = np.flatnonzero(kept)
        return Run(
            [self.received[n] for n in places], [self.sources[n] for n in places], self.rows[kept], self.generation,
            self.stack.only(kept), self.received_s[kept], self.has_news[kept],
        )  # fmt: skip

    def heard(self, place: int) -> Heard:
        """What a packet of it tells of clocks."""
        stack, mould = self.stack, self.stack.mould
        made_s = mould.sample_count / mould.fs_hz
        end, device_s = int(stack.first_sample[place]) + mould.sample_count, float(stack.device_time_s[place])
        return Heard(end, mould.fs_hz, device_s + made_s, float(self.received_s[place]))

    def item(self, place: int) -> Item:
        """A packet of it on the ordinary way."""
        received = self.received[place]
        return Item(received, self.sources[place].device, (packet.decode(received.payload),))

    def arrival(self, place: int) -> Arrival:
        item = self.item(place)
        return arrival_of(item, self.sources[place].recording, item.packets[0])


class Steady:
    """The boots this process has met; columns are indexed by row."""

    def __init__(self) -> None:
        self.generation = 0
        self._clear()

    def _clear(self) -> None:
        """Meet all anew."""
        self.generation += 1
        self.columns = np.zeros(1024, _COLUMNS)
        self.sources: list[Source] = []
        self._known: dict[Key, Boot] = {}  # as the ordinary way wrote them last
        self._rows: dict[Key, int] = {}
        self._by_topic: dict[str, int] = {}  # rows
        self._moulds: list[Mould] = []
        self._named: dict[str | UUID, list[int]] = defaultdict(list)  # rows of a device or a recording

    # Reading

    def part(self, received: Sequence[Received]) -> tuple[list[Run], list[Received]]:
        """The runs among what came in one tick, and what has to take the ordinary way, in order."""
        if len(received) < FEW:
            return [], list(received)
        shards, topics, payloads, received_s, _ = zip(*received, strict=True)
        count, columns = len(received), self.columns
        rows = np.fromiter(map(self._by_topic.get, topics, repeat(-1)), np.int64, count)
        lengths = np.fromiter(map(len, payloads), np.int64, count)
        shard = np.fromiter(map(_shard_number, shards), np.int64, count)
        alike_rows = (rows >= 0) & (columns["length"][rows] == lengths) & (columns["shard"][rows] == shard)
        odd = rows[(rows >= 0) & ~alike_rows]
        columns["looks_new"][odd] = True
        runs: list[Run] = []
        taken = np.zeros(count, np.bool_)
        of_mould, times_s = np.where(alike_rows, columns["mould"][rows], -1), np.array(received_s)
        for number in np.unique(of_mould[alike_rows]).tolist():
            places = np.flatnonzero(of_mould == number)
            messages = list(received) if len(places) == count else [received[n] for n in places.tolist()]
            run, fits = self._read(self._moulds[number], messages, rows[places], times_s[places], odd)
            runs += [run] if run is not None else []
            taken[places[fits]] = True
        return runs, [] if taken.all() else list(compress(received, ~taken))

    def _read(
        self, mould: Mould, messages: list[Received], rows: Rows, received_s: NDArray[np.float64], odd: Rows
    ) -> tuple[Run | None, NDArray[np.bool_]]:
        """Of each source all packets or none, so that order is kept."""
        sources = [self.sources[row] for row in rows.tolist()]
        stack = alike.read(mould, [m.payload for m in messages], [s.frame for s in sources])
        end, columns = stack.end_sample, self.columns
        columns["looks_new"][rows[~stack.fits]] = True
        fits = stack.fits & columns["is_known"][rows] & columns["is_whole"][rows]
        fits &= end < LONGEST_BOOT_S * mould.fs_hz
        fits &= follows(rows, stack.first_sample, end, columns["head"])
        if not fits.all() or len(odd):
            fits &= ~np.isin(rows, np.concatenate([rows[~fits], odd]))
        has_news = self._has_news(rows, stack, received_s)
        run = Run(messages, sources, rows, self.generation, stack, received_s, has_news)
        columns["head"][rows[fits]] = end[fits]
        if fits.all():
            return run, fits
        return (run.only(fits) if fits.any() else None), fits

    def meet(self, arrival: Arrival) -> None:
        """A packet that came the ordinary way: what follows it may be a run."""
        device, recording, key = arrival.item.device, arrival.recording, arrival.key
        if device is None or device.driver != TELEHUB or not recording.started:
            return
        topic, payload = arrival.item.received.topic, arrival.item.received.payload
        columns, row = self.columns, self._rows.get(key)
        if row is None or columns["looks_new"][row] or not columns["is_known"][row]:
            mould = alike.mould_of(payload)
            number = self._mould_number(mould)
            if mould is None or number is None:
                self._by_topic.pop(topic, None)
                return
            topic_of_acks = f"ack/{device.shard}/{device.id}"
            frame, head = alike.frame_of(mould, payload), progress_head(recording.id.bytes, key[1])
            source = Source(device, recording, key, mould, frame, topic_of_acks, head)
            row = self._new_row(source) if row is None else row
            self.sources[row], columns = source, self.columns
            columns["is_over"][row] = recording.status in OVER
            columns["shard"][row] = _shard_number(device.shard)
            columns["mould"][row], columns["length"][row] = number, mould.length
            columns["is_known"][row], columns["looks_new"][row] = True, False
        self._by_topic[topic] = row
        columns["head"][row] = arrival.packet.end_sample

    def _mould_number(self, mould: Mould | None) -> int | None:
        if mould in self._moulds:
            return self._moulds.index(mould)
        if mould is None or len(self._moulds) == MOULDS_KEPT:
            return None
        self._moulds.append(mould)
        return len(self._moulds) - 1

    def _new_row(self, source: Source) -> int:
        row = len(self.sources)
        if row == len(self.columns):
            self.columns = np.concatenate([self.columns, np.zeros_like(self.columns)])
        self.sources.append(source)
        self._rows[source.key] = row
        for name in (source.device.id, source.recording.id):
            self._named[name].append(row)
        columns = self.columns
        columns["recording"][row], columns["boot"][row] = source.recording.id.bytes, source.key[1]
        columns["fs_hz"][row] = source.recording.fs_hz
        columns["is_whole"][row], columns["sender"][row] = False, -1
        columns["line_minute"][row] = columns["own_minute"][row] = -1
        columns["ack_due_s"][row] = NEVER
        return row

    def forget_changed(self, *names: str | UUID | None) -> None:
        """A device or a recording changed: its packets are bound anew. Without names any may have."""
        if not any(names):
            self.columns["is_known"] = False
        for name in names:
            if name in self._named:
                self.columns["is_known"][self._named[name]] = False

    def live(self, run: Run) -> Signals | None:
        """The signals of a run whose recordings are not over."""
        over = self.columns["is_over"][run.rows]
        if over.all():
            return None
        run = run.only(~over) if over.any() else run
        stack, sources = run.stack, run.sources
        return Signals(
            [one.recording for one in sources], [one.key[1] for one in sources], stack.first_sample.tolist(),
            stack.electrodes_off, stack.samples,
        )  # fmt: skip

    # Clocks

    def _has_news(self, rows: Rows, stack: Stack, received_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which packets tell something of a clock that was not known."""
        columns = self.columns
        line_s = at_us(columns["anchor_us"][rows], stack.end_sample, stack.mould.fs_hz) / MICROSECOND
        own_s = stack.device_time_s + stack.mould.sample_count / stack.mould.fs_hz
        news = columns["line_minute"][rows] != line_s // WINDOW_S
        news |= columns["own_minute"][rows] != received_s // WINDOW_S
        news |= received_s - line_s < columns["line_least_s"][rows]
        news |= received_s - own_s < columns["own_least_s"][rows]
        return np.asarray(news)

    def observed(self, row: int, line: Observed, own: Observed) -> None:
        """The clocks were told."""
        columns = self.columns
        columns["line_minute"][row], columns["line_least_s"][row], columns["line_offset_s"][row] = line
        columns["own_minute"][row], columns["own_least_s"][row], _ = own

    def listen_anew(self, name: str | None = None) -> None:
        """The clocks of a device, or all, were set: whatever comes is news."""
        rows = self._named.get(name, []) if name is not None else slice(None)
        self.columns["own_minute"][rows] = -1
        self.columns["line_minute"][rows] = -1

    # Storing

    def ledgers(self, keys: Iterable[Key]) -> dict[Key, Boot]:
        """The ledgers of boots as this process wrote them last. They may be out of date: what is written is compared
        with them.
        """
        found = {key: self._known[key] for key in keys if key in self._known}
        return {key: self._brought_up(boot) for key, boot in found.items()}

    def settle(self, boots: Mapping[Key, Boot], acks: AckBook) -> None:
        """Committed by the ordinary way. A table that has grown too long begins anew; what it had to tell is told."""
        if max(len(self.sources), len(self._known)) > KEPT:
            acks.catch_up(self.next_sample)
            for source, end in self.told(NEVER):
                device, named = source.device, (source.recording.id.bytes, source.key[1])
                acks.note(device.shard, device.id, named, end, (), False)
            self._clear()
        columns = self.columns
        self._known.update(boots)
        for key, boot in boots.items():
            row = self._rows.get(key)
            if row is None:
                continue
            ledger = boot.ledger
            columns["is_whole"][row] = is_whole(ledger)
            columns["stored_end"][row], columns["oldest"][row] = ledger.seen, ledger.oldest
            if columns["anchor_us"][row] != boot.anchor_us:
                columns["anchor_us"][row], columns["line_minute"][row] = boot.anchor_us, -1
            columns["ack_due_s"][row] = NEVER  # the ordinary way tells the same, or more

    def rows_of(self, recordings: Iterable[UUID], keys: Iterable[Key]) -> Rows:
        """The rows of boots, and of all boots of recordings."""
        rows = [self._rows[key] for key in keys if key in self._rows]
        rows += [row for name in recordings for row in self._named.get(name, ())]
        return np.array(rows, np.int64)

    def boot(self, row: int, stored_end: int, oldest: int) -> Boot:
        """The boot of a row that has come so far."""
        known = self._known[self.sources[row].key]
        first, _ = known.ledger.stored[-1]
        stored = (*known.ledger.stored[:-1], (first, stored_end))
        return known._replace(ledger=Ledger(stored, oldest, stored_end, None))

    def went_on(
        self, rows: Rows, stored_end: NDArray[np.int64], oldest: NDArray[np.int64], acks: AckBook
    ) -> None:
        """Runs are committed, and their devices are to be told, unless they will be anyway."""
        columns = self.columns
        columns["stored_end"][rows], columns["oldest"][rows] = stored_end, oldest
        new = rows[columns["ack_due_s"][rows] == NEVER].tolist()
        if acks.waiting:
            new = [row for row in new if self.sources[row].device.id not in acks.waiting]
        columns["ack_due_s"][new] = acks.due_s(self.sources[row].device.id for row in new)

    def _brought_up(self, known: Boot) -> Boot:
        """With what runs have added since."""
        row = self._rows.get(known.key)
        if row is None or not self.columns["is_whole"][row]:
            return known
        return self.boot(row, int(self.columns["stored_end"][row]), int(self.columns["oldest"][row]))

    # Acknowledging

    def next_sample(self, key: tuple[bytes, int]) -> int | None:
        """What the device of a whole boot is to be told; None if something is missing."""
        row = self._rows.get((UUID(bytes=key[0]), key[1]))
        if row is None or not self.columns["is_whole"][row]:
            return None
        return int(self.columns["stored_end"][row])

    def told(self, now_s: float) -> list[tuple[Source, int]]:
        """Whom to tell now, and the next sample wanted; all there are at an infinite `now_s`."""
        due_s = self.columns["ack_due_s"][: len(self.sources)]
        rows = np.flatnonzero((due_s <= now_s) & (due_s < NEVER))
        self.columns["ack_due_s"][rows] = NEVER
        ends = self.columns["stored_end"][rows].tolist()
        return [(self.sources[row], end) for row, end in zip(rows, ends, strict=True)]

    def leave(self, shards: Iterable[str]) -> None:
        """Another process has these devices now."""
        gone = set(shards)
        for row, source in enumerate(self.sources):
            if source.device.shard in gone:
                self.columns["is_whole"][row], self.columns["is_known"][row] = False, False
                self.columns["ack_due_s"][row] = NEVER


@cache
def _shard_number(shard: str) -> int:
    return int(shard, 16)


def is_whole(ledger: Ledger) -> bool:
    """Whether nothing is missing and more may come."""
    return bool(ledger.stored) and ledger.final is None and not sequencing.missing(ledger)


def follows(
    rows: Rows, first: NDArray[np.int64], end: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether each begins where the one before it of its row ended, the first of a row at `ends`."""
    order = np.argsort(rows, kind="stable")
    own, expected = rows[order], np.empty_like(first)
    expected[0], expected[1:] = 0, end[order][:-1]
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = own[1:] != own[:-1]
    expected[begins] = ends[own[begins]]
    goes_on = np.empty(len(rows), np.bool_)
    goes_on[order] = first[order] == expected
    return goes_on
