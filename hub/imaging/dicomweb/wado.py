"""Fetching over the web (WADO-RS, PS3.18 10.4): files, metadata, frames and long values, as they are stored."""

import asyncio
import secrets
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from dicom import accepting, uids
from dicom.accepting import Accepted, Offered
from dicom.multipart import parameters
from hub.core import errors
from hub.core.http import Request, Route, Streamed
from hub.core.store import Slice
from hub.imaging.dicomweb import qido
from hub.imaging.index import extracting, retrieving
from hub.imaging.index.extracting import HTJ2K, HTJ2K_SYNTAXES, OCTETS, Part
from hub.imaging.index.retrieving import ROOT, Address, Stored

FILE: Final = "application/dicom"
FRAMES_MAX: Final = 1000  # of one call
HELD_BYTES_MAX: Final = 16 << 20  # of metadata, before the first goes out
GZIP_LEVEL: Final = 1
GZIP_WINDOW: Final = 31  # of zlib: with a header of gzip
Pieces = list[bytes | Slice]


def _address(request: Request) -> Address:
    named = request.raw.match_info
    return Address(named["study"], named.get("series"), named.get("instance"))


def _ranges(request: Request) -> list[Accepted]:
    return accepting.accepted(request.raw.headers.get("Accept", ""), request.raw.query.getall("accept", []))


def _best(request: Request, offers: Sequence[Offered]) -> Offered:
    offer = accepting.best(_ranges(request), offers)
    if offer is None:
        raise errors.error("not_acceptable", expected=", ".join(sorted({_told(one) for one in offers}))[:500])
    return offer


def _told(offer: Offered) -> str:
    words = f'multipart/related; type="{offer.media_type}"' if offer.is_related else offer.media_type
    return f"{words}; transfer-syntax={offer.transfer_syntax}" if offer.transfer_syntax else words


async def _found(request: Request, what: str) -> list[Stored]:
    async with request.transaction() as conn:
        return await retrieving.instances(conn, request.actor, request.at, _address(request), what)


async def retrieve(request: Request) -> Streamed:
    """The files of a study, a series or an instance, from the disk to the line; refused if one is in another syntax."""
    found = await _found(request, "files")
    is_one = "instance" in request.raw.match_info
    offer = Offered(FILE, True)
    for syntax in sorted({one.transfer_syntax for one in found}):
        ways = (True, False) if is_one else (True,)
        offer = _best(request, [Offered(FILE, is_related, syntax) for is_related in ways])
    files = [Slice(request.store.path(one.file_sha256), 0, one.size_bytes) for one in found]
    if not offer.is_related:
        return _whole(files[:1], f"{FILE}; transfer-syntax={found[0].transfer_syntax}")
    parts = [Part([file], one.transfer_syntax) for file, one in zip(files, found, strict=True)]
    return _related(parts, FILE, [FILE] * len(parts))


async def read_metadata(request: Request) -> Streamed:
    """Attributes of all instances of an address, never in pages."""
    offer = _best(request, qido.OFFERS)
    address = _address(request)
    async with request.transaction() as conn:
        found = await retrieving.all_series(conn, request.actor, request.at, address, "metadata")
    url = qido.base_url(request)
    pieces = retrieving.bodies(request.db, request.actor, request.at, address, found, url)
    is_gzip = _accepts_gzip(request)
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if is_gzip else {})
    return await _sized(_packed(pieces) if is_gzip else pieces, offer.media_type, headers)


def _accepts_gzip(request: Request) -> bool:
    words = request.raw.headers.get("Accept-Encoding", "").lower().split(",")
    ranges = [parameters(word) for word in words]
    return any(
        name == "gzip" and values.get("q", "1") not in ("0", "0.0", "0.000") for name, values in ranges
    )


async def _packed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    async for piece in pieces:
        yield await asyncio.to_thread(packer.compress, piece)
    yield packer.flush()


async def _sized(pieces: AsyncIterator[bytes], media_type: str, headers: dict[str, str]) -> Streamed:
    """A hundred kilobytes compressed, or some megabytes: its size is told. More goes out while it is read."""
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size > HELD_BYTES_MAX:
            return Streamed(_held_first(held, pieces), None, media_type, headers)
    return Streamed(held, size, media_type, headers)


async def _held_first(held: list[bytes], others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while held:
        yield held.pop(0)
    async for piece in others:
        yield piece


async def read_frames(request: Request) -> Streamed:
    """Frames as they are stored or, where that is asked for, of the HTJ2K copy the hub has made."""
    numbers = _frame_numbers(request.text("frames"))
    async with request.transaction() as conn:
        (one, *_) = await retrieving.instances(conn, request.actor, request.at, _address(request), "frames")
        shape = await extracting.shape(conn, one.id)
        if max(numbers) >= shape.frames:
            raise errors.error("not_found")
        copied = None
        if any(wanted.media_type.startswith("image/") for wanted in _ranges(request)):
            copied = await extracting.copied_frames(conn, request.store, one, shape, numbers)
    offer = _best(request, _frame_offers(one, len(numbers) == 1, copied is not None))
    is_copy = offer.media_type == HTJ2K and extracting.media_type(one.transfer_syntax) != HTJ2K
    if is_copy and copied is not None:
        parts = copied
    else:
        parts = await extracting.frames(request.store, one, shape, numbers)
    types = [f"{offer.media_type}; transfer-syntax={part.transfer_syntax}" for part in parts]
    if offer.is_related:
        return _related(parts, offer.media_type, types)
    return _whole(parts[0].pieces, types[0])


def _frame_offers(one: Stored, is_single: bool, has_copy: bool) -> list[Offered]:
    """What is stored first; its bytes also as octets, if the client takes any syntax (PS3.18 8.7.3.4)."""
    native = extracting.is_native(one.transfer_syntax)
    syntaxes = [uids.EXPLICIT_LITTLE] if native else [one.transfer_syntax]
    kinds = [(extracting.media_type(one.transfer_syntax), syntax) for syntax in syntaxes]
    if has_copy and kinds[0][0] != HTJ2K:
        kinds += [(HTJ2K, syntax) for syntax in HTJ2K_SYNTAXES]
    ways = (True, False) if is_single else (True,)
    offers = [Offered(kind, is_related, syntax) for kind, syntax in kinds for is_related in ways]
    if not native:
        offers += [
            Offered(OCTETS, is_related, one.transfer_syntax, if_syntax_named=True) for is_related in ways
        ]
    return offers


def _frame_numbers(text: str) -> list[int]:
    """From 0, each once (PS3.18 10.4): a repeated one would be sent again and again."""
    words = text.split(",")
    if len(words) <= FRAMES_MAX and all(_is_number(word) for word in words):
        numbers = [int(word) - 1 for word in words]
        if len(set(numbers)) == len(numbers):
            return numbers
    raise errors.error("bad_field", field="frames", expected=f"up to {FRAMES_MAX} different numbers from 1")


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 11 and int(word) > 0


async def read_bulk(request: Request) -> Streamed:
    """A long value that metadata point to; encapsulated pixels as their frames."""
    place = extracting.place_of(request.text("bulkdata"))
    (one, *_) = await _found(request, "bulkdata")
    found = await extracting.value(request.store, one, place)
    if found is not None:
        syntax = found.transfer_syntax
        offer = _best(request, [Offered(OCTETS, is_related, syntax) for is_related in (True, False)])
        if offer.is_related:
            return _related([found], OCTETS, [f"{OCTETS}; transfer-syntax={syntax}"])
        return _whole(found.pieces, OCTETS)
    kind = extracting.media_type(one.transfer_syntax)
    offer = _best(request, [Offered(kind, True, one.transfer_syntax)])
    async with request.transaction() as conn:
        shape = await extracting.shape(conn, one.id)
    if shape.frames > FRAMES_MAX:
        raise errors.error("not_acceptable", expected=f"frames, {FRAMES_MAX} at a time")
    parts = await extracting.frames(request.store, one, shape, range(shape.frames))
    return _related(parts, kind, [f"{kind}; transfer-syntax={one.transfer_syntax}"] * len(parts))


def _whole(pieces: Sequence[bytes | Slice], media_type: str) -> Streamed:
    return Streamed(pieces, Part(pieces, "").size, media_type)


def _related(parts: Sequence[Part], kind: str, types: Sequence[str]) -> Streamed:
    """Several parts (RFC 2387), each with its size."""
    boundary = secrets.token_hex(16)
    pieces: Pieces = []
    for part, media_type in zip(parts, types, strict=True):
        head = f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\nContent-Length: {part.size}\r\n\r\n"
        pieces += [head.encode(), *part.pieces]
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    return _whole(pieces, f'multipart/related; type="{kind}"; boundary={boundary}')


_STUDY: Final = f"{ROOT}/studies/{{study}}"
_SERIES: Final = f"{_STUDY}/series/{{series}}"
_INSTANCE: Final = f"{_SERIES}/instances/{{instance}}"
ROUTES = [
    *(Route("GET", path, retrieve, "dicom.query", kind="bytes") for path in (_STUDY, _SERIES, _INSTANCE)),
    *(
        Route("GET", f"{path}/metadata", read_metadata, "dicom.query", kind="bytes")
        for path in (_STUDY, _SERIES, _INSTANCE)
    ),
    Route("GET", f"{_INSTANCE}/frames/{{frames}}", read_frames, "dicom.query", kind="bytes"),
    Route("GET", f"{_INSTANCE}/bulkdata/{{bulkdata:.+}}", read_bulk, "dicom.query", kind="bytes"),
]
