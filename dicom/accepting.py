"""What a client accepts (RFC 9110 12.5.1, PS3.18 8.7): media ranges, and whether a representation is among them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dicom.multipart import parameters

HEADER_CHARS_MAX: Final = 4096
RANGES_MAX: Final = 64
RELATED: Final = "multipart/related"
ANY_SYNTAX: Final = "*"


@dataclass(frozen=True)
class Accepted:
    """A media range: of the parts if several, with the transfer syntax wanted ("" if none was named)."""

    media_type: str
    is_related: bool
    transfer_syntax: str
    quality: float


@dataclass(frozen=True)
class Offered:
    """One way to answer, `media_type` being of the body or its parts; some only for who names the syntax, or `*`."""

    media_type: str
    is_related: bool
    transfer_syntax: str = ""
    if_syntax_named: bool = False


def accepted(header: str, asked: Iterable[str] = ()) -> list[Accepted]:
    """Ranges of an `Accept` header, or of `accept` parameters instead (PS3.18 8.3.3.1); all if none is named.

    What can't be read is left out, as servers do.
    """
    words = [word for value in (tuple(asked) or (header,)) for word in _ranges(value[:HEADER_CHARS_MAX])][
        :RANGES_MAX
    ]
    found = [one for word in words if (one := _accepted(word)) is not None]
    return found if words else [Accepted("*/*", False, "", 1.0)]


def _ranges(value: str) -> list[str]:
    """At commas outside of quotes."""
    found, quoted, start = [], False, 0
    for position, character in enumerate(value):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            found.append(value[start:position])
            start = position + 1
    return [word.strip() for word in (*found, value[start:]) if word.strip()]


def _accepted(word: str) -> Accepted | None:
    media_type, values = parameters(word)
    try:
        quality = float(values.get("q", "1"))
    except ValueError:
        return None
    if media_type.count("/") != 1 or not 0 <= quality <= 1:
        return None
    is_related = media_type in (RELATED, "multipart/*")
    if is_related:
        media_type = values.get("type", "*/*").lower()
    return Accepted(media_type, is_related, values.get("transfer-syntax", ""), quality)


def best(ranges: Sequence[Accepted], offers: Sequence[Offered]) -> Offered | None:
    """The offer that is wanted most; of equal ones the range named first, and then the offer named first."""
    found: tuple[float, Offered] | None = None
    for one in ranges:
        if one.quality > (found[0] if found is not None else 0):
            offer = next((offer for offer in offers if _is_accepted(one, offer)), None)
            if offer is not None:
                found = one.quality, offer
    return found[1] if found is not None else None


def _is_accepted(one: Accepted, offer: Offered) -> bool:
    """`*/*` alone takes any way; with a type, one part and several are two things (PS3.18 8.7.4)."""
    if one.media_type != "*/*" and one.is_related != offer.is_related:
        return False
    if one.media_type == "*/*" and one.is_related and not offer.is_related:
        return False
    fine = (
        (ANY_SYNTAX, offer.transfer_syntax)
        if offer.if_syntax_named
        else ("", ANY_SYNTAX, offer.transfer_syntax)
    )
    if one.transfer_syntax not in fine:
        return False
    kind, _, rest = one.media_type.partition("/")
    return one.media_type in ("*/*", offer.media_type) or (
        rest == "*" and kind == offer.media_type.partition("/")[0]
    )
