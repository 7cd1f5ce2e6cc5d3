"""C-STORE to another node: stored files go out as they are, each with the status the node gave (PS3.4 annex B); and
what a node is told about storage commitment (annex J).

pynetdicom works in a thread of its own; nothing of the database is held meanwhile.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_context, build_role, evt
from pynetdicom.association import Association

from dicom import services
from hub.imaging.dimse.forwarding import Forward, Waiting
from hub.imaging.dimse.moving import Origin

CONTEXTS_MAX = 128  # of an association (PS3.8 9.3.2.2)
CONNECT_S, ANSWER_S = 15.0, 60.0
NOT_SUPPORTED = 0x0122  # PS3.7 C.5.6: the node accepts no such object
ROUND_S = 0.1
BATCH = 200  # instances of one association

_config.STORE_SEND_CHUNKED_DATASET = True  # a file is streamed, not read into memory


def _without_waiting(event: Any) -> None:
    """Neither end holds the last bytes of a message back until those before are acknowledged, 40 ms later on Linux:
    not ours (the library leaves Nagle's algorithm on), and not dcmtk, whose first half of an answer we acknowledge.
    """
    line = event.assoc.dul.socket
    if line is not None and line.socket is not None:
        with contextlib.suppress(OSError):  # a line that has gone
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)


QUICKACK = 12  # TCP_QUICKACK of Linux; sending ends it, so it is asked for again and again
QUICK: list[Any] = [
    (event, _without_waiting) for event in (evt.EVT_CONN_OPEN, evt.EVT_DATA_SENT, evt.EVT_DATA_RECV)
]


class Checkpoint(threading.Event):
    """Where the library's own thread waits while we send, for certain.

    Its `threading.Event` lets that thread through when it has read it as open a moment before: then it takes the node's
    answer off the queue, and we wait a minute for one that has come (seen with 1 of 600 instances, pynetdicom 3.0.4).
    """

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association, self._changed = association, threading.Condition()
        self._is_open, self._is_waiting = True, False

    def wait(self, _timeout: float | None = None) -> bool:
        """By that thread, each time it goes round."""
        with self._changed:
            self._is_waiting = True
            self._changed.notify_all()
            while not self._is_open:
                self._changed.wait()
            self._is_waiting = False
        return True

    def clear(self) -> None:
        """By us: from here on it waits; or has ended, or calls this itself."""
        with self._changed:
            self._is_open = False
            own = threading.current_thread() is self._association
            while not own and not self._is_waiting and self._association.is_alive():
                self._changed.wait(ROUND_S)

    def set(self) -> None:
        """By us: it may go on."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


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


def send(
    forward: Forward, batch: Sequence[Waiting], paths: Mapping[UUID, Path], calling_ae: str,
    told: Callable[[UUID, int], bool] = lambda _id, _status: True, origin: Origin | None = None,
) -> Sent:  # fmt: skip
    """Send these instances over one association; `told` hears each status, and whether it goes on."""
    entity, sent = AE(ae_title=calling_ae), Sent()
    entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = CONNECT_S, ANSWER_S, ANSWER_S
    entity.connection_timeout = CONNECT_S
    contexts = [build_context(*kind) for kind in {(one.sop_class_uid, one.transfer_syntax) for one in batch}]
    if not _listens(forward):
        sent.fault = "not reached"
        return sent
    association = entity.associate(
        forward.address, forward.port, contexts, forward.ae_title, evt_handlers=QUICK
    )
    if not association.is_established:
        sent.fault = "rejected" if association.is_rejected else "not reached"
        return sent
    association._reactor_checkpoint = Checkpoint(association)
    try:
        for one in batch:
            status = _stored(association, paths[one.id], origin)
            if status is None:
                sent.fault = "line lost"
                break
            sent.statuses.append((one.id, status))
            if not told(one.id, status):
                break
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


def _stored(association: Association, path: Path, origin: Origin | None) -> int | None:
    """The status of one C-STORE; None if the line broke."""
    told: dict[str, Any] = {}
    if origin is not None:
        told = {"originator_aet": origin.ae_title, "originator_id": origin.message_id}
    try:
        answer = association.send_c_store(path, **told)
    except ValueError:  # no accepted presentation context
        return NOT_SUPPORTED
    except RuntimeError:  # not established any more
        return None
    return int(answer.Status) if "Status" in answer else None


def report(to: Forward, event_type: int, document: dict[str, Any], calling_ae: str) -> str | None:
    """Tell a node, over an association of ours, what it asked of storage commitment; why it was not told, if so."""
    entity = AE(ae_title=calling_ae)
    entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = CONNECT_S, ANSWER_S, ANSWER_S
    entity.connection_timeout = CONNECT_S
    if not _listens(to):
        return "not reached"
    association = entity.associate(
        to.address, to.port, [build_context(services.COMMITMENT)], to.ae_title,
        ext_neg=[build_role(services.COMMITMENT, scp_role=True)],
    )  # fmt: skip
    if not association.is_established:
        return "rejected" if association.is_rejected else "not reached"
    association._reactor_checkpoint = Checkpoint(association)
    try:
        answer, _ = association.send_n_event_report(
            Dataset.from_json(document), event_type, services.COMMITMENT, services.COMMITMENT_INSTANCE
        )
    except (
        ValueError,
        RuntimeError,
    ) as failure:  # no accepted presentation context; not established any more
        return type(failure).__name__
    finally:
        if association.is_established:
            association.release()
    status = int(answer.Status) if "Status" in answer else None
    return None if status == 0 else f"status {status}"
