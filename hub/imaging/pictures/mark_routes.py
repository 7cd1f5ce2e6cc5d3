"""HTTP of what people mark on images."""

from typing import Any, Final

from hub.core.fields import Fields
from hub.core.http import Request, Route
from hub.imaging.pictures import marks

TEXT_CHARS: Final = 500
FRAMES_MAX: Final = 1 << 31
PIXELS_MAX: Final = 1 << 20  # of a point; no image is larger
WINDOW_MAX: Final = 1e9


async def read(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        return await marks.read_marks(conn, request.actor, request.at, request.uuid("dicom_study_id"))


async def put_annotation(request: Request) -> None:
    sent = await request.body()
    kind = sent.choice("kind", marks.POINTS_OF)
    new = marks.Annotation(
        id=request.uuid("annotation_id"),
        instance_id=sent.uuid("instance_id"),
        frame=sent.integer("frame", 1, FRAMES_MAX),
        kind=kind,
        points=_points(sent, kind),
        text=sent.text("text", TEXT_CHARS, required=False),
    )
    async with request.transaction() as conn:
        await marks.put_annotation(conn, request.actor, request.at, request.uuid("dicom_study_id"), new)


def _points(sent: Fields, kind: str) -> list[tuple[float, float]]:
    least, most = marks.POINTS_OF[kind]
    found = sent.values.get("points")
    if not isinstance(found, list) or not least <= len(found) <= most:
        raise sent.bad("points", f"{least} to {most} points")
    if not all(_is_point(point) for point in found):
        raise sent.bad("points", "[column, row] in pixels")
    return [(float(x), float(y)) for x, y in found]


def _is_point(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(part) in (int, float) and -PIXELS_MAX <= part <= PIXELS_MAX for part in value)
    )


async def remove_annotation(request: Request) -> None:
    async with request.transaction() as conn:
        await marks.remove_annotation(
            conn, request.actor, request.at, request.uuid("dicom_study_id"), request.uuid("annotation_id")
        )


async def put_key_image(request: Request) -> None:
    sent = await request.body()
    new = marks.KeyImage(
        instance_id=request.uuid("dicom_instance_id"),
        frame=_frame(request),
        note=sent.text("note", TEXT_CHARS, required=False),
        window=_window(sent.mapping("window")) if sent.has("window") else None,
    )
    async with request.transaction() as conn:
        await marks.put_key_image(conn, request.actor, request.at, request.uuid("dicom_study_id"), new)


def _window(sent: Fields) -> tuple[float, float]:
    return sent.number("center", -WINDOW_MAX, WINDOW_MAX), sent.number("width", 1e-9, WINDOW_MAX)


async def remove_key_image(request: Request) -> None:
    study_id, instance_id = request.uuid("dicom_study_id"), request.uuid("dicom_instance_id")
    async with request.transaction() as conn:
        await marks.remove_key_image(conn, request.actor, request.at, study_id, instance_id, _frame(request))


def _frame(request: Request) -> int:
    return Fields({"frame": request.text("frame")}, textual=True).integer("frame", 1, FRAMES_MAX)


STUDY: Final = "/api/images/{dicom_study_id}"
ROUTES: Final = (
    Route("GET", f"{STUDY}/marks", read, "images.read"),
    Route("PUT", f"{STUDY}/annotations/{{annotation_id}}", put_annotation, "images.annotate"),
    Route("DELETE", f"{STUDY}/annotations/{{annotation_id}}", remove_annotation, "images.annotate"),
    Route("PUT", f"{STUDY}/key-images/{{dicom_instance_id}}/{{frame}}", put_key_image, "images.annotate"),
    Route(
        "DELETE", f"{STUDY}/key-images/{{dicom_instance_id}}/{{frame}}", remove_key_image, "images.annotate"
    ),
)
