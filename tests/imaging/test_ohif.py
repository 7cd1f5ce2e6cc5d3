"""A viewer built by others lists and opens a study of the hub; `make prove ONLY=ohif` fetches it."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientSession, web
from PIL import Image
from playwright.async_api import Page, async_playwright
from pydicom.dataset import Dataset

from hub.core.actor import Actor
from hub.imaging.index import indexing, instances, nodes
from tests import world
from tests.imaging import senders
from tests.imaging.conftest import Clinic
from tests.parts import free_port

ROOT = Path(__file__).parents[2]
VERSION = "3.12.10"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "telehub" / f"ohif-{VERSION}"
TOKEN, STUDY, SIDE, SLICES = "of-the-viewer", "1.2.3", 256, 8
BROWSER = [
    "--no-sandbox",
    "--use-angle=swiftshader-webgl",
    "--disable-dev-shm-usage",
    "--ignore-gpu-blocklist",
]
PATIENCE_MS = 90_000
SCREENSHOT = os.environ.get("TELEHUB_SCREENSHOTS")
pytestmark = pytest.mark.skipif(
    "TELEHUB_OHIF" not in os.environ, reason="a viewer of others is fetched by make prove ONLY=ohif"
)


@pytest.fixture(scope="module")
def viewer() -> Path:
    """The folder of its pages, fetched once."""
    if not (CACHE / "package" / "dist" / "index.html").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        npm = [sys.executable, "build_web.py", "npm", "pack", f"@ohif/app@{VERSION}", "--silent"]
        subprocess.run([*npm, "--pack-destination", str(CACHE)], cwd=ROOT, check=True)
        (archive,) = CACHE.glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(CACHE, filter="data")
        archive.unlink()
    return CACHE / "package" / "dist"


def a_slice(number: int) -> Dataset:
    """A bright disc that grows from slice to slice."""
    made = senders.slice_of(STUDY, f"{STUDY}.1", number, side=SIDE)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    disc = np.where(np.hypot(x, y) < 30 + 8 * number, 300 + x, -900)
    made.PixelData = disc.astype("<i2").tobytes()
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 2 * number], [1, 0, 0, 0, 1, 0]
    made.PixelSpacing, made.FrameOfReferenceUID, made.SliceThickness = [1, 1], f"{STUDY}.7", 2
    made.RescaleIntercept, made.RescaleSlope, made.WindowCenter, made.WindowWidth = 0, 1, 0, 1500
    return made


def config(origin: str) -> str:
    root = f"{origin}/dicom-web"
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "hub",
        "configuration": {
            "friendlyName": "hub", "name": "hub", "qidoRoot": root, "wadoRoot": root, "wadoUriRoot": root,
            "qidoSupportsIncludeField": True, "imageRendering": "wadors", "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True, "supportsFuzzyMatching": False, "supportsWildcard": True,
            "bulkDataURI": {"enabled": True},
        },
    }  # fmt: skip
    whole = {
        "routerBasename": "/", "extensions": [], "modes": [], "showStudyList": True,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False, "defaultDataSourceName": "hub", "dataSources": [source],
        "disableConfirmationPrompts": True, "maxNumberOfWebWorkers": 1, "strictZSpacingForVolumeViewport": True,
    }  # fmt: skip
    return f"window.config = {json.dumps(whole)};"


@pytest.fixture(scope="module")
def pages(viewer: Path) -> dict[str, Path]:
    return {f"/{path.relative_to(viewer)}": path for path in viewer.rglob("*") if path.is_file()}


@pytest.fixture
async def origin(clinic: Clinic, viewer: Path, pages: dict[str, Path]) -> AsyncIterator[str]:
    """The viewer's pages and the hub behind one address, as a clinic's own proxy puts them together."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"

    async def ask_hub(request: web.Request) -> web.StreamResponse:
        kept = {name: value for name, value in request.headers.items() if name in ("Accept", "Host")}
        url = clinic.served.base + request.path_qs
        async with (
            ClientSession() as http,
            http.get(url, headers=kept | {"Authorization": f"Bearer {TOKEN}"}) as answer,
        ):
            body, kind = await answer.read(), answer.headers.get("Content-Type", "text/plain")
            return web.Response(status=answer.status, body=body, headers={"Content-Type": kind})

    async def page(request: web.Request) -> web.StreamResponse:
        if request.path == "/app-config.js":
            return web.Response(text=config(address), content_type="text/javascript")
        return web.FileResponse(pages.get(request.path, viewer / "index.html"))

    app = web.Application()
    app.router.add_get("/dicom-web/{rest:.*}", ask_hub)
    app.router.add_get("/{rest:.*}", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield address
    await runner.cleanup()


async def fill(clinic: Clinic) -> None:
    values = {"address": "192.0.2.7", "may_query": True, "token_sha256": nodes.token_hash(TOKEN)}
    node = Actor("node", str(await senders.node(clinic.two, "VIEWER", **values)))
    for number in range(SLICES):
        file = await clinic.store.put(senders.as_file(a_slice(number)), instances.MEDIA_TYPE)
        sender = nodes.sender(node.id, clinic.two.own.organisations["town"])  # type: ignore[arg-type]
        await instances.store_file(clinic.databases.app, clinic.store, node, world.AT, sender, file)
    await indexing.queue_waiting(clinic.context())
    await clinic.run_jobs()


async def shades(page: Page) -> int:
    """How many shades of grey the viewport shows."""
    picture = Image.open(io.BytesIO(await page.locator("canvas").first.screenshot())).convert("L")
    return len(set(picture.tobytes()))


async def test_ohif_lists_and_opens_a_study(clinic: Clinic, origin: str) -> None:
    await fill(clinic)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "chromium is missing: make setup installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=BROWSER)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_MS)
        refused: list[str] = []
        page.on("response", lambda got: refused.append(got.url) if got.status >= 400 else None)
        await page.goto(f"{origin}/")
        await page.get_by_text("王").first.wait_for()
        await page.get_by_text("胸部").first.wait_for()
        if SCREENSHOT:
            await page.screenshot(path=f"{SCREENSHOT}/ohif-list.png")
        await page.goto(f"{origin}/viewer?StudyInstanceUIDs={STUDY}")
        await page.get_by_text("1/8").first.wait_for()
        await page.locator("canvas").first.wait_for()
        for _ in range(60):
            if await shades(page) > 20:
                break
            await page.wait_for_timeout(500)
        if SCREENSHOT:
            await page.screenshot(path=f"{SCREENSHOT}/ohif-study.png")
        assert await shades(page) > 20
        assert [url for url in refused if "/dicom-web/" in url] == []
        await browser.close()
