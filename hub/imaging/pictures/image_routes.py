"""HTTP of images: `/api/images` for the viewer, rendered frames and thumbnails of DICOMweb (PS3.18 8.3.5)."""

import math
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from dicom import uids
from hub.core import errors
from hub.core.db import Row
from hub.core.fields import to_json
from hub.core.http import Bytes, Request, Route
from hub.imaging.pictures import images, rendering
from hub.imaging.pictures.rendering import Picture, Renderer, Uids

RENDERER: Final = web.AppKey("renderer", Renderer)
EDGE_MAX: Final = 2_048
SIDE_MAX: Final = 8_192
FRAMES_MAX: Final = 1 << 31
FUNCTIONS: Final = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
ANY: Final = ("*/*", "image/*")


async def read_manifest(request: Request) -> Bytes:
    """A study's images; compressed, since a series is hundreds of descriptions that hardly differ."""
    async with request.transaction() as conn:
        found = await images.manifest(conn, request.actor, request.at, request.uuid("dicom_study_id"))
    request.resource(RENDERER).warm()  # thumbnails are asked for next
    return Bytes(to_json(found).encode(), "application/json", compress=True)


async def read_pixels(request: Request) -> Bytes:
    """The serving copy; ranges of it are honoured."""
    row = await _found(request, "images.read", request.uuid("dicom_instance_id"))
    if row["file_sha256"] is None:
        raise errors.error("not_found")
    return Bytes(request.store.path(row["file_sha256"]), row["media_type"])


async def _found(request: Request, action: str, wanted: UUID | Uids, frame: int = 1) -> Row:
    looks = request.resource(RENDERER).looks
    return await rendering.find_frame(request.db, looks, request.actor, request.at, action, wanted, frame)


async def read_document(request: Request) -> Bytes:
    """The PDF an instance encapsulates, for the browser's own viewer in a frame of our page."""
    instance_id = request.uuid("dicom_instance_id")
    made = await images.document(request.db, request.actor, request.at, request.store, instance_id)
    return Bytes(made, "application/pdf", filename=f"{instance_id}.pdf")


async def list_priors(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        return {
            "priors": await images.priors(conn, request.actor, request.at, request.uuid("dicom_study_id"))
        }


async def thumbnail(request: Request) -> Bytes:
    """A small JPEG of a frame as the device wanted it shown."""
    frame = _frame(request)
    edge = request.query.integer("edge", 16, EDGE_MAX, default=rendering.THUMBNAIL_EDGE)
    row = await _found(request, "images.read", request.uuid("dicom_instance_id"), frame)
    wanted = Picture(quality=rendering.THUMBNAIL_QUALITY, edge=edge)
    made = await rendering.picture(request.resource(RENDERER), request.store, row, frame, wanted)
    return Bytes(made, rendering.JPEG)


async def rendered(request: Request) -> Bytes:
    """A frame of an instance (the first, where none is named), with the window and viewport that are asked for."""
    return await _rendered(request, _wanted(request))


async def rendered_thumbnail(request: Request) -> Bytes:
    """Of a study or series the image in its middle."""
    asked = _wanted(request)
    edge = int(max(asked.viewport[:2])) if asked.viewport else rendering.THUMBNAIL_EDGE
    return await _rendered(request, Picture(asked.media, rendering.THUMBNAIL_QUALITY, edge=edge))


async def _rendered(request: Request, wanted: Picture) -> Bytes:
    named = request.raw.match_info
    for name in ("study", "series", "instance"):
        if name in named and not uids.is_valid_uid(named[name]):
            raise errors.error("bad_field", field=name, expected="a UID")
    frame = _frame(request) if "number" in named else 1
    target = Uids(named["study"], named.get("series"), named.get("instance"))
    row = await _found(request, "dicom.query", target, frame)
    made = await rendering.picture(request.resource(RENDERER), request.store, row, frame, wanted)
    return Bytes(made, wanted.media)


def _frame(request: Request) -> int:
    text = request.text("number")
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 11 and 0 < int(text) < FRAMES_MAX):
        raise errors.error("bad_field", field="number", expected="one number, from 1")
    return int(text)


def _wanted(request: Request) -> Picture:
    """Query parameters of PS3.18 8.3.5.1; annotations and colour profiles are not made, and so refused."""
    query = request.raw.query
    for name in ("annotation", "iccprofile"):
        if query.get(name, "no") != "no":
            raise errors.error("bad_field", field=name, expected="nothing: it is not made")
    quality = request.query.integer("quality", 1, 100, default=Picture.quality)
    return Picture(_media(request), quality, _window(request), _viewport(request))


def _media(request: Request) -> str:
    """JPEG, or PNG if that is preferred; anything else is refused."""
    accept = request.raw.query.get("accept") or request.raw.headers.get("Accept") or "*/*"
    offers = sorted((_offer(part) for part in accept.split(",")), key=lambda offer: -offer[1])
    for media, weight in offers:
        if weight > 0 and media in (rendering.JPEG, rendering.PNG, *ANY):
            return rendering.JPEG if media in ANY else media
    raise errors.error("not_acceptable", expected=f"{rendering.JPEG} or {rendering.PNG}")


def _offer(part: str) -> tuple[str, float]:
    media, *parameters = (word.strip().lower() for word in part.split(";"))
    weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
    try:
        return media, float(weight)
    except ValueError:
        return media, 0.0


def _window(request: Request) -> tuple[float, float, str] | None:
    asked = request.raw.query.get("window")
    if asked is None:
        return None
    words = asked.split(",")
    if len(words) == 3 and words[2].strip().lower() in FUNCTIONS:
        center, width = _numbers(words[:2])
        function = FUNCTIONS[words[2].strip().lower()]
        if center is not None and width is not None and width >= (1 if function == "LINEAR" else 1e-9):
            return center, width, function
    raise errors.error("bad_field", field="window", expected="center,width,linear|linear-exact|sigmoid")


def _viewport(request: Request) -> tuple[float, ...] | None:
    asked = request.raw.query.get("viewport")
    if asked is None:
        return None
    found = _numbers(asked.split(","))
    numbers = [one for one in found if one is not None]
    if len(numbers) == len(found) and len(found) in (2, 6):
        width, height, *part = numbers
        sound = not part or (part[0] >= 0 and part[1] >= 0 and part[2] != 0 and part[3] != 0)
        if 1 <= width <= SIDE_MAX and 1 <= height <= SIDE_MAX and sound:
            return int(width), int(height), *part
    raise errors.error("bad_field", field="viewport", expected="width,height[,x,y,width,height]")


def _numbers(words: list[str]) -> list[float | None]:
    found: list[float | None] = []
    for word in words:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        found.append(value if math.isfinite(value) and abs(value) < 1e9 else None)
    return found


async def close(application: web.Application) -> None:
    """When the hub ends, so does the child that makes pictures."""
    await application[RENDERER].close()


_OWN: Final = "/api/images"
_IMAGE: Final = f"{_OWN}/instances/{{dicom_instance_id}}"
_STUDY: Final = "/dicom-web/studies/{study}"
_INSTANCE: Final = f"{_STUDY}/series/{{series}}/instances/{{instance}}"
ROUTES = [
    Route("GET", f"{_OWN}/{{dicom_study_id}}", read_manifest, "images.read", kind="bytes"),
    Route("GET", f"{_OWN}/{{dicom_study_id}}/priors", list_priors, "images.read"),
    Route("GET", f"{_IMAGE}/document", read_document, "images.read", kind="bytes"),
    Route("GET", f"{_IMAGE}/pixels", read_pixels, "images.read", kind="bytes"),
    Route("GET", f"{_IMAGE}/frames/{{number}}/thumbnail", thumbnail, "images.read", kind="bytes"),
    Route("GET", f"{_INSTANCE}/rendered", rendered, "dicom.query", kind="bytes"),
    Route("GET", f"{_INSTANCE}/frames/{{number}}/rendered", rendered, "dicom.query", kind="bytes"),
    Route("GET", f"{_STUDY}/thumbnail", rendered_thumbnail, "dicom.query", kind="bytes"),
    Route("GET", f"{_STUDY}/series/{{series}}/thumbnail", rendered_thumbnail, "dicom.query", kind="bytes"),
    Route("GET", f"{_INSTANCE}/thumbnail", rendered_thumbnail, "dicom.query", kind="bytes"),
    Route("GET", f"{_INSTANCE}/frames/{{number}}/thumbnail", rendered_thumbnail, "dicom.query", kind="bytes"),
]
