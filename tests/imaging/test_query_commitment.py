"""Storage commitment: what is safe is said to be, what is not is not, over the association that asks or a later one."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel as COMMITMENT

from dicom import services
from hub.core import actor, jobs
from hub.imaging.dimse import worker as node_worker
from hub.imaging.index import instances
from tests.imaging import asking, senders
from tests.imaging.asking import Asking
from tests.parts import Databases
from tests.world import AT


@pytest.fixture
async def hub(database: Databases, tmp_path: Path) -> AsyncIterator[Asking]:
    async with asking.asking(database, tmp_path / "hub", lambda: AT) as asked:
        yield asked


@dataclass
class Heard:
    """What a node was told: event type, UIDs that are safe, UIDs that failed with their reasons."""

    events: list[tuple[int, set[str], dict[str, int]]] = field(default_factory=list)
    status: int = 0x0000

    def on_event(self, event: Any) -> tuple[int, None]:
        said = event.event_information
        safe = {item.ReferencedSOPInstanceUID for item in said.ReferencedSOPSequence}
        failed = said.get("FailedSOPSequence", [])
        reasons = {item.ReferencedSOPInstanceUID: int(item.FailureReason) for item in failed}
        self.events.append((event.request.EventTypeID, safe, reasons))
        return self.status, None


def asked_for(uids: Sequence[str], transaction: str, sop_class: str = senders.CT) -> Dataset:
    made = Dataset()
    made.TransactionUID = transaction
    made.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        made.ReferencedSOPSequence.append(item)
    return made


async def ask(
    hub: Asking, asked: Dataset, heard: Heard, stays: bool, instance: str = "", action: int = 1
) -> int:
    """Status of pynetdicom's N-ACTION; then it waits for the event, or releases at once."""

    def work() -> int:
        entity = AE(asking.AE_TITLE)
        entity.add_requested_context(COMMITMENT)
        association = entity.associate(
            "127.0.0.1", hub.port, ae_title="TELEHUB", evt_handlers=[(evt.EVT_N_EVENT_REPORT, heard.on_event)]
        )
        assert association.is_established
        said, _ = association.send_n_action(
            asked, action, COMMITMENT, instance or services.COMMITMENT_INSTANCE
        )
        for _ in range(400):
            if not stays or heard.events:
                break
            time.sleep(0.01)
        association.release()
        return int(said.Status)

    return await asyncio.to_thread(work)


@contextlib.contextmanager
def listening(hub: Asking, heard: Heard) -> Iterator[None]:
    """The node as it waits for associations of the hub."""
    entity = AE(asking.AE_TITLE)
    entity.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)  # of who calls
    server = entity.start_server(
        ("127.0.0.1", hub.node_port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, heard.on_event)]
    )
    try:
        yield
    finally:
        server.shutdown()


async def run_jobs(hub: Asking) -> list[dict[str, Any]]:
    """What is due a minute later; the jobs that are left."""
    at = AT + timedelta(minutes=1)
    hand = jobs.Worker(hub.database, hub.store, hub.settings, node_worker.JOBS, lambda: at, "test")
    await jobs.run_due(hand)
    return await hub.rows("SELECT kind, error FROM job")


async def test_what_is_there_is_safe_and_told_on_the_same_association(hub: Asking) -> None:
    uids, heard = await hub.series("1.2.1", 4), Heard()
    (row,) = await hub.rows(f"SELECT file_sha256 FROM dicom_instance WHERE sop_uid = '{uids[3]}'")
    hub.store.path(row["file_sha256"]).unlink()
    assert await ask(hub, asked_for([*uids, "1.2.9"], "1.9.1"), heard, stays=True) == 0
    assert heard.events == [(2, set(uids[:3]), {uids[3]: 0x0110, "1.2.9": 0x0112})]
    heard.events.clear()
    assert await ask(hub, asked_for(uids[:2], "1.9.2"), heard, stays=True) == 0
    assert heard.events == [(1, set(uids[:2]), {})]
    heard.events.clear()
    wrong = asked_for(uids[:1], "1.9.3", "1.2.840.10008.5.1.4.1.1.4")
    assert await ask(hub, wrong, heard, stays=True) == 0
    assert heard.events == [(2, set(), {uids[0]: 0x0119})]
    assert await run_jobs(hub) == []  # all were told
    told = await hub.rows(
        "SELECT safe, failed FROM dicom_commitment WHERE told_at IS NOT NULL ORDER BY transaction_uid"
    )
    assert [(one["safe"], one["failed"]) for one in told] == [(3, 2), (2, 0), (0, 1)]


async def test_what_was_set_aside_is_not_safe_whatever_else_has_its_uid(hub: Asking) -> None:
    """A node's own content of a UID that was taken: said to be safe, the node would delete the only copy."""
    taken, own = [senders.slice_of("1.2.1", "1.2.1.1", number, side=8) for number in range(2)]
    await hub.put(taken)
    await hub.put(own)
    other = senders.slice_of("1.2.1", "1.2.1.1", 0, side=8, seed=2)
    by = instances.Sender(hub.town, f"node {hub.node_id}")
    for made, outcome in ((other, "set-aside"), (own, "known")):
        file = await hub.store.put(senders.as_file(made), instances.MEDIA_TYPE)
        said = await instances.store_file(hub.database, hub.store, actor.job("test"), AT, by, file)
        assert said.kind == outcome
    uids, heard = [str(one.SOPInstanceUID) for one in (taken, own)], Heard()
    assert await ask(hub, asked_for(uids, "1.9.1"), heard, stays=True) == 0
    assert heard.events == [(2, {uids[1]}, {uids[0]: 0x0110})]
    heard.events.clear()
    await hub.rows("UPDATE dicom_set_aside SET sent_by = 'node other' RETURNING id")
    assert await ask(hub, asked_for(uids, "1.9.2"), heard, stays=True) == 0
    assert heard.events == [(1, set(uids), {})]


async def test_a_node_that_has_gone_is_told_later_until_it_hears(hub: Asking) -> None:
    uids, heard = await hub.series("1.2.1", 2), Heard()
    assert await ask(hub, asked_for(uids, "1.9.1"), heard, stays=False) == 0
    (left,) = await run_jobs(hub)  # nobody listens there
    assert left["error"].startswith("ConnectionError")
    await hub.rows(f"UPDATE job SET run_at = '{AT.isoformat()}' RETURNING id")
    with listening(hub, refusing := Heard(status=0x0110)):
        (left,) = await run_jobs(hub)
    assert refusing.events and left["error"].startswith("ConnectionError")
    await hub.rows(f"UPDATE job SET run_at = '{AT.isoformat()}' RETURNING id")
    with listening(hub, heard):
        assert await run_jobs(hub) == []
    assert heard.events == [(1, set(uids), {})]


async def test_nobody_learns_of_another_clinics_instances(hub: Asking) -> None:
    made, heard = senders.slice_of("1.2.3", "1.2.3.1", 0, 4), Heard()
    await hub.put(made, hub.world.foreign.organisations["town"])
    assert await ask(hub, asked_for([made.SOPInstanceUID], "1.9.1"), heard, stays=True) == 0
    assert heard.events == [(2, set(), {made.SOPInstanceUID: 0x0112})]


async def test_what_is_asked_wrongly_is_refused(hub: Asking) -> None:
    for asked, more, status in (
        (asked_for([], "1.9.1"), {}, 0x0115),
        (asked_for(["1.2.3"], ""), {}, 0x0115),
        (asked_for(["1.2.3"], "1.9.1"), {"instance": "1.2.3"}, 0x0112),
        (asked_for(["1.2.3"], "1.9.1"), {"action": 2}, 0x0123),
    ):
        assert await ask(hub, asked, Heard(), stays=False, **more) == status  # type: ignore[arg-type]
    assert await hub.rows("SELECT FROM dicom_commitment") == []
