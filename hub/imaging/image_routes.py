"""HTTP of the viewer: `/api/images`."""

from typing import Any

from hub.core.fields import to_json
from hub.core.http import Bytes, Request, Route
from hub.imaging import images


async def read_manifest(request: Request) -> Bytes:
    """A study's images; compressed, since a series is hundreds of descriptions that hardly differ."""
    async with request.transaction() as conn:
        found = await images.manifest(conn, request.actor, request.at, request.uuid("dicom_study_id"))
    return Bytes(to_json(found).encode(), "application/json", compress=True)


async def read_pixels(request: Request) -> Bytes:
    """The serving copy; ranges of it are honoured."""
    async with request.transaction() as conn:
        path, media_type = await images.pixels_file(
            conn, request.actor, request.at, request.store, request.uuid("dicom_instance_id")
        )
    return Bytes(path, media_type)


async def list_priors(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        return {
            "priors": await images.priors(conn, request.actor, request.at, request.uuid("dicom_study_id"))
        }


ROUTES = [
    Route("GET", "/api/images/{dicom_study_id}", read_manifest, "images.read", kind="bytes"),
    Route("GET", "/api/images/{dicom_study_id}/priors", list_priors, "images.read"),
    Route(
        "GET", "/api/images/instances/{dicom_instance_id}/pixels", read_pixels, "images.read", kind="bytes"
    ),
]
