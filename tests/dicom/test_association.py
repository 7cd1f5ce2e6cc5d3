"""The acceptor's upper layer: the same events however the bytes are cut, and no bytes that do it harm."""

import os
import random
import struct

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from dicom import association, commands, pdus, uids
from dicom.association import Acceptor, CommandReceived, DataSetBytes, DataSetEnded, Released, negotiate
from dicom.pdus import ProtocolFault, Request
from tests.dicom import peer

DATA_SET = bytes(range(256)) * 300
RELEASE = peer.pdu(pdus.RELEASE_RQ, bytes(4))
OFFERED = [(1, uids.VERIFICATION, [uids.IMPLICIT_LITTLE]), (3, peer.CT, [uids.EXPLICIT_LITTLE])]
CONVERSATION = (
    peer.request(OFFERED)
    + peer.values(1, peer.command(peer.ECHO, uids.VERIFICATION, data_set=False), True)
    + peer.store(3, DATA_SET, "1.2.3.1")
    + peer.store(3, b"", "1.2.3.2")
    + peer.store(3, DATA_SET[:7], "1.2.3.3", most=7)
    + RELEASE
)

MUTANTS = int(os.environ.get("TELEHUB_MUTANTS", "300"))


def heard(data: bytes, cut: random.Random | None = None) -> list[object]:
    """All events, the bytes of a data set joined; accepts what is proposed as the hub does."""
    acceptor, told, position = Acceptor(), list[object](), 0
    while position < len(data):
        size = cut.choice((1, 2, 5, 100, 5000)) if cut else len(data)
        for event in acceptor.feed(memoryview(data)[position : position + size]):
            if isinstance(event, Request):
                contexts = [negotiate(one) for one in event.proposals]
                acceptor.accept({one.id: one for one in contexts if one.result == pdus.ACCEPTED})
            if isinstance(event, DataSetBytes) and told and isinstance(told[-1], bytes):
                told[-1] += bytes(event.view)
            else:
                told.append(bytes(event.view) if isinstance(event, DataSetBytes) else event)
        position += size
    return told


@pytest.mark.parametrize("seed", range(20))
def test_events_do_not_depend_on_how_bytes_are_cut(seed: int) -> None:
    told = heard(CONVERSATION, random.Random(seed))
    assert told == heard(CONVERSATION)
    assert [e.command.sop_instance_uid for e in told if isinstance(e, CommandReceived)] == [
        "", "1.2.3.1", "1.2.3.2", "1.2.3.3",
    ]  # fmt: skip
    assert [e for e in told if isinstance(e, bytes)] == [DATA_SET, DATA_SET[:7]]
    assert sum(isinstance(e, DataSetEnded) for e in told) == 3 and told[-1] == Released()


@pytest.mark.parametrize(
    "faulty",
    [
        peer.pdu(pdus.P_DATA, bytes(20)),  # before an association
        peer.request(OFFERED) * 2,
        peer.request([]),
        peer.request([(2, peer.CT, [uids.EXPLICIT_LITTLE])]),  # an even number
        peer.request([(1, peer.CT, [])] * 2),
        peer.request(OFFERED)[:80] + bytes(200),
        peer.pdu(pdus.ASSOCIATE_RQ, b"", length=1 << 30),
        peer.pdu(pdus.ASSOCIATE_AC, bytes(100)),
        peer.pdu(9, bytes(4)),
        peer.request(OFFERED) + peer.pdu(pdus.P_DATA, b"", length=association.MAX_PDU_BYTES + 1),
        peer.request(OFFERED) + peer.pdu(pdus.P_DATA, b"", length=0),
        peer.request(OFFERED) + peer.pdu(pdus.P_DATA, struct.pack(">IBB", 1 << 31, 3, 1), length=100),
        peer.request(OFFERED) + peer.pdu(pdus.P_DATA, struct.pack(">IBB", 1, 3, 1)),
        peer.request(OFFERED) + peer.values(5, peer.command(peer.STORE), True),  # never proposed
        peer.request(OFFERED) + peer.values(3, DATA_SET, False),  # a data set without a command
        peer.request(OFFERED) + peer.values(3, peer.command(peer.STORE), True) * 2,
        peer.request(OFFERED) + peer.values(3, peer.command(peer.STORE), True) + RELEASE,
        peer.request(OFFERED) + peer.values(3, peer.command(peer.STORE), True) + peer.values(1, b"x", False),
        peer.request(OFFERED) + peer.values(3, bytes(commands.COMMAND_BYTES_MAX + 1), True),
        peer.request(OFFERED) + peer.values(3, b"\1\0\0\0\0\0\0\0", True),  # another group
        peer.request(OFFERED) + peer.values(3, b"\0\0\2\0\xff\xff\xff\xff", True),
    ],
)  # fmt: skip
def test_a_broken_protocol_is_a_fault_however_it_is_cut(faulty: bytes) -> None:
    for cut in (None, random.Random(1)):
        with pytest.raises(ProtocolFault) as fault:
            heard(faulty, cut)
        assert 0 <= fault.value.reason <= 6


def test_mutants_are_events_or_a_fault_and_nothing_is_hoarded() -> None:
    told = {"events": 0, "faults": 0}
    for seed in range(MUTANTS):
        chance = random.Random(seed)
        data = bytearray(CONVERSATION)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(1200) if chance.random() < 0.8 else chance.randrange(len(data))] = (
                chance.randrange(256)
            )
        acceptor = Acceptor()
        try:
            for event in acceptor.feed(memoryview(bytes(data[: chance.choice((len(data), 700))]))):
                if isinstance(event, Request):
                    contexts = [negotiate(one) for one in event.proposals]
                    acceptor.accept({one.id: one for one in contexts if one.result == pdus.ACCEPTED})
            told["events"] += 1
        except ProtocolFault:
            told["faults"] += 1
        assert len(acceptor._held) <= association.REQUEST_BYTES_MAX
        assert len(acceptor._command) <= commands.COMMAND_BYTES_MAX
    assert min(told.values()) > MUTANTS // 15, told


def test_our_acceptance_is_understood_by_another_implementation() -> None:
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(peer.request(OFFERED))
    asked = pdus.read_request(peer.request(OFFERED)[pdus.HEADER_BYTES :])
    assert asked.calling == theirs.calling_ae_title and asked.called == theirs.called_ae_title
    assert [p.abstract_syntax for p in asked.proposals] == [
        p.abstract_syntax for p in theirs.presentation_context
    ]
    answer = A_ASSOCIATE_AC()
    answer.decode(pdus.write_acceptance(asked, [negotiate(p) for p in asked.proposals], 131_072))
    primitive = answer.to_primitive()
    assert primitive.maximum_length_received == 131_072
    assert [(c.context_id, c.result) for c in primitive.presentation_context_definition_results_list] == [
        (1, 0), (3, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("most", [0, 16384, 40, 12])
def test_responses_fit_into_what_the_peer_takes(most: int) -> None:
    asked = commands.Command(commands.C_STORE_RQ, 9, True, peer.CT, "1.2.3")
    response = commands.write_response(asked, commands.OUT_OF_RESOURCES, "no room")
    sent = list(peer.answers(pdus.write_command(3, response, most)))
    assert all(kind == pdus.P_DATA and (not most or len(body) <= most) for kind, body in sent)
    assert [body[5] for _, body in sent] == [1] * (len(sent) - 1) + [3]
    told = commands.read_command(b"".join(body[6:] for _, body in sent))
    assert (told.field, told.message_id, told.has_data_set) == (commands.C_STORE_RSP, 9, False)
