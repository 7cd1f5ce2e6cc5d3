"""Resident ids: what the check character finds out, and how numbers are kept."""

from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from hub.core import errors
from hub.core.actor import job
from hub.core.db import Database
from hub.people import identity
from tests.parts import Databases
from tests.world import AT

seventeen = st.text("0123456789", min_size=17, max_size=17).map(lambda s: "1" + s[1:])
KEYS = identity.Keys(b"e" * 32, b"s" * 32)


def test_the_example_of_the_standard() -> None:
    # GB 11643-1999, annex A
    identity.require_valid("resident-id", "11010519491231002X", date(1949, 12, 31), "female")


@given(seventeen, st.integers(0, 16), st.sampled_from("0123456789"))
def test_one_wrong_digit_is_always_found(number: str, place: int, digit: str) -> None:
    wrong = number[:place] + digit + number[place + 1 :]
    same = identity.check_character(wrong) == identity.check_character(number)
    assert same == (wrong == number)


@given(seventeen, st.integers(0, 15))
def test_two_digits_swapped_are_always_found(number: str, place: int) -> None:
    wrong = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    same = identity.check_character(wrong) == identity.check_character(number)
    assert same == (wrong == number)


@pytest.mark.parametrize(
    ("number", "birth_date", "sex", "code"),
    [
        ("110105194912310021", date(1949, 12, 31), "female", "bad_id_number"),
        ("11010519491231002", date(1949, 12, 31), "female", "bad_id_number"),
        ("11010519491231002X", date(1949, 12, 30), "female", "id_number_disagrees"),
        ("11010519491231002X", date(1949, 12, 31), "male", "id_number_disagrees"),
        ("１1010519491231002X", date(1949, 12, 31), "female", "bad_id_number"),
    ],
)
def test_what_disagrees_is_named(number: str, birth_date: date, sex: str, code: str) -> None:
    with pytest.raises(errors.BadInput) as refused:
        identity.require_valid("resident-id", number, birth_date, sex)
    assert refused.value.code == code


@given(st.uuids(), st.text("0123456789X", min_size=1, max_size=18))
def test_a_number_is_read_again_only_for_its_own_patient(patient_id: UUID, number: str) -> None:
    kept = KEYS.encrypt(patient_id, number)
    assert KEYS.decrypt(patient_id, kept) == number
    assert number.encode() not in kept or len(number) < 4
    with pytest.raises(InvalidTag):
        KEYS.decrypt(uuid4(), kept)


@given(st.text("0123456789X", min_size=1, max_size=18))
def test_a_page_never_shows_more_than_five_characters(number: str) -> None:
    shown = identity.masked(number)
    assert len(shown) == len(number)
    assert sum(character != "*" for character in shown) <= 5


def test_keys_are_made_once_and_for_nobody_else(tmp_path: Path) -> None:
    assert identity.load_keys(tmp_path) == identity.load_keys(tmp_path)
    assert (tmp_path / "secret" / identity.KEY_NAME).stat().st_mode & 0o777 == 0o600


async def test_a_database_knows_its_keys(database: Databases) -> None:
    async def check(db: Database, keys: identity.Keys) -> None:
        async with db.transaction(job("start"), AT) as conn:
            await identity.require_own_keys(conn, keys)

    await check(database.app, KEYS)
    await check(database.app, KEYS)
    with pytest.raises(ValueError, match="not the key of this database"):
        await check(database.app, identity.Keys(b"x" * 32, b"y" * 32))
