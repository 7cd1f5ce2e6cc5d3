"""Watching: how old a sample is when a real browser has painted it, and how evenly the trace moves.

Fifty Holters send to the hub's own processes; a doctor's page shows one of them. Every frame of the page tells which
sample its trace has reached; the sample counts as painted when the next frame begins. The floor beside it is the
packet's own length: no page can show the first sample of a packet before its last was made.
"""

import asyncio
import contextlib
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Any

from playwright.async_api import Browser, Page

from bench._installation import Installation, now, running
from bench._pages import READY_S, browser, hub
from devices import control
from devices.simulator import Holter
from devices.simulator.publish import Publish
from hub.core import http
from hub.simulate import Line, Virtual, heart_signal
from tests import world
from tests.monitoring import Worn

DEVICES = 50
PLAIN = 1  # this one knows no `watch`
WATCHED_S = int(os.environ.get("WATCHED_S", "40"))
SETTLING_S = 10  # the page learns how late packets come
STEP_S = 0.02

# What each frame shows; a sample is on the glass when the next frame begins.
RECORD_FRAMES = """() => {
  const told = (window.frames_told = []);
  let before = null;
  const step = (at) => {
    const trace = document.querySelector('canvas[data-head-sample]');
    if (before !== null) told.push([at - before.at, performance.timeOrigin + at, before.head]);
    before = { at, head: Number(trace.dataset.headSample) };
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}"""

Row = dict[str, Any]


class Plain(Holter):
    """A Holter that knows no `watch`: it goes on with packets of one second."""

    def on_message(self, topic_kind: str, payload: bytes, now_s: float) -> list[Publish]:
        if topic_kind == "cmd" and control.decode_command(payload).kind == "watch":
            return []
        return super().on_message(topic_kind, payload, now_s)


def run(watched_s: int = WATCHED_S) -> list[Row]:
    return asyncio.run(_run(watched_s))


async def _run(watched_s: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        async with running(Path(folder), DEVICES) as installation, hub(installation) as base:
            with _devices(installation):
                async with browser() as opened:
                    short, plain = installation.worn[PLAIN - 1], installation.worn[PLAIN]
                    by_second = await _watched(opened, installation, base, plain, watched_s)
                    by_fifth = await _watched(opened, installation, base, short, watched_s)
    return [
        *_rows("sample to paint, 1-s packets", by_second, 1.0),
        *_rows("sample to paint, 200-ms packets", by_fifth, 0.2),
    ]


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame of the page showed."""

    age_s: float  # of the newest painted sample
    took_s: float
    head_sample: int


def _rows(name: str, frames: Sequence[Frame], packet_s: float) -> list[Row]:
    ages, intervals = [frame.age_s for frame in frames], [frame.took_s for frame in frames]
    still = sum(one.head_sample == next_.head_sample for one, next_ in pairwise(frames))
    packet, screen = "length of a packet", "60 frames a second"
    return [
        _row(f"{name}, p50", quantiles(ages, n=100)[49] * 1000, "ms", packet, packet_s * 1000),
        _row(f"{name}, p95", quantiles(ages, n=100)[94] * 1000, "ms", packet, packet_s * 1000),
        _row(f"{name}: frame interval, p95", quantiles(intervals, n=100)[94] * 1000, "ms", screen, 1000 / 60),
        _row(f"{name}: frames in which the trace stood still", 100 * still / len(frames), "%", None, None),
    ]


def _row(name: str, value: float, unit: str, peer: str | None, peer_value: float | None) -> Row:
    ratio = value / peer_value if peer_value else None
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": peer,
        "peer_value": peer_value,
        "ratio": ratio,
    }


@contextlib.contextmanager
def _devices(installation: Installation) -> Any:
    """All Holters, in a process of their own so that the browser's delays are not theirs."""
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    at = (installation.settings.mqtt_devices_host, installation.settings.mqtt_devices_port)
    process = spawn.Process(target=_play, args=(installation.worn, at, stop))
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join(10)


def _play(worn: Sequence[Worn], broker: tuple[str, int], stop: Event) -> None:
    lines, began_s = [], now().timestamp()
    for number, one in enumerate(worn):
        virtual = Virtual(one.device_id, one.shard, one.password, heart="ectopic", seed=number)
        kind = Plain if number == PLAIN else Holter
        device = kind(virtual.id, *heart_signal(virtual), rng=Random(number), boot=1)
        device.resume(one.recording_id.bytes, began_s)
        lines.append(Line(virtual, device, broker))
    while not stop.wait(STEP_S):
        for line in lines:
            line.step()


async def _watched(
    browser: Browser, installation: Installation, base: str, worn: Worn, watched_s: int
) -> list[Frame]:
    """Look at one patient, frame by frame."""
    tenant = installation.town.own
    async with await world.connect(installation.dsn) as admin:
        await admin.execute(
            "UPDATE session SET created_at = %(at)s, last_seen_at = %(at)s, expires_at = %(until)s",
            {"at": now(), "until": now() + timedelta(hours=1)},
        )
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, locale="zh-CN")
    await context.add_cookies(
        [{"name": http.SESSION_COOKIE, "value": tenant.token("township_doctor"), "url": base}]
    )
    page: Page = await context.new_page()
    await page.goto(f"{base}/live?recording={worn.recording_id}")
    await page.wait_for_selector("canvas[data-head-sample]", timeout=READY_S * 1000)
    await page.wait_for_timeout(SETTLING_S * 1000)
    await page.evaluate(RECORD_FRAMES)
    await page.wait_for_timeout(watched_s * 1000)
    frames = await page.evaluate("window.frames_told")
    await context.close()
    anchor_s, fs_hz = await _line(installation, worn)
    return [
        Frame(at_ms / 1000 - anchor_s - head / fs_hz, took_ms / 1000, head) for took_ms, at_ms, head in frames
    ]


async def _line(installation: Installation, worn: Worn) -> tuple[float, int]:
    """When sample 0 was made, by the device's own clock, which is this machine's."""
    async with await world.connect(installation.dsn) as admin:
        cursor = await admin.execute(
            "SELECT b.anchor_at, r.fs_hz FROM recording_boot b JOIN recording r ON r.id = b.recording_id"
            " WHERE r.id = %s",
            (worn.recording_id,),
        )
        row = await cursor.fetchone()
    assert row is not None
    return row["anchor_at"].timestamp(), row["fs_hz"]
