"""What the paper of an imaging report shows besides the words: which images were read, and the key images."""

from collections.abc import Mapping
from typing import Any, Final

from hub.core.pdf import CONTENT_MM, GREY, MARGIN_MM
from hub.core.pdf_text import wrapped
from hub.reading import paper_marks
from hub.reading.sheet import Sheet

KEY_IMAGES_MAX: Final = 12  # on paper; it says how many more there are
SIDE_MM, GAP_MM, CAPTION_MM = 86.0, 8.0, 12.0  # two pictures beside each other
LABEL_MM: Final = 34.0
SERIES_MAX: Final = 30


def study(s: Sheet) -> None:
    """Examination, date, numbers, and each series with how many images it has."""
    images = s.document["images"]
    blank = s.word("not_given")
    parts = sorted({one["body_part"] for one in images["series"] if one["body_part"]})
    s.paper.heading(s.label("images"))
    s.paper.fields(
        [
            (s.label("examination"), images["description"] or blank),
            (s.label("modality"), ", ".join(images["modalities"])),
            (s.label("body_part"), ", ".join(parts) or blank),
            (s.label("examined_at"), _date(images["study_date"]) or blank),
            (s.label("accession"), images["accession"] or blank),
            (s.label("image_count"), str(images["instances"])),
        ],
        label_mm=LABEL_MM,
    )
    series = [
        s.word(
            "series_line", modality=one["modality"], description=one["description"], count=one["instances"]
        )
        for one in images["series"][:SERIES_MAX]
    ]
    s.paper.text("  ·  ".join(series), 7, GREY)
    s.paper.text(s.word("zone", zone=s.zone.key), 7, GREY)


def _date(told: str) -> str:
    """A DA value (PS3.5 6.2) as people write it; anything else as it was sent."""
    return f"{told[:4]}-{told[4:6]}-{told[6:]}" if len(told) == 8 and told.isdigit() else told


def key_images(s: Sheet) -> None:
    """The images the reader chose, as they were shown, with their notes."""
    chosen = [strip for strip in s.strips if strip["section"] == "key-image"]
    if not chosen:
        return
    s.paper.room(SIDE_MM + CAPTION_MM + 10)
    s.paper.heading(s.label("key_images"))
    for first in range(0, len(chosen), 2):
        s.paper.room(SIDE_MM + CAPTION_MM)
        top_mm = s.paper.y_mm
        for place, picture in enumerate(chosen[first : first + 2]):
            _picture(s, picture, MARGIN_MM + place * (SIDE_MM + GAP_MM), top_mm)
        s.paper.space(SIDE_MM + CAPTION_MM)
    more = len(s.document["key_images"]) - len(chosen)
    if more > 0:
        s.paper.text(s.word("more_key_images", count=more), 9, GREY)


def _picture(s: Sheet, picture: Mapping[str, Any], left_mm: float, top_mm: float) -> None:
    if picture["image"] is None:
        s.paper.write(left_mm, top_mm + 6, s.word("not_drawn", reason=s.words_of(picture["reason"])), 8, GREY)
        height_mm = 8.0
    else:
        width_mm, height_mm = s.paper.picture(picture["image"], left_mm, top_mm, SIDE_MM, SIDE_MM)
        marks = s.document["key_images"][picture["item"]].get("marks", ())
        paper_marks.draw(s.paper, marks, left_mm, top_mm, (width_mm, height_mm))
    for number, line in enumerate(_caption(s, picture)):
        s.paper.write(left_mm, top_mm + height_mm + 4 + 4 * number, line, 8)


def _caption(s: Sheet, picture: Mapping[str, Any]) -> list[str]:
    """Which image, how it is shown, and what the reader noted; one line each, cut to the picture's width."""
    key = s.document["key_images"][picture["item"]]
    words = [
        s.word(
            "key_image_caption", number=picture["item"] + 1, series=picture["series"], image=picture["number"]
        )
    ]
    if picture["frames"] > 1:
        words.append(s.word("key_image_frame", frame=key["frame"]))
    if key["window"] is not None:
        words.append(
            s.word("key_image_window", **{name: f"{key['window'][name]:g}" for name in key["window"]})
        )
    return ["  ".join(words), *wrapped(key["note"], 8, SIDE_MM)[:1]]


assert 2 * SIDE_MM + GAP_MM <= CONTENT_MM
