"""A look that was decided holds for a second, for that actor, action and study with that patient, and no other."""

import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from hub.core import errors
from hub.core.actor import Actor
from hub.core.db import Database
from hub.imaging.pictures import looks
from hub.imaging.pictures.looks import HOLDS_S, Looks
from tests.world import AT

Right = tuple[Actor, str, UUID, UUID]  # who, to do what, with whose study of which organisation


class Rights:
    """Whoever has which right now, in the place of the database; how often it was asked."""

    def __init__(self) -> None:
        self.held: set[Right] = set()
        self.asked = 0

    @contextlib.asynccontextmanager
    async def transaction(self, *_: object) -> AsyncIterator[None]:
        yield

    async def require(
        self, _conn: None, actor: Actor, _at: object, action: str, *, patient_id: UUID, organisation_id: UUID
    ) -> None:
        self.asked += 1
        if (actor, action, patient_id, organisation_id) not in self.held:
            raise errors.error("not_allowed")


@pytest.fixture
def rights(monkeypatch: pytest.MonkeyPatch) -> Rights:
    made = Rights()
    monkeypatch.setattr(looks.access, "require", made.require)
    return made


async def is_let(kept: Looks, rights: Rights, right: Right, study_id: UUID) -> bool:
    actor, action, patient_id, organisation_id = right
    row: dict[str, Any] = {
        "study_id": study_id,
        "patient_id": patient_id,
        "organisation_id": organisation_id,
    }
    try:
        await kept.require(cast(Database, rights), actor, AT, action, row)
    except errors.NotAllowed:
        return False
    return True


async def test_who_looks_has_the_right_or_had_it_within_the_last_second(rights: Rights) -> None:
    """Over any history of rights that come and go: never later than that, never refused with the right."""
    dice, now_s = random.Random(11), 0.0
    kept = Looks(lambda: now_s)
    one, organisation = str(uuid4()), uuid4()
    actors = [Actor("person", one, "x"), Actor("person", str(uuid4()), "x"), Actor("node", one)]
    patients = [uuid4(), uuid4()]
    every = [
        (who, what, whose, organisation) for who in actors for what in ("see", "mark") for whose in patients
    ]
    studies = dict(zip(patients, (uuid4(), uuid4()), strict=True))
    last_held_s: dict[Right, float] = {}
    outcomes = set()
    for _ in range(4000):
        now_s += dice.choice((0.0, 0.1, 0.4, HOLDS_S))
        right = dice.choice(every)
        if dice.random() < 0.5:
            rights.held ^= {right}
            last_held_s[right] = now_s
        held = right in rights.held
        let = await is_let(kept, rights, right, studies[right[2]])
        assert let or not held
        assert not let or held or now_s - last_held_s[right] < HOLDS_S
        outcomes.add((held, let))
    assert outcomes == {(True, True), (False, True), (False, False)}
    assert rights.asked < 4000  # some looks were let without asking


async def test_a_study_that_gets_another_patient_is_decided_anew(rights: Rights) -> None:
    kept, study_id = Looks(lambda: 0.0), uuid4()
    right = (Actor("person", str(uuid4()), "x"), "see", uuid4(), uuid4())
    rights.held = {right}
    assert await is_let(kept, rights, right, study_id)
    assert not await is_let(kept, rights, (*right[:2], uuid4(), right[3]), study_id)


async def test_what_is_kept_is_bounded(rights: Rights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "KEPT_MAX", 3)
    kept = Looks(lambda: 0.0)
    right = (Actor("person", str(uuid4()), "x"), "see", uuid4(), uuid4())
    rights.held = {right}
    for study_id in [uuid4() for _ in range(10)]:
        assert await is_let(kept, rights, right, study_id)
        assert len(kept._until_s) <= 3
