"""C-STORE to another node: stored files go out as they are, each with the status the node gave (PS3.4 annex B).

pynetdicom works in a thread of its own; nothing of the database is held meanwhile.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from uuid import UUID

from pynetdicom import AE, _config, build_context
from pynetdicom.association import Association

from hub.imaging.forwarding import Forward, Waiting

CONTEXTS_MAX = 128  # of an association (PS3.8 9.3.2.2)
CONNECT_S, ANSWER_S = 15.0, 60.0
NOT_SUPPORTED = 0x0122  # PS3.7 C.5.6: the node accepts no such object
BATCH = 200  # instances of one association

_config.STORE_SEND_CHUNKED_DATASET = True  # a file is streamed, not read into memory


@dataclass
class Sent:
    """The node's answers, and why it ended early if it did."""

    statuses: list[tuple[UUID, int]] = field(default_factory=list)
    fault: str | None = None


def batch_of(instances: Sequence[Waiting]) -> list[Waiting]:
    """The first instances that go over one association."""
    kinds: set[tuple[str, str]] = set()
    batch: list[Waiting] = []
    for one in islice(instances, BATCH):
        kinds.add((one.sop_class_uid, one.transfer_syntax))
        if len(kinds) > CONTEXTS_MAX:
            break
        batch.append(one)
    return batch


def send(forward: Forward, batch: Sequence[Waiting], paths: Mapping[UUID, Path], calling_ae: str) -> Sent:
    """Send these instances over one association."""
    entity, sent = AE(ae_title=calling_ae), Sent()
    entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = CONNECT_S, ANSWER_S, ANSWER_S
    entity.connection_timeout = CONNECT_S
    contexts = [build_context(*kind) for kind in {(one.sop_class_uid, one.transfer_syntax) for one in batch}]
    if not _listens(forward):
        sent.fault = "not reached"
        return sent
    association = entity.associate(forward.address, forward.port, contexts, forward.ae_title)
    if not association.is_established:
        sent.fault = "rejected" if association.is_rejected else "not reached"
        return sent
    try:
        for one in batch:
            status = _stored(association, paths[one.id])
            if status is None:
                sent.fault = "line lost"
                break
            sent.statuses.append((one.id, status))
    finally:
        if association.is_established:
            association.release()
    return sent


def _listens(forward: Forward) -> bool:
    """Asked before, since the library leaves the socket of a connection that failed open."""
    try:
        socket.create_connection((forward.address, forward.port), CONNECT_S).close()
    except OSError:
        return False
    return True


def _stored(association: Association, path: Path) -> int | None:
    """The status of one C-STORE; None if the line broke."""
    try:
        answer = association.send_c_store(path)
    except ValueError:  # no accepted presentation context
        return NOT_SUPPORTED
    except RuntimeError:  # not established any more
        return None
    return int(answer.Status) if "Status" in answer else None
