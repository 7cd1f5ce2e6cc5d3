"""Where the R peaks are on the screen: read from the pixels of the live trace, not from the program that drew it."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import Locator

PIXELS = """canvas => new Promise(done => {
  const data = {...canvas.dataset, ratio: canvas.width / canvas.clientWidth};
  canvas.toBlob(async blob => done([data, Array.from(new Uint8Array(await blob.arrayBuffer()))]));
})"""
MARK_BAND_PX = 14  # beat marks of the program stand above the leads


@dataclass(frozen=True)
class Sweep:
    """One picture of the trace: ink as bool [row, column] in CSS pixels' scale, and what the canvas says of itself."""

    ink: NDArray[np.bool_]
    ratio: float
    px_per_second: float
    fs_hz: int
    first_sample: int
    head_sample: int
    baselines: list[float]

    def x_of(self, samples: NDArray[np.int64]) -> NDArray[np.float64]:
        return (samples - self.first_sample) / self.fs_hz * self.px_per_second


async def picture(canvas: Locator) -> Sweep:
    data, png = await canvas.evaluate(PIXELS)
    image = np.asarray(Image.open(BytesIO(bytes(png))).convert("RGBA"))
    return Sweep(
        image[:, :, 3] > 100,
        float(data["ratio"]),
        float(data["pxPerSecond"]),
        round(float(data["fsHz"])),
        int(data["passFirstSample"]),
        int(data["headSample"]),
        [float(part) for part in data["baselines"].strip("[]").split(",")],
    )


def r_peaks(sweep: Sweep, lead: int) -> NDArray[np.float64]:
    """x (CSS px) of tall peaks of a lead, found in the picture alone; of the running pass, left of the pen."""
    top = int(MARK_BAND_PX * sweep.ratio) if lead == 0 else int(sweep.baselines[lead - 1] * sweep.ratio)
    base = int(sweep.baselines[lead] * sweep.ratio)
    pen = int(sweep.x_of(np.array([sweep.head_sample]))[0] * sweep.ratio)
    band = sweep.ink[top:base, :pen]
    height = np.where(band.any(axis=0), band.shape[0] - band.argmax(axis=0), 0).astype(float)
    tall = height > np.median(height) + 0.5 * (height.max() - np.median(height))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], tall.astype(int), [0]])))
    peaks = [
        a + height[a:b].argmax() + (height[a:b] == height[a:b].max()).sum() / 2
        for a, b in edges.reshape(-1, 2)
    ]
    return np.array(peaks) / sweep.ratio
