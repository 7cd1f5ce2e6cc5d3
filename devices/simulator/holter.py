"""A faithful 4G Holter: samples, keeps, sends, resends, and forgets only what the hub has committed.

It follows DESIGN section 3: recording id by `start`, boot ids that survive reboots, packets with fixed
boundaries, live before backlog, `end` once everything held has been sent. Its own clock is all it knows of
time. When the hub stays silent it goes on sending live and only probes with its oldest packet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from devices import control, packet
from devices.control import Ack, Command
from devices.errors import DecodeError
from devices.event import Event
from devices.packet import WaveformPacket
from devices.simulator.buffer import Buffer, Cut, Stretch
from devices.simulator.clock import DeviceClock
from devices.simulator.outbox import Outbox
from devices.simulator.publish import Publish

Signal = Callable[[int, int], NDArray[np.int16]]  # (first, count since recording began) -> int16[lead, count]

PACKET_MS: Final = 1000
RETRY_S: Final = 10.0  # an acknowledgement comes every 2 s when all is well
SILENT_AFTER_S: Final = 30.0
BATTERY_LIFE_S: Final = 5 * 86400.0
BATTERY_WARNINGS_PERCENT: Final = (20, 10, 5)
REMEMBERED_COMMANDS: Final = 64


class Holter:
    """One virtual Holter. `signal` gives the samples; `boot` must rise over restarts of the simulation."""

    def __init__(
        self,
        identity: str,
        signal: Signal,
        fs_hz: int,
        leads: tuple[str, ...],
        uv_per_lsb: float,
        *,
        rng: Random,
        boot: int = 1,
        buffer_s: float = 86400.0,
        clock: DeviceClock | None = None,
        backlog_per_s: float = 100.0,
        compress: bool = False,
    ) -> None:
        self.identity = identity
        self.signal = signal
        self.fs_hz = fs_hz
        self.leads = leads
        self.uv_per_lsb = uv_per_lsb
        self.boot = boot
        self.clock = clock or DeviceClock()
        self.backlog_per_s = backlog_per_s
        self.compress = compress
        self.is_connected = False
        self.recording: bytes | None = None
        self.ended: set[bytes] = set()
        self.electrodes_off = 0
        self.room: int | None = None  # packets the line can take beside live ones; None: any number
        self.buffer = Buffer(int(buffer_s * fs_hz), RETRY_S)
        self.outbox = Outbox()
        self._stretch: Stretch | None = None
        self._recording_since_s = 0.0  # device time, as are the times below
        self._sampling_since_s = 0.0
        self._packet_samples = fs_hz * PACKET_MS // 1000
        self._watch_until_s = 0.0
        self._slow_until_s = 0.0
        self._hub_ahead_s: float | None = None
        self._draining: list[bytes] = []
        self._answers: dict[str, Event] = {}
        self._charge_at_zero_s = rng.uniform(0.8, 1.0)
        self._charged_at_s: float | None = None
        self._warned_percent = 100
        self._allowance = 0.0
        self._drained_at_s = 0.0
        self._heard_at_s = 0.0
        self._has_announced_boot = False

    def resume(self, recording: bytes, now_s: float) -> None:
        """Go on with a recording that a former run of the simulation began; devices keep its id in flash."""
        self.recording = recording
        self._recording_since_s = self.clock.read_s(now_s)
        self._sample_from(recording, now_s)

    # What happens to the device. Times are true time; every method returns what to publish.

    def connected(self, now_s: float) -> list[Publish]:
        self._produce(now_s)  # what was made until now is backlog: only what comes is live
        if not self._has_announced_boot:
            self._report("boot", now_s)
            self._has_announced_boot = True
        self.is_connected = True
        self._drained_at_s = self._heard_at_s = now_s
        self._report("online", now_s)
        return self.tick(now_s)

    def disconnected(self, now_s: float) -> list[Publish]:
        self._produce(now_s)
        self.is_connected = False
        self._allowance = 0.0
        return []

    def will(self, now_s: float) -> Publish:
        """The message to leave with the broker when connecting; the broker sends it if the line breaks."""
        return self.outbox.will(self._event("offline", now_s))

    def reboot(self, now_s: float, loses: Literal["nothing", "buffer", "count"] = "nothing") -> list[Publish]:
        """Restart, disconnected. It may lose the packets it held, and even how many samples there were."""
        self.is_connected = False
        previous, held = self._stretch, [s for s in self.buffer.stretches.values() if s.held]
        if loses != "nothing":
            self.buffer.lose_all()
        if loses == "count" and previous is not None:
            previous.knows_count = False
        self._declare_given_up([s for s in held if not s.held], now_s)
        self.boot += 1
        self._watch_until_s = self._slow_until_s = 0.0
        self._has_announced_boot = True
        known = previous is not None and previous.knows_count
        self._report(
            "boot",
            now_s,
            previous_boot=self.boot - 1,
            previous_count=previous.produced if previous is not None and known else None,
        )
        if self.recording is not None:
            self._sample_from(self.recording, now_s)
        return []

    def step_clock(self, now_s: float, by_s: float) -> None:
        """The clock is set: times jump, sampling goes on evenly."""
        self._produce(now_s)
        self.clock = replace(self.clock, error_s=self.clock.error_s + by_s)
        self._sampling_since_s += by_s
        self._recording_since_s += by_s
        self._watch_until_s += by_s
        self._slow_until_s += by_s
        self._hub_ahead_s = None

    def press_button(self, now_s: float) -> list[Publish]:
        return self._report_now("button", now_s)

    def press_sos(
        self, now_s: float, latitude_deg: float | None = None, longitude_deg: float | None = None
    ) -> list[Publish]:
        return self._report_now("sos", now_s, latitude_deg=latitude_deg, longitude_deg=longitude_deg)

    def set_electrodes_off(self, now_s: float, mask: int) -> list[Publish]:
        """Electrodes fall off or are put back; bit i stands for lead i. A packet has one mask: cut."""
        self._produce(now_s, all_of_it=True)
        worse = mask & ~self.electrodes_off
        self.electrodes_off = mask
        return self._report_now("lead-off" if worse else "lead-on", now_s, electrodes_off=mask)

    def on_message(self, topic_kind: str, payload: bytes, now_s: float) -> list[Publish]:
        """An `ack` or `cmd` of the hub; what can't be read is ignored, as a device has nobody to tell."""
        try:
            if topic_kind == "ack":
                self._on_ack(control.decode_ack(payload), now_s)
            elif topic_kind == "cmd":
                self._on_command(control.decode_command(payload), now_s)
        except DecodeError:
            return []
        return self.tick(now_s)

    def tick(self, now_s: float) -> list[Publish]:
        """Sample, cut, and send what is due: events, live packets, then backlog as far as allowed."""
        live = self._produce(now_s)
        if not self.is_connected:
            return []
        self._watch_battery(now_s)
        sent = self.outbox.due(now_s, self.clock.read_s(now_s))
        sent += [self._send(cut, now_s) for cut in live]
        sent += self._drain(now_s)
        self._end_what_is_drained(now_s)
        return sent

    # The truth, for tests and for whoever runs the simulation.

    def truth(self) -> dict[tuple[bytes, int], tuple[int, int]]:
        """(recording, boot) -> samples produced, samples given up before an acknowledgement covered them."""
        return {key: (s.produced, s.discarded) for key, s in self.buffer.stretches.items()}

    def is_drained(self, recording: bytes) -> bool:
        """Ended, and everything not given up is committed."""
        return recording in self.ended and not any(s.held for s in self._stretches(recording))

    def battery_percent(self, now_s: float) -> int:
        if self._charged_at_s is None:
            self._charged_at_s = now_s
        used = (now_s - self._charged_at_s) / BATTERY_LIFE_S
        return round(100 * max(0.0, self._charge_at_zero_s - used))

    # Sampling

    def _sample_from(self, recording: bytes, now_s: float) -> None:
        self._stretch = self.buffer.open(recording, self.boot)
        self._sampling_since_s = self.clock.read_s(now_s)
        self._stretch.begin = round((self._sampling_since_s - self._recording_since_s) * self.fs_hz)

    def _produce(self, now_s: float, all_of_it: bool = False) -> list[Cut]:
        """Cut the packets that have come full (or, with `all_of_it`, also the rest); returns them."""
        if self._stretch is None:
            return []
        device_time_s = self.clock.read_s(now_s)
        if device_time_s >= self._watch_until_s:
            self._packet_samples = self.fs_hz * PACKET_MS // 1000
        # A thousandth of a sample keeps rounding of large times from holding a full packet back.
        available = int((device_time_s - self._sampling_since_s) * self.fs_hz + 1e-3) - self._stretch.produced
        cuts = []
        while available >= self._packet_samples or (all_of_it and available > 0):
            count = min(available, self._packet_samples)
            cuts.append(self._cut(self._stretch, count, now_s))
            available -= count
        return cuts

    def _cut(self, stretch: Stretch, count: int, now_s: float) -> Cut:
        first = stretch.produced
        samples = self.signal(stretch.begin + first, count)
        if self.electrodes_off:
            on = [not self.electrodes_off >> lead & 1 for lead in range(len(self.leads))]
            samples = samples * np.array(on, np.int16)[:, None]
        whole = WaveformPacket(
            stretch.recording,
            stretch.boot,
            stretch.sequence,
            first,
            stretch.oldest,
            self._sampling_since_s + first / self.fs_hz,
            self.fs_hz,
            self.leads,
            self.uv_per_lsb,
            samples,
            self.electrodes_off,
            None,
        )
        cut = Cut(stretch, first, first + count, packet.body(whole, self.compress), now_s)
        self._declare_given_up(self.buffer.put(cut), now_s)
        return cut

    # Sending

    def _send(self, cut: Cut, now_s: float) -> Publish:
        self.buffer.sent(cut, now_s)
        return Publish("ecg", packet.frame(cut.body, cut.stretch.oldest, self.battery_percent(now_s)))

    def _drain(self, now_s: float) -> list[Publish]:
        """Backlog and resends, oldest first, at most `backlog_per_s`; a trickle while the hub is silent."""
        is_silent = now_s - self._heard_at_s > SILENT_AFTER_S
        rate = 1 / RETRY_S if is_silent else self.backlog_per_s
        earned = (now_s - self._drained_at_s) * rate
        self._allowance = min(self._allowance + earned, max(1.0, rate))
        self._drained_at_s = now_s
        if self.clock.read_s(now_s) < self._slow_until_s:
            return []
        sent: list[Publish] = []
        may_send = self._allowance if self.room is None else min(self._allowance, self.room)
        while len(sent) + 1 <= may_send and (cut := self.buffer.take_due(now_s)) is not None:
            sent.append(self._send(cut, now_s))
        self._allowance -= len(sent)
        return sent

    def _end_what_is_drained(self, now_s: float) -> None:
        for recording in [r for r in self._draining if not any(s.unsent for s in self._stretches(r))]:
            self._draining.remove(recording)
            known = [s for s in self._stretches(recording) if s.knows_count]
            self._report(
                "end",
                now_s,
                recording=recording,
                counts=tuple((s.boot, s.produced) for s in known),
                oldest=tuple((s.boot, s.oldest) for s in known),
            )

    def _declare_given_up(self, emptied: Iterable[Stretch], now_s: float) -> None:
        """No later packet of these stretches can carry `oldest`, so an event must."""
        for stretch in emptied:
            if stretch.knows_count:
                oldest = ((stretch.boot, stretch.oldest),)
                self._report("discard", now_s, recording=stretch.recording, oldest=oldest)

    def _stretches(self, recording: bytes) -> list[Stretch]:
        return [s for (of, _), s in self.buffer.stretches.items() if of == recording]

    # Events

    def _event(self, kind: str, now_s: float, **values: object) -> Event:
        found: dict[str, object] = {
            "id": self.outbox.next_id(self.boot),
            "kind": kind,
            "device_time_s": self.clock.read_s(now_s),
            "recording": self.recording,
            "boot": self.boot,
            "battery_percent": self.battery_percent(now_s),
        }
        return Event(**(found | values))  # type: ignore[arg-type]

    def _report(self, kind: str, now_s: float, **values: object) -> None:
        self.outbox.put(self._event(kind, now_s, **values), now_s)

    def _report_now(self, kind: str, now_s: float, **values: object) -> list[Publish]:
        if self._stretch is not None:
            elapsed_s = self.clock.read_s(now_s) - self._sampling_since_s
            values["sample"] = int(elapsed_s * self.fs_hz)
        self._report(kind, now_s, **values)
        return self.tick(now_s)

    def _watch_battery(self, now_s: float) -> None:
        percent = self.battery_percent(now_s)
        crossed = [w for w in BATTERY_WARNINGS_PERCENT if percent <= w < self._warned_percent]
        if crossed:
            self._warned_percent = min(crossed)
            self._report("battery", now_s)

    # What the hub says

    def _on_ack(self, ack: Ack, now_s: float) -> None:
        self._heard_at_s = now_s
        self.buffer.acknowledge(ack, now_s)
        self.outbox.acknowledge(ack.events)

    def _on_command(self, command: Command, now_s: float) -> None:
        """Obey once; a command that comes again gets the same answer again."""
        answer = self._answers.get(command.id)
        if answer is None:
            detail = (
                "expired" if self._is_expired(command, now_s) else _OBEY[command.kind](self, command, now_s)
            )
            answer = self._event("command", now_s, command_id=command.id, detail=detail)
            self._answers[command.id] = answer
            if len(self._answers) > REMEMBERED_COMMANDS:
                del self._answers[next(iter(self._answers))]
        self.outbox.put(answer, now_s)

    def _is_expired(self, command: Command, now_s: float) -> bool:
        """The hub's clock counts; its quickest message so far tells how far ours is off."""
        device_time_s = self.clock.read_s(now_s)
        if command.sent_at_s is not None:
            ahead_s = command.sent_at_s - device_time_s
            self._hub_ahead_s = ahead_s if self._hub_ahead_s is None else max(ahead_s, self._hub_ahead_s)
        return device_time_s + (self._hub_ahead_s or 0.0) > command.expires_at_s

    def _start(self, command: Command, now_s: float) -> str:
        recording = command.recording
        if recording is None or recording in self.ended:
            return "refused: this recording is over"
        if self.recording is not None:
            return "done" if self.recording == recording else "refused: another recording is running"
        # Rate and leads are wishes: this device has one format, and its packets say which.
        self.resume(recording, now_s)
        return "done"

    def _stop(self, command: Command, now_s: float) -> str:
        recording = command.recording
        if recording is None or recording != self.recording:
            return "done" if recording in self.ended else "refused: no such recording"
        self._produce(now_s, all_of_it=True)
        self.ended.add(recording)
        self._draining.append(recording)
        self.recording = self._stretch = None
        return "done"

    def _slow_down(self, command: Command, now_s: float) -> str:
        self._slow_until_s = self.clock.read_s(now_s) + (command.seconds or 0.0)
        return "done"

    def _watch(self, command: Command, now_s: float) -> str:
        self._watch_until_s = self.clock.read_s(now_s) + (command.seconds or 0.0)
        self._packet_samples = max(1, self.fs_hz * (command.packet_ms or PACKET_MS) // 1000)
        return "done"

    def _ask(self, command: Command, now_s: float) -> str:
        stretch = self.buffer.stretches.get((command.recording or b"", command.boot or 0))
        if stretch is None:
            return "refused: no such recording and boot"
        self.buffer.make_due(stretch, command.ranges, now_s)
        self._declare_given_up([] if stretch.held else [stretch], now_s)
        return "done"


_OBEY: Final[dict[str, Callable[[Holter, Command, float], str]]] = {
    "start": Holter._start,
    "stop": Holter._stop,
    "slow-down": Holter._slow_down,
    "watch": Holter._watch,
    "ask": Holter._ask,
}
