"""The viewer on a township's line, 4 Mbit/s and 120 ms, cold: CTs of 200 slices, a real hub, a real browser.

Peers of the same run: for the first image the browser opening nothing but that slice as the hub's JPEG; for what is
loaded the line's own time for those bytes; for memory the decoded values alone. Memory is the resident set of the
page's process (psutil), which holds the browser's own part as well.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from aiohttp import ClientSession
from playwright.async_api import Browser, BrowserContext, Page

from bench._installation import Installation, now, running
from bench._pages import browser, hub
from dicom.phantom import Chest, Patient, files
from hub.core import http
from hub.core.actor import job
from hub.core.db import Database
from hub.core.store import Store
from hub.imaging.index import instances
from hub.imaging.index.instances import Sender
from tests import world

SLICES = 200
SIDE = 512
LINE = {
    "offline": False,
    "latency": 120,
    "downloadThroughput": 4e6 / 8,
    "uploadThroughput": 1e6 / 8,
}  # ms, bytes/s
COPIES_WITHIN_S = 180.0
PATIENCE_MS = 120_000
SENDER = job("bench")
ROLE = "township_doctor"

# When a picture was first on the canvas, and when it was whole, by the page's own clock since it was asked for.
WATCH = """window.told = {};
const look = () => {
  const canvas = document.querySelector('canvas[data-testid="image"]');
  const progress = document.querySelector('[data-test=progress]');
  if (canvas?.dataset.level) window.told.first ??= performance.now();
  if (canvas?.dataset.complete === 'true') window.told.whole ??= performance.now();
  if (progress && progress.dataset.small === progress.dataset.total) window.told.small ??= performance.now();
  requestAnimationFrame(look);
};
requestAnimationFrame(look);"""
# From the key that ends the scrolling to the frame behind the one in which the last slice is whole.
STOP_AT = """async (place) => {
  const frame = () => new Promise(requestAnimationFrame);
  const canvas = () => document.querySelector('canvas[data-testid="image"]').dataset;
  const pane = document.querySelector('.pane'), began = performance.now();
  pane.dispatchEvent(new KeyboardEvent('keydown', { key: 'End', bubbles: true }));
  while (canvas().slice !== String(place) || canvas().complete !== 'true') await frame();
  await frame();
  return performance.now() - began;
}"""
# Each slice is drawn whole before the next key.
SCROLL = """async (slices) => {
  const frame = () => new Promise(requestAnimationFrame);
  const canvas = () => document.querySelector('canvas[data-testid="image"]').dataset;
  const pane = document.querySelector('.pane');
  const press = (key) => pane.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  press('Home');
  while (canvas().slice !== '0') await frame();
  const began = performance.now();
  for (let place = 1; place < slices; place++) {
    press('ArrowDown');
    while (canvas().slice !== String(place) || canvas().complete !== 'true') await frame();
  }
  return (slices - 1) / (performance.now() - began) * 1000;
}"""

Row = dict[str, Any]


@dataclass(frozen=True)
class Ready:
    """A hub with the two studies, and who looks at them."""

    base: str
    token: str
    studies: tuple[str, str]
    manifest: dict[str, Any]


async def _send(installation: Installation) -> None:
    """Two CTs for a town; their serving copies are the work of the jobs process."""
    town = installation.town.own.organisations["town"]
    store = Store(installation.settings.data_dir / "files")
    async with Database(installation.dsn, "hub_app", 2) as database:
        for n in range(2):
            chest = Chest(
                uuid4(), Patient("张三", f"P{n}", "19500501", "M"), now() - timedelta(days=n), SLICES, SIDE
            )
            for content in files(chest):
                file = await store.put(content, instances.MEDIA_TYPE)
                await instances.store_file(database, store, SENDER, now(), Sender(town, "hub"), file)


async def _sign_in(installation: Installation) -> str:
    own = installation.town.own
    async with await world.connect(installation.dsn) as admin:
        await admin.execute(
            "UPDATE session SET created_at = %(at)s, last_seen_at = %(at)s, expires_at = %(until)s",
            {"at": now(), "until": now() + timedelta(hours=2)},
        )
    return own.token(ROLE)


async def _ready(base: str, token: str) -> Ready:
    """Once all copies are made."""
    async with (
        ClientSession(base, cookies={http.SESSION_COOKIE: token}) as client,
        asyncio.timeout(COPIES_WITHIN_S),
    ):
        while True:
            async with client.get("/api/dicom/studies") as answer:
                ids = [study["id"] for study in (await answer.json())["studies"]]
            manifests = []
            for study_id in ids:
                async with client.get(f"/api/images/{study_id}") as answer:
                    manifests.append(await answer.json())
            if len(ids) == 2 and all(_is_made(one) for one in manifests):
                return Ready(base, token, (ids[0], ids[1]), manifests[0])
            await asyncio.sleep(1)


def _is_made(manifest: dict[str, Any]) -> bool:
    states = [one["state"] for series in manifest["series"] for one in series["instances"]]
    return len(states) == SLICES and set(states) == {"ready"}


async def _context(chromium: Browser, ready: Ready) -> BrowserContext:
    context = await chromium.new_context(viewport={"width": 1440, "height": 900}, locale="zh-CN")
    await context.add_cookies([{"name": http.SESSION_COOKIE, "value": ready.token, "url": ready.base}])
    return context


async def _on_line(page: Page) -> None:
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", LINE)


async def _cold(chromium: Browser, ready: Ready) -> list[Row]:
    """First image, all small, and the whole of a slice where scrolling stops, in a browser that has nothing yet."""
    context = await _context(chromium, ready)
    page = await context.new_page()
    await _on_line(page)
    await page.add_init_script(WATCH)
    await page.goto(f"{ready.base}/viewer#{ready.studies[0]}", wait_until="commit")
    await page.wait_for_selector(f'[data-test=progress][data-small="{SLICES}"]', timeout=PATIENCE_MS)
    told = await page.evaluate("window.told")
    stopped_ms = await page.evaluate(STOP_AT, SLICES - 1)
    await context.close()
    frames = [one["pixels"]["frames"][0] for one in ready.manifest["series"][0]["instances"]]
    small, whole = sum(frame["cuts"][-3] for frame in frames), frames[-1]["length"]
    jpeg_ms = await _jpeg_ms(chromium, ready)
    figures = (
        ("first CT image, cold", told["first"], "that slice as JPEG alone", jpeg_ms / 1e3),
        ("first CT image lossless, cold", told["whole"], "the line, its bytes", _line_s(frames[0]["length"])),
        ("200 slices at quarter size, cold", told["small"], "the line, their bytes", _line_s(small)),
        ("slice lossless after scrolling stops", stopped_ms, "the line, its bytes", _line_s(whole)),
    )
    return [_row(name, took_ms / 1e3, "s", peer, peer_s) for name, took_ms, peer, peer_s in figures]


def _line_s(size_bytes: int) -> float:
    return size_bytes / LINE["downloadThroughput"]


async def _jpeg_ms(chromium: Browser, ready: Ready) -> float:
    first = ready.manifest["series"][0]["instances"][0]["id"]
    context = await _context(chromium, ready)
    page = await context.new_page()
    await _on_line(page)
    await page.goto(f"{ready.base}/api/images/instances/{first}/frames/1/thumbnail?edge={SIDE}")
    took_ms: float = await page.evaluate("performance.getEntriesByType('navigation')[0].responseEnd")
    await context.close()
    return took_ms


async def _loaded(chromium: Browser, ready: Ready) -> list[Row]:
    """How fast one scrolls through a CT that is there, and what a page with two of them holds after scrolling."""
    per_s, _ = await _scrolled(chromium, ready, 1)
    two_per_s, memory_mb = await _scrolled(chromium, ready, 2)
    values_mb = 2 * SLICES * SIDE * SIDE * 2 / 1e6
    return [
        _row("slices per second, loaded", per_s, "slices/s", "aim", 30.0),
        _row("slices per second, two CTs loaded", two_per_s, "slices/s", "aim", 30.0),
        _row("memory of a page with two CTs", memory_mb, "MB", "their values alone", values_mb),
    ]


async def _scrolled(chromium: Browser, ready: Ready, studies: int) -> tuple[float, float]:
    """Slices per second, the best of three, and megabytes, with so many CTs side by side."""
    context = await _context(chromium, ready)
    page = await context.new_page()
    await page.goto(f"{ready.base}/viewer#{','.join(ready.studies[:studies])}")
    for pane in reversed(range(studies)):
        await page.locator(f"[data-test=pane-{pane}]").focus()
        await page.wait_for_selector(f'[data-test=progress][data-full="{SLICES}"]', timeout=PATIENCE_MS)
    per_s = max([await page.evaluate(SCROLL, SLICES) for _ in range(3)])
    memory_mb = _page_mb()
    await context.close()
    return per_s, memory_mb


def _page_mb() -> float:
    """Resident set of the largest page process of this bench's browser."""
    own = psutil.Process().children(recursive=True)
    pages = [one for one in own if any("--type=renderer" in word for word in one.cmdline())]
    return max(float(one.memory_info().rss) for one in pages) / 1e6


def _row(name: str, value: float, unit: str, peer: str, peer_value: float) -> Row:
    return {
        "name": f"viewer: {name}",
        "value": value,
        "unit": unit,
        "peer": peer,
        "peer_value": peer_value,
        "ratio": value / peer_value,
    }


async def _run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        async with running(Path(name), 1) as installation:
            token = await _sign_in(installation)
            await _send(installation)
            async with hub(installation) as base, browser() as chromium:
                ready = await _ready(base, token)
                return [*await _cold(chromium, ready), *await _loaded(chromium, ready)]


def run() -> list[Row]:
    return asyncio.run(_run())
