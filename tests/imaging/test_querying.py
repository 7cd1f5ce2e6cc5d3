"""Searching the index: any combination of keys gives what a plain filter over the same documents gives."""

import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement

from dicom import matching
from dicom.matching import InvalidKey
from hub.core import errors
from hub.core.actor import Actor
from hub.imaging.index import indexing, instances, looking_at_dicom, nodes, querying
from tests import world
from tests.imaging import senders
from tests.imaging.conftest import Clinic

NAMES = ("Wang^XiaoDong=王^小东=", "王^建国", "Müller^Jörg", "wang", "Ng%_^A?b", "李^", "")
WORDS = ("A1", "a1", "B\\2", "%", "_", "胸部 CT", "")
DATES = ("20260301", "20260302", "20250101", "")
TIMES = ("080000", "0800", "08", "080001.5", "235959", "")
COUNT = 40


async def _in_this_process(_function: str, payload: bytes, *_: float) -> bytes:
    return looking_at_dicom.documents(payload)


@pytest.fixture
async def asked(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Clinic, Actor, list[dict[str, Any]]]]:
    """Studies of one clinic with attributes of every kind, indexed; and what the index says of all of them."""
    dice = random.Random(7)
    node_id = await senders.node(clinic.two, "ASKER", address="192.0.2.7", may_query=True)
    sender = Actor("node", str(node_id))
    for number in range(COUNT):
        made = senders.slice_of(f"1.2.{number}", f"1.2.{number}.1", 1, side=2)
        made.PatientName, made.AccessionNumber = dice.choice(NAMES), dice.choice(WORDS).replace("\\", "")
        made.ReferringPhysicianName = dice.choice(NAMES)
        made.StudyDescription, made.StudyDate, made.StudyTime = (
            dice.choice(WORDS).replace("\\", ""),
            dice.choice(DATES),
            dice.choice(TIMES),
        )
        made.PatientID, made.StudyID = dice.choice(WORDS).replace("\\", ""), str(dice.randint(1, 3))
        made.Modality, made.PatientWeight = (
            dice.choice(("CT", "MR", "US")),
            dice.choice(("70", "70.0", "71.5")),
        )
        made.NumberOfFrames = dice.randint(1, 2)
        if dice.random() < 0.5:
            item = senders.Dataset()
            item.ScheduledProcedureStepID, item.RequestedProcedureID = dice.choice("12"), dice.choice("12")
            made.RequestAttributesSequence = [item]
        await store(clinic, sender, made)
    monkeypatch.setattr(indexing.sandbox, "run", _in_this_process)  # a process for each file takes its time
    await indexing.queue_waiting(clinic.context())
    await clinic.run_jobs()
    everything = await find(clinic, sender, "instance", [])
    assert len(everything) == COUNT and any("00101030" in one for one in everything)
    yield clinic, sender, everything


async def store(clinic: Clinic, sender: Actor, made: Any) -> None:
    file = await clinic.store.put(senders.as_file(made), instances.MEDIA_TYPE)
    town = clinic.two.own.organisations["town"]
    outcome = await instances.store_file(
        clinic.databases.app, clinic.store, sender, world.AT, nodes.sender(sender.id, town), file
    )
    assert outcome.kind == "stored"


async def find(
    clinic: Clinic,
    actor: Actor,
    level: Any,
    keys: list[tuple[str, str]],
    limit: int = 5000,
    offset: int = 0,
    more: frozenset[str] = querying.ALL,
) -> list[dict[str, Any]]:
    wanted = [matching.key(*key) for key in keys]
    async with clinic.databases.app.transaction(actor, world.AT) as conn:
        found = await querying.search(conn, actor, world.AT, level, wanted, limit, offset, more)
    return [one.document() for one in found]


async def test_of_attributes_that_are_named_no_others_are_read(
    asked: tuple[Clinic, Actor, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of matches are as many documents, of which a node wants a line each."""
    clinic, sender, _ = asked
    named = frozenset({"00101030", "00080060", "00400275", "7FE00010", "00091001"})
    read, rows_of = list[dict[str, Any]](), querying.db.rows

    async def seen(*statement: Any) -> list[dict[str, Any]]:
        rows = await rows_of(*statement)
        read.extend(rows)
        return rows

    for level in ("study", "series", "instance"):
        everything = await find(clinic, sender, level, [])
        listed = await find(clinic, sender, level, [], more=querying.NOTHING_MORE)
        with monkeypatch.context() as spied:
            spied.setattr(querying.db, "rows", seen)
            some = await find(clinic, sender, level, [], more=named)
        expected = [
            {tag: one[tag] for tag in one.keys() & named} | short
            for one, short in zip(everything, listed, strict=True)
        ]
        assert some == expected
    documents = [row[f"document{n}"] or {} for row in read for n in range(3) if f"document{n}" in row]
    assert len(documents) > COUNT and all(document.keys() <= named for document in documents)


def said(document: dict[str, Any], path: tuple[str, ...]) -> Iterator[Any]:
    """Every value of an attribute, at any depth."""
    for value in document.get(path[0], {}).get("Value", []):
        if len(path) == 1:
            yield value
        else:
            yield from said(value, path[1:])


def fits(pattern: str, text: str) -> bool:
    """`*` and `?`, nothing else."""
    return bool(text) and fnmatchcase(text, pattern.replace("[", "[[]"))


def is_match(document: dict[str, Any], keyword: str, asked: str) -> bool:
    """The rules of matching once more, plainly."""
    path, vr = matching.attribute(keyword)
    if not asked.strip("*"):
        return True
    values = list(said(document, path))
    if vr == "PN":
        groups = [value.get(group, "").rstrip("^ ").lower() for value in values for group in matching.GROUPS]
        return any(fits(asked.rstrip("^ ").lower(), group) for group in groups)
    if vr in ("DA", "TM") and "-" in asked:
        first, last = asked.split("-")
        wide = [(padded(str(value), "0"), value) for value in values]
        return any(
            (not first or padded(first, "0") <= one) and (not last or one <= padded(last, "9"))
            for one, _ in wide
        )
    if vr == "TM":
        return any(padded(asked, "0") <= padded(value, "0") <= padded(asked, "9") for value in values)
    if vr in ("IS", "DS", "US"):
        return any(Decimal(str(value)) == Decimal(asked) for value in values)
    if vr == "UI" or vr == "CS":
        return any(fits(one, value) for one in asked.split(",") for value in values)
    return any(fits(asked, value) for value in values)


def padded(value: str, with_: str) -> str:
    whole, _, fraction = value.partition(".")
    return whole.ljust(8 if len(whole) == 8 else 6, with_) + fraction.ljust(6, with_)


def wild(dice: random.Random, words: tuple[str, ...]) -> str:
    word = dice.choice(words).split("=")[0].replace("\\", "")
    if not word or dice.random() < 0.4:
        return word
    at = dice.randrange(len(word))
    return dice.choice(
        (word[:at] + "*", "*" + word[at:], word[:at] + "?" + word[at + 1 :], "*" + word[at] + "*")
    )


ASKED: dict[str, Callable[[random.Random], str]] = {
    "PatientName": lambda dice: wild(dice, NAMES),
    "ReferringPhysicianName": lambda dice: wild(dice, NAMES).swapcase(),
    "StudyDescription": lambda dice: wild(dice, WORDS),
    "AccessionNumber": lambda dice: wild(dice, WORDS),
    "PatientID": lambda dice: wild(dice, WORDS),
    "StudyDate": lambda dice: dice.choice(("20260301", "20260301-20260302", "-20251231", "20260302-", "*")),
    "StudyTime": lambda dice: dice.choice(("08", "080000", "0800-080001", "-0800", "080001-", "080001.5")),
    "ModalitiesInStudy": lambda dice: dice.choice(("CT", "CT,MR", "*S", "MG")),
    "Modality": lambda dice: dice.choice(("CT", "C?", "US,CT")),
    "StudyID": lambda dice: dice.choice("123"),
    "PatientWeight": lambda dice: dice.choice(("70", "70.00", "71.5", "1")),
    "NumberOfFrames": lambda dice: dice.choice("12"),
    "StudyInstanceUID": lambda dice: ",".join(f"1.2.{dice.randrange(COUNT)}" for _ in range(20)),
    "RequestAttributesSequence.ScheduledProcedureStepID": lambda dice: dice.choice("12"),
    "InstanceAvailability": lambda dice: dice.choice(("ONLINE", "O*", "OFFLINE")),
}  # fmt: skip


async def test_a_name_longer_than_a_name_may_be_stops_nothing(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its place in the list, is found by how it begins, and the study has its documents."""
    node_id = await senders.node(clinic.two, "ASKER", address="192.0.2.7", may_query=True)
    sender, dice = Actor("node", str(node_id)), random.Random(7)
    name = "".join(chr(dice.randrange(0x4E00, 0x9FFF)) for _ in range(8000))  # nothing that compresses
    made = senders.slice_of("1.2.1", "1.2.1.1", 1, side=2)
    made["PatientName"] = DataElement("PatientName", "PN", f"Wang^Long={name}", validation_mode=IGNORE)
    await store(clinic, sender, made)
    monkeypatch.setattr(indexing.sandbox, "run", _in_this_process)
    await indexing.queue_waiting(clinic.context())
    await clinic.run_jobs(later=("imaging.copies",))
    (study,) = await clinic.rows("SELECT document IS NOT NULL AS is_told FROM dicom_study")
    assert study["is_told"]
    assert len(await find(clinic, sender, "study", [("PatientName", f"{name[:20]}*")])) == 1


async def test_a_study_that_cannot_be_told_still_gets_its_patient(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise ArithmeticError

    node_id = await senders.node(clinic.two, "ASKER", address="192.0.2.7", may_query=True)
    (request,) = await clinic.rows("SELECT accession FROM service_request")
    made = senders.slice_of("1.2.1", "1.2.1.1", 1, side=2, AccessionNumber=request["accession"])
    made.PatientBirthDate = made.PatientSex = ""
    await store(clinic, Actor("node", str(node_id)), made)
    monkeypatch.setattr(indexing.sandbox, "run", _in_this_process)
    monkeypatch.setattr(indexing.summaries, "refresh", fails)
    await indexing.queue_waiting(clinic.context())
    with pytest.raises(AssertionError, match="ArithmeticError"):
        await clinic.run_jobs()
    assert await clinic.rows("SELECT patient_id FROM dicom_study") == [{"patient_id": clinic.patient_id}]


async def test_any_keys_give_what_a_plain_filter_gives(
    asked: tuple[Clinic, Actor, list[dict[str, Any]]],
) -> None:
    clinic, actor, everything = asked
    dice, some = random.Random(11), 0
    for _ in range(150):
        keys = [(name, ASKED[name](dice)) for name in dice.sample(sorted(ASKED), dice.choice((1, 1, 2, 3)))]
        expected = [one for one in everything if all(is_match(one, *key) for key in keys)]
        found = await find(clinic, actor, "instance", keys)
        assert uids(found) == uids(expected), keys
        some += bool(expected)
        limit, offset = dice.randint(1, 5), dice.randint(0, 5)
        page = await find(clinic, actor, "instance", keys, limit, offset)
        assert uids(page) == uids(expected)[offset : offset + limit]
    assert some > 50


def uids(documents: list[dict[str, Any]]) -> list[str]:
    return [document["00080018"]["Value"][0] for document in documents]


async def test_keys_of_one_item_and_levels(asked: tuple[Clinic, Actor, list[dict[str, Any]]]) -> None:
    clinic, actor, everything = asked
    steps = (
        "RequestAttributesSequence.ScheduledProcedureStepID",
        "RequestAttributesSequence.RequestedProcedureID",
    )
    found = await find(clinic, actor, "instance", [(steps[0], "1"), (steps[1], "2")])
    items = [(uid, item) for uid, one in zip(uids(everything), everything, strict=True)
             for item in one.get("00400275", {}).get("Value", [])]  # fmt: skip
    expected = [
        uid for uid, item in items if (item["00400009"]["Value"], item["00401001"]["Value"]) == (["1"], ["2"])
    ]
    assert expected and uids(found) == expected
    assert (
        len(await find(clinic, actor, "study", [])) == len(await find(clinic, actor, "series", [])) == COUNT
    )
    dates = [one["00080020"].get("Value", [""])[0] for one in await find(clinic, actor, "study", [])]
    assert dates == sorted(dates, reverse=True)
    with pytest.raises(errors.BadInput):
        await find(clinic, actor, "study", [("Modality", "CT")])


async def test_a_node_sees_its_own_clinic_only_and_only_if_it_may(
    asked: tuple[Clinic, Actor, list[dict[str, Any]]],
) -> None:
    clinic, _, _ = asked
    deaf = Actor("node", str(await senders.node(clinic.two, "DEAF", address="192.0.2.8")))
    with pytest.raises(errors.NotAllowed):
        await find(clinic, deaf, "study", [])
    foreign = Actor("node", str(await senders.node(
        clinic.two, "FOREIGN", address="192.0.2.9", may_query=True, may_send=False)))  # fmt: skip
    async with await world.connect(clinic.two.admin_dsn) as admin:
        town = clinic.two.foreign.organisations["town"]
        await admin.execute("UPDATE dicom_node SET organisation_id = %s WHERE id = %s", (town, foreign.id))
    assert await find(clinic, foreign, "instance", []) == []
    for role, seen in (("township_doctor", COUNT), ("reader", None)):
        person = clinic.two.own.actor(role)
        if seen is None:
            with pytest.raises(errors.NotAllowed):
                await find(clinic, person, "study", [])
        else:
            assert len(await find(clinic, person, "study", [])) == seen
    assert await find(clinic, clinic.two.foreign.actor("township_doctor"), "study", []) == []
    made = await clinic.rows("SELECT action, detail FROM audit WHERE action = 'dicom.query'")
    assert made and all("Wang" not in json.dumps(row["detail"]) for row in made)


@pytest.mark.parametrize(
    ("name", "value"),
    [("StudyDate", "2026"), ("StudyDate", "2026-01-01"), ("StudyDate", "20260101-20250101"), ("StudyTime", "8"),
     ("StudyInstanceUID", "1.2.x"), ("Nonsense", "1"), ("", "1"), ("PatientName.PatientID", "1"), ("00100011", "1"),
     ("PixelData", "1"), ("SeriesNumber", "NaN"), ("SeriesNumber", "1e999"), ("PatientName", "a=b=c=d"),
     ("PatientID", "x" * 300), ("PatientID", "a\0b")],
)  # fmt: skip
def test_keys_that_cannot_be(name: str, value: str) -> None:
    with pytest.raises(InvalidKey):
        matching.key(name, value)


def test_keys_of_an_identifier() -> None:
    document = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang*", "Ideographic": "王*"}]},
        "0020000D": {"vr": "UI", "Value": ["1.2", "1.3"]},
        "00200011": {"vr": "IS", "Value": ["1"]},
        "00080020": {"vr": "DA"},
        "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["7"]}}]},
    }
    found = {key.path: key.match for key in matching.keys_of(document)}
    assert found == {
        ("00100010",): matching.Name(("Wang*", "王*")),
        ("0020000D",): matching.OneOf(("1.2", "1.3")),
        ("00200011",): matching.Numbers((Decimal(1),)),
        ("00080020",): matching.Anything(),
        ("00400275", "00400009"): matching.OneOf(("7",)),
    }
