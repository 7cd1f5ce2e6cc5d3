"""Searching over the web (QIDO-RS, PS3.18 10.6): an address and its parameters to keys, matches to one list of JSON."""

import json
from collections.abc import Iterator
from typing import Final

from dicom import accepting, matching
from dicom.levels import Level
from dicom.matching import InvalidKey, Key
from hub.core import errors
from hub.core.http import Empty, Request, Route, Streamed
from hub.imaging.index import querying, retrieving
from hub.imaging.index.querying import Found
from hub.imaging.index.retrieving import ROOT, Address

JSON: Final = "application/dicom+json"
OFFERS: Final = tuple(accepting.Offered(name, False) for name in (JSON, "application/json"))
PARAMETERS_MAX: Final = 200
FIELDS_MAX: Final = 500
_NO_LIMIT: Final = 1 << 31
_WORDS: Final = frozenset({"limit", "offset", "includefield", "fuzzymatching", "accept", "charset"})
_PARENTS: Final = (("study", "StudyInstanceUID"), ("series", "SeriesInstanceUID"))
_LITERAL: Final = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
_MORE: Final = "There are additional results that can be requested."


def base_url(request: Request) -> str:
    """Where callers find DICOMweb; fit to stand in a text of JSON."""
    origin = request.settings.public_url or str(request.raw.url.origin())
    return json.dumps(origin.rstrip("/") + ROOT)[1:-1]


async def search_studies(request: Request) -> Streamed | Empty:
    return await _search(request, "study")


async def search_series(request: Request) -> Streamed | Empty:
    """Of a study, or of all."""
    return await _search(request, "series")


async def search_instances(request: Request) -> Streamed | Empty:
    """Of a series, of a study, or of all."""
    return await _search(request, "instance")


async def _search(request: Request, level: Level) -> Streamed | Empty:
    query = request.raw.query
    ranges = accepting.accepted(request.raw.headers.get("Accept", ""), query.getall("accept", []))
    offer = accepting.best(ranges, OFFERS)
    if offer is None:
        raise errors.error("not_acceptable", expected=JSON)
    if len(query) > PARAMETERS_MAX:
        raise errors.error("bad_field", field="query", expected=f"at most {PARAMETERS_MAX} parameters")
    most = querying.LIMIT_MAX[level]
    asked = request.query.integer("limit", 0, _NO_LIMIT, default=_NO_LIMIT)
    limit = min(asked, most)
    offset = request.query.integer("offset", 0, querying.OFFSET_MAX, default=0)
    keys, more = _keys(request), _more(request)
    async with request.transaction() as conn:
        found = await querying.search(conn, request.actor, request.at, level, keys, limit + 1, offset, more)
        if not found and "study" in request.raw.match_info:
            await retrieving.require_series(conn, request.text("study"), request.raw.match_info.get("series"))
    warnings = [_LITERAL] if query.get("fuzzymatching", "false").lower() == "true" else []
    if len(found) > limit and limit < asked:
        warnings.append(_MORE)
    headers = {"Warning": ", ".join(f'299 telehub "{words}"' for words in warnings)} if warnings else {}
    if not found[:limit]:
        return Empty(204, headers)
    return _listed(found[:limit], base_url(request), offer.media_type, headers)


def _listed(found: list[Found], base: str, media_type: str, headers: dict[str, str]) -> Streamed:
    texts = ",".join(_with_url(one, base) for one in found)
    body = f"[{texts}]".encode()
    return Streamed([body], len(body), media_type, headers)


def _with_url(one: Found, base: str) -> str:
    """The text with where to fetch it (0008,1190)."""
    url = f"{base}/studies/{one.study_uid}"
    url += f"/series/{one.series_uid}" if one.series_uid else ""
    url += f"/instances/{one.sop_uid}" if one.sop_uid else ""
    return f'{one.text[:-1]},"00081190":{{"vr":"UR","Value":["{url}"]}}}}'


def _keys(request: Request) -> list[Key]:
    """Of the path and of the query; a name that is neither a word of the standard nor an attribute is refused."""
    return list(_all_keys(request))


def _all_keys(request: Request) -> Iterator[Key]:
    named = request.raw.match_info
    Address(named.get("study", "0"), named.get("series")).require_valid()
    try:
        for name, keyword in _PARENTS:
            if name in named:
                yield matching.key(keyword, named[name])
        for name, value in request.raw.query.items():
            if name not in _WORDS:
                yield matching.key(name, value)
    except InvalidKey as fault:
        raise errors.error("bad_field", field=fault.name[:64], expected=fault.expected) from None


def _more(request: Request) -> frozenset[str]:
    """Tags of `includefield`, comma separated or repeated; of a sequence's attribute the whole sequence."""
    names = [
        name for value in request.raw.query.getall("includefield", []) for name in value.split(",") if name
    ]
    if len(names) > FIELDS_MAX:
        raise errors.error("bad_field", field="includefield", expected=f"at most {FIELDS_MAX} attributes")
    if "all" in names:
        return querying.ALL
    try:
        return frozenset(matching.attribute(name)[0][0] for name in names)
    except InvalidKey as fault:
        raise errors.error("bad_field", field="includefield", expected=fault.expected) from None


_STUDY: Final = f"{ROOT}/studies/{{study}}"
ROUTES = [
    Route("GET", f"{ROOT}/studies", search_studies, "dicom.query", kind="bytes"),
    Route("GET", f"{ROOT}/series", search_series, "dicom.query", kind="bytes"),
    Route("GET", f"{ROOT}/instances", search_instances, "dicom.query", kind="bytes"),
    Route("GET", f"{_STUDY}/series", search_series, "dicom.query", kind="bytes"),
    Route("GET", f"{_STUDY}/instances", search_instances, "dicom.query", kind="bytes"),
    Route("GET", f"{_STUDY}/series/{{series}}/instances", search_instances, "dicom.query", kind="bytes"),
]
