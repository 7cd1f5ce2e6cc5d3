"""What the viewer draws at 1:1 is what the hub renders, pixel by pixel, for files of every kind and transfer syntax.

What the hub renders is held equal to pydicom's transforms, of these same files, by tests/dicom/test_pixels_files.py.
"""

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from aiohttp import web
from numpy.typing import NDArray
from playwright.async_api import Browser, Page

from dicom import InvalidInstance
from dicom.pixels import copying, rendering
from dicom.pixels.faults import PixelFault
from dicom.pixels.frames import open_pixels
from hub.core.answers import CONTENT_SECURITY_POLICY
from tests.dicom.test_pixels_files import COLOUR_STEP, FOLDER
from tests.journeys.conftest import PATIENCE_MS, ROOT
from tests.parts import free_port

PANE_PX = 640  # larger images are left out
FEWEST = 40
ME = {
    "account": {"id": "a", "login": "a", "name": "a", "locale": "en", "time_zone": "UTC"},
    "roles": [], "csrf": "", "pages": [],
}  # fmt: skip
# Red, green and blue of a part of the canvas in base64, after the next picture of the screen.
PART = """async ([columns, rows]) => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const canvas = document.querySelector('canvas[data-testid="image"]');
  const [x, y] = [Math.round(canvas.width / 2 - columns / 2), Math.round(canvas.height / 2 - rows / 2)];
  const { data } = canvas.getContext('2d').getImageData(x, y, columns, rows);
  const parts = [];
  for (let at = 0; at < data.length; at += 32768) parts.push(String.fromCharCode(...data.subarray(at, at + 32768)));
  return btoa(parts.join(''));
}"""


@dataclass(frozen=True)
class Shown:
    name: str
    copy: copying.Copy
    data: bytes


def copies() -> list[Shown]:
    """The first frame of a file of every kind there is in the collection, as its serving copy."""
    found: dict[Any, Shown] = {}
    for path in sorted(FOLDER.rglob("*.dcm")):
        made: list[bytes] = []
        try:
            pixels = open_pixels(BytesIO(path.read_bytes()))
            shape, data_set = pixels.shape, pixels.data_set
            tables = "ModalityLUTSequence" in data_set, "VOILUTSequence" in data_set
            kind = (pixels.syntax, shape.photometric, shape.bits_stored, shape.is_signed, *tables)
            if (
                kind in found
                or not pixels.keyword
                or max(shape.rows, shape.columns) > PANE_PX
                or shape.frames > 2
            ):
                continue
            found[kind] = Shown(path.name, copying.make(pixels, made.append), b"".join(made))
        except (InvalidInstance, PixelFault):
            continue
    return list(found.values())


def first_frame(copy: copying.Copy) -> dict[str, Any]:
    return {**copy.layout, "frames": copy.layout["frames"][:1]}


def expected(shown: Shown) -> NDArray[np.uint8]:
    """(rows, columns, 3) of the first frame, as the hub renders it."""
    layout = rendering.of_frame(shown.copy.layout, 0)
    frame = shown.data[: layout["frames"][0]["length"]]
    values = (
        imagecodecs.jpeg8_decode(frame) if shown.copy.media_type == copying.JPEG else copying.decode(frame)
    )
    if layout["photometric"] == "RGB":
        return np.asarray(values)
    grey = rendering.shown(values, layout, rendering.stored_of(layout), None)
    return np.repeat(grey[..., None], 3, axis=2)


@contextlib.asynccontextmanager
async def serving(shown: list[Shown]) -> AsyncIterator[str]:
    """The built pages, under the hub's policy, and a study that holds these images."""
    bundle = ROOT / "hub" / "web"
    instances = [
        {
            "id": str(n),
            "sop_uid": one.name,
            "state": "ready",
            "kind": "image",
            "pixels": first_frame(one.copy),
        }
        for n, one in enumerate(shown)
    ]
    series = {
        "id": "s",
        "series_uid": "1",
        "modality": "OT",
        "description": "",
        "common": {},
        "instances": instances,
    }
    answers = {
        "/api/me": ME, "/api/images/study": {"study": {"id": "study"}, "series": [series]},
        "/api/images/study/marks": {"annotations": [], "key_images": []}, "/api/images/study/priors": {"priors": []},
    }  # fmt: skip

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path in answers:
            return web.json_response(answers[request.path])
        if request.path.endswith("/pixels"):
            part = request.http_range
            return web.Response(body=shown[int(request.path.split("/")[4])].data[part], status=206)
        path = bundle / ("viewer.html" if request.path == "/viewer" else request.path.lstrip("/"))
        return web.FileResponse(path) if path.is_file() else web.Response(status=404)

    async def policy(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    app.on_response_prepare.append(policy)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.filterwarnings("ignore")  # of pydicom, about files that are broken on purpose
@pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the collection of real DICOM files is not here (TELEHUB_DATA)"
)
async def test_the_canvas_holds_what_the_hub_renders(browser: Browser) -> None:
    shown = copies()
    assert len(shown) >= FEWEST, len(shown)
    async with serving(shown) as base:
        page = await browser.new_page(viewport={"width": PANE_PX + 400, "height": PANE_PX + 400})
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(f"{base}/viewer#study")
        wrong = [
            f"{one.name}: {fault}" for n, one in enumerate(shown) if (fault := await differs(page, n, one))
        ]
        await page.close()
    assert wrong == [], json.dumps(wrong, indent=1)


async def differs(page: Page, place: int, one: Shown) -> str | None:
    """How the image at a place is drawn otherwise; then on to the next."""
    await page.wait_for_selector(f'canvas[data-complete="true"][data-slice="{place}"]')
    await page.keyboard.press("f")
    await page.keyboard.press("=")
    picture = expected(one)
    rows, columns = picture.shape[:2]
    raw = base64.b64decode(await page.evaluate(PART, [columns, rows]))
    await page.keyboard.press("ArrowDown")
    drawn = np.frombuffer(raw, np.uint8).reshape(rows, columns, 4)[..., :3]
    most = int(np.abs(drawn.astype(int) - picture).max())
    return f"by {most}" if most > (COLOUR_STEP if one.copy.media_type == copying.JPEG else 0) else None
