"""Storage commitment as it is asked for and told over an association (PS3.4 J.3.2, J.3.3)."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Final
from uuid import UUID

from dicom import commands, identifiers, services, uids
from hub.imaging.dimse import commitment
from hub.imaging.dimse.query_request import Asked, Refused

TELL_AFTER_S: Final = 0.5  # a node that releases at once wants to be told over an association of ours


async def commit(asked: Asked) -> None:
    """N-ACTION: what is asked is kept, then answered, then told."""
    if asked.command.sop_instance_uid != services.COMMITMENT_INSTANCE:
        raise Refused(commands.NO_SUCH_OBJECT, "not the well-known instance")
    if asked.command.action_type != 1:
        raise Refused(commands.NO_SUCH_ACTION, "")
    transaction_uid, references = _references(asked)
    hub, actor, at = asked.hub, asked.caller.actor, asked.hub.clock()
    async with hub.database.transaction(actor, at) as conn:
        commitment_id = await commitment.ask(conn, actor, at, transaction_uid, references)
    await asked.respond(commands.SUCCESS)
    asked.line.later(_tell(asked, commitment_id))


def _references(asked: Asked) -> tuple[str, list[commitment.Reference]]:
    identifier = asked.identifier(commitment.INSTANCES_MAX * 4)
    transaction_uid = identifiers.first(identifier, "00081195")
    items = commitment.references(identifier)
    found = [(identifiers.first(item, "00081150"), identifiers.first(item, "00081155")) for item in items]
    named = [transaction_uid, *(uid for pair in found for uid in pair)]
    if not found or len(found) > commitment.INSTANCES_MAX or not all(map(uids.is_valid_uid, named)):
        raise Refused(commands.INVALID_ARGUMENT, "transaction UID or references missing, or no UIDs")
    return transaction_uid, found


async def _tell(asked: Asked, commitment_id: UUID) -> None:
    """Over the same association, if it stays; else the job does."""
    await asyncio.sleep(TELL_AFTER_S)
    hub = asked.hub
    async with hub.database.transaction(commitment.ACTOR, hub.clock()) as conn:
        said = await commitment.report(conn, commitment_id, hub.store)
    if said is None:
        return
    written = partial(
        commands.write_event, sop_class_uid=services.COMMITMENT,
        sop_instance_uid=services.COMMITMENT_INSTANCE, event_type=said.event_type,
    )  # fmt: skip
    document = commitment.document(said, hub.settings.dimse_ae_title)
    data_set = identifiers.write(document, identifiers.encoding_of(asked.context.transfer_syntax))
    if await asked.line.ask(asked.context, written, _whole(data_set)) == commands.SUCCESS:
        await asyncio.shield(_note(asked, commitment_id, said))  # it has heard, even if it goes at once


async def _note(asked: Asked, commitment_id: UUID, said: commitment.Report) -> None:
    at = asked.hub.clock()
    async with asked.hub.database.transaction(commitment.ACTOR, at) as conn:
        await commitment.told(conn, at, commitment_id, said)


async def _whole(data_set: bytes) -> AsyncIterator[tuple[bytes, bool]]:
    yield data_set, True
