"""DICOMweb: storing (STOW-RS, PS3.18 10.5), and who may; by a session, or by the token of a DICOM node.

Searching is in `qido`, fetching in `wado`.
"""

from typing import Any, Final

from dicom import uids
from dicom.multipart import parameters
from hub.core import disk, errors
from hub.core.fields import to_json
from hub.core.http import Bytes, Request, Route
from hub.imaging.dicomweb import qido, stow, wado
from hub.imaging.dimse import forwarding
from hub.imaging.index import dicom_studies, nodes, reconciling, set_asides
from hub.imaging.index.retrieving import ROOT
from hub.people import access

NAME_CHARS: Final = 80
REASON_CHARS: Final = 500


async def store(request: Request) -> Bytes:
    """Instances of any studies."""
    return await _store(request, None)


async def store_study(request: Request) -> Bytes:
    """Instances of the study that the address names."""
    study_uid = request.text("study_uid")
    if not uids.is_valid_uid(study_uid):
        raise errors.error("bad_field", field="study_uid", expected="a UID")
    return await _store(request, study_uid)


async def _store(request: Request, study_uid: str | None) -> Bytes:
    media_type, values = parameters(request.raw.headers.get("Content-Type", ""))
    if disk.is_below_floor(request.settings):
        raise errors.error("no_room")
    async with request.transaction() as conn:
        wanted = request.query.optional_uuid("organisation_id")
        sender = await nodes.sender_of(conn, request.actor, request.at, wanted, access.CARE)
        await access.require(
            conn, request.actor, request.at, "dicom.store", organisation_id=sender.organisation_id
        )
    target = stow.Target(request.db, request.store, request.actor, sender, study_uid)
    boundary = values.get("boundary", "")
    kind = values.get("type", stow.FILE).lower() if media_type == "multipart/related" else media_type
    try:
        if media_type == stow.FILE:
            outcomes = await stow.store_one(target, request.now, request.chunks())
        elif media_type == "multipart/related" and kind == stow.FILE:
            outcomes = await stow.store_files(target, request.now, boundary, request.chunks())
        elif media_type == "multipart/related" and kind == stow.JSON:
            outcomes = await stow.store_metadata(target, request.now, boundary, request.chunks())
        else:
            raise errors.error(
                "bad_media_type", expected=f"{stow.FILE}, or multipart/related of it or of {stow.JSON}"
            )
    except OSError as failure:
        if isinstance(failure, (ConnectionError, TimeoutError)):
            raise
        raise errors.error("no_room") from failure
    status, document = stow.response(outcomes, f"{request.raw.url.origin()}{ROOT}")
    return Bytes(to_json(document).encode(), stow.JSON, status=status)


async def list_nodes(request: Request) -> dict[str, Any]:
    """And how the hub is called; a port of 0: it does not listen there."""
    settings = request.settings
    hub = {
        "ae_title": settings.dimse_ae_title,
        "port": settings.dimse_port,
        "tls_port": settings.dimse_tls_port,
        "query_port": settings.dimse_query_port,
        "query_tls_port": settings.dimse_query_tls_port,
    }
    async with request.transaction() as conn:
        return {"nodes": await nodes.nodes(conn, request.actor, request.at), "hub": hub}


async def create_node(request: Request) -> dict[str, Any]:
    """The token, if one was asked for, is in this answer and nowhere else."""
    body = await request.body()
    new = nodes.NewNode(
        organisation_id=body.uuid("organisation_id"),
        name=body.text("name", NAME_CHARS),
        ae_title=body.text("ae_title", 16),
        address=body.text("address", 45, required=False) or None,
        certificate_sha256=body.text("certificate_sha256", 64, required=False).lower() or None,
        with_token=body.boolean("with_token", default=False),
        may_send=body.boolean("may_send", default=True),
        may_receive=body.boolean("may_receive", default=False),
        may_query=body.boolean("may_query", default=False),
        worklist_modalities=(body.optional_text("worklist_modalities") or "").replace(",", " ").split()
        or None,
        port=body.optional_integer("port", 1, 65_535),
        send_from_hour=body.optional_integer("send_from_hour", 0, 23),
        send_until_hour=body.optional_integer("send_until_hour", 0, 23),
    )
    async with request.transaction() as conn:
        made = await nodes.create_node(conn, request.actor, request.at, new)
    return {"id": made.id, "token": made.token}


async def disable_node(request: Request) -> None:
    async with request.transaction() as conn:
        await nodes.disable_node(conn, request.actor, request.at, request.uuid("dicom_node_id"))


async def list_studies(request: Request) -> dict[str, Any]:
    unresolved = request.query.boolean("unresolved", default=False)
    async with request.transaction() as conn:
        found = await dicom_studies.studies(conn, request.actor, request.at, unresolved=unresolved)
    return {"studies": found}


async def list_candidates(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        return await reconciling.candidates(conn, request.actor, request.at, request.uuid("dicom_study_id"))


async def assign(request: Request) -> None:
    body = await request.body()
    patient_id, request_id = body.uuid("patient_id"), body.optional_uuid("request_id")
    remember = body.boolean("remember", default=False)
    async with request.transaction() as conn:
        study_id = request.uuid("dicom_study_id")
        await reconciling.assign_study(
            conn, request.actor, request.at, study_id, patient_id, request_id, remember
        )


async def unassign(request: Request) -> None:
    reason = (await request.body()).text("reason", REASON_CHARS)
    async with request.transaction() as conn:
        await reconciling.unassign_study(
            conn, request.actor, request.at, request.uuid("dicom_study_id"), reason
        )


async def list_forwards(request: Request) -> dict[str, Any]:
    """`state` may be given several times with commas; `before`: the `next` of the last page."""
    asked = request.query.optional_text("state")
    states = asked.split(",") if asked else forwarding.STATES
    if not set(states) <= set(forwarding.STATES):
        raise request.query.bad("state", ", ".join(forwarding.STATES))
    before = request.query.optional_text("before")
    async with request.transaction() as conn:
        found, goes_on = await forwarding.forwards(conn, request.actor, request.at, states, before)
    return {"forwards": found, "next": goes_on}


async def send_again(request: Request) -> None:
    async with request.transaction() as conn:
        await forwarding.send_again(conn, request.actor, request.at, request.uuid("dicom_forward_id"))


async def give_up(request: Request) -> None:
    async with request.transaction() as conn:
        await forwarding.give_up(conn, request.actor, request.at, request.uuid("dicom_forward_id"))


async def list_set_asides(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        return {"set_asides": await set_asides.set_asides(conn, request.actor, request.at)}


_STUDY: Final = "/api/dicom/studies/{dicom_study_id}"
ROUTES = [
    *qido.ROUTES,
    *wado.ROUTES,
    Route("POST", f"{ROOT}/studies", store, "dicom.store", kind="bytes"),
    Route("POST", f"{ROOT}/studies/{{study_uid}}", store_study, "dicom.store", kind="bytes"),
    Route("GET", "/api/dicom/nodes", list_nodes, "dicom-node.read"),
    Route("POST", "/api/dicom/nodes", create_node, "dicom-node.edit"),
    Route("POST", "/api/dicom/nodes/{dicom_node_id}/disable", disable_node, "dicom-node.edit"),
    Route("GET", "/api/dicom/studies", list_studies, "dicom.read"),
    Route("GET", f"{_STUDY}/candidates", list_candidates, "dicom.assign"),
    Route("POST", f"{_STUDY}/assign", assign, "dicom.assign"),
    Route("POST", f"{_STUDY}/unassign", unassign, "dicom.assign"),
    Route("GET", "/api/dicom/forwards", list_forwards, "dicom-forward.read"),
    Route("POST", "/api/dicom/forwards/{dicom_forward_id}/send", send_again, "dicom-forward.send"),
    Route("POST", "/api/dicom/forwards/{dicom_forward_id}/give-up", give_up, "dicom-forward.give-up"),
    Route("GET", "/api/dicom/set-aside", list_set_asides, "dicom.read"),
]
