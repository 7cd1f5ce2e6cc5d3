"""What is asked at the query port, by command and SOP class, and who answers it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from dicom import commands, services, uids
from hub.imaging.dimse import query_commit, query_find, query_retrieve
from hub.imaging.dimse.query_request import Asked, Refused


@dataclass(frozen=True)
class Handler:
    """Who answers a kind of request, and for which SOP classes."""

    run: Callable[[Asked], Awaitable[None]]
    classes: frozenset[str]


async def _echo(asked: Asked) -> None:
    await asked.respond(commands.SUCCESS)


_HANDLERS: Final[Mapping[int, Handler]] = {
    commands.C_ECHO_RQ: Handler(_echo, frozenset({uids.VERIFICATION})),
    commands.C_FIND_RQ: Handler(
        query_find.find, frozenset({services.PATIENT_FIND, services.STUDY_FIND, services.WORKLIST_FIND})
    ),
    commands.C_MOVE_RQ: Handler(query_retrieve.move, frozenset({services.PATIENT_MOVE, services.STUDY_MOVE})),
    commands.C_GET_RQ: Handler(query_retrieve.get, frozenset({services.PATIENT_GET, services.STUDY_GET})),
    commands.N_ACTION_RQ: Handler(query_commit.commit, frozenset({services.COMMITMENT})),
}


async def serve(asked: Asked) -> None:
    """Answer a request on an accepted context."""
    handler, sop_class = _HANDLERS.get(asked.command.field), asked.command.sop_class_uid
    try:
        if handler is None:
            raise Refused(commands.UNRECOGNIZED_OPERATION)
        if sop_class != asked.context.abstract_syntax or sop_class not in handler.classes:
            raise Refused(commands.SOP_CLASS_NOT_SUPPORTED, "another class than was negotiated")
        await handler.run(asked)
    except Refused as refusal:
        await asked.respond(refusal.status, refusal.words)
