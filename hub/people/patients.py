"""Residents: registered once with what identifies them, found again by name or number, never across a border.

A lookup sees only patients that the row-level policy shows the actor, so a resident registered in a foreign
district is not found, not warned of and not in conflict: nobody learns who is registered elsewhere.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from hub.core import db, errors, ids
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit, identity
from hub.people.identity import Keys

SEXES = ("male", "female", "other", "unknown")
GUARDIAN_BELOW_YEARS = 14
OLDEST_YEARS = 130
SEARCH_MAX = 100
HASH_CHARS = 64
LOCAL = timezone(timedelta(hours=8))  # birthdays begin at midnight in China, which has one time zone


@dataclass(frozen=True)
class NewPatient:
    """What the desk fills in."""

    name: str
    sex: str
    birth_date: date
    id_type: str
    id_number: str = ""
    phone: str | None = None
    guardian_name: str | None = None
    guardian_phone: str | None = None
    organisation_id: UUID | None = None  # needed only by who works in several
    confirm_duplicate: bool = False


@dataclass(frozen=True)
class Registered:
    """The new patient, or those it may already be: then nothing was written until somebody confirms."""

    patient_id: UUID | None
    warnings: list[Row]


def age_years(birth_date: date, at: datetime) -> int:
    """Completed years of life."""
    today = at.astimezone(LOCAL).date()
    return today.year - birth_date.year - ((today.month, today.day) < (birth_date.month, birth_date.day))


async def register_patient(
    conn: Connection, actor: Actor, at: datetime, keys: Keys, new: NewPatient
) -> Registered:
    """Register a resident; the same document is a conflict, the same name and birth date a warning."""
    organisation_id = await _organisation_for(conn, actor, at, new.organisation_id)
    await access.require(conn, actor, at, "patient.register", organisation_id=organisation_id)
    number = identity.normalised(new.id_number)
    _require_complete(new, number, at)
    number_hash = keys.hash(new.id_type, number) if number else None
    await _require_unknown(conn, number_hash)
    warnings = await _namesakes(conn, new)
    if warnings and not new.confirm_duplicate:
        return Registered(None, warnings)
    patient_id = ids.new(at)
    await db.run(
        conn,
        """INSERT INTO patient (id, organisation_id, name, sex, birth_date, id_type, id_number_encrypted,
             id_number_hash, phone, guardian_name, guardian_phone, created_by, created_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            patient_id,
            organisation_id,
            new.name,
            new.sex,
            new.birth_date,
            new.id_type,
            keys.encrypt(patient_id, number) if number else None,
            number_hash,
            new.phone,
            new.guardian_name,
            new.guardian_phone,
            actor.account_id,
            at,
        ),
    )
    await audit.record(
        conn,
        actor,
        at,
        "patient.register",
        "patient",
        patient_id,
        patient_id=patient_id,
        warned=bool(warnings),
    )
    return Registered(patient_id, warnings)


async def search_patients(
    conn: Connection, actor: Actor, at: datetime, keys: Keys, query: str, limit: int = 20
) -> list[dict[str, Any]]:
    """Patients whose name begins so, or whose number (or its hash) it is; newest first without a query.

    A merged patient is found under the one it was merged into.
    """
    await access.require(conn, actor, at, "patient.search")
    text = query.strip()
    number = identity.normalised(text)
    hashes = [keys.hash(id_type, number) for id_type in identity.ID_TYPES]
    if len(text) == HASH_CHARS:
        hashes.append(text)
    found = await db.rows(
        conn,
        f"""{_PATIENT_SQL} WHERE p.id IN (
              SELECT coalesce(m.merged_into, q.id)
              FROM patient q LEFT JOIN patient_merge m ON m.patient_id = q.id
              WHERE %(text)s = '' OR starts_with(q.name, %(text)s) OR q.id_number_hash = ANY(%(hashes)s))
            ORDER BY p.created_at DESC, p.id DESC LIMIT %(limit)s""",
        {"text": text, "hashes": hashes, "limit": limit},
    )
    await audit.record(conn, actor, at, "patient.search", "patient", "", found=len(found))
    return [_shown(row, at, keys) for row in found]


async def patient(
    conn: Connection, actor: Actor, at: datetime, keys: Keys, patient_id: UUID
) -> dict[str, Any]:
    """One patient with consents, and who was merged with it; the look is in the access log."""
    await access.require(conn, actor, at, "patient.read", patient_id=patient_id)
    row = await db.one(conn, f"{_PATIENT_SQL} WHERE p.id = %s", (patient_id,))
    consents = await db.rows(
        conn,
        """SELECT c.id, c.kind, c.given_how, c.given_by, c.given_at, c.withdrawn_at, a.name AS recorded_by_name
           FROM consent c JOIN account a ON a.id = c.recorded_by
           WHERE c.patient_id = %s ORDER BY c.given_at DESC, c.id DESC""",
        (patient_id,),
    )
    merges = await db.rows(
        conn,
        "SELECT patient_id, merged_into FROM patient_merge WHERE patient_id = %(id)s OR merged_into = %(id)s",
        {"id": patient_id},
    )
    await audit.record(conn, actor, at, "patient.read", "patient", patient_id, patient_id=patient_id)
    return _shown(row, at, keys) | {
        "guardian_name": row["guardian_name"],
        "guardian_phone": row["guardian_phone"],
        "consents": consents,
        "merged_into": next((m["merged_into"] for m in merges if m["patient_id"] == patient_id), None),
        "merged": [m["patient_id"] for m in merges if m["merged_into"] == patient_id],
    }


async def access_log(
    conn: Connection, actor: Actor, at: datetime, patient_id: UUID, limit: int = 200
) -> list[Row]:
    """Who looked at or did what for a patient, newest first; break-glass stands out by its action."""
    await access.require(conn, actor, at, "patient.access-log", patient_id=patient_id)
    return await db.rows(
        conn,
        """SELECT a.at, a.action, a.actor_kind, p.name AS actor_name, a.detail ->> 'reason' AS reason,
                  (SELECT o.name FROM role_assignment r JOIN organisation o ON o.id = r.organisation_id
                   WHERE r.account_id = p.id ORDER BY r.valid_from, r.id LIMIT 1) AS organisation_name
           FROM audit a LEFT JOIN account p ON a.actor_kind = 'person' AND p.id::text = a.actor_id
           WHERE a.patient_id = %(id)s
              OR a.patient_id IN (SELECT merged_into FROM patient_merge WHERE patient_id = %(id)s)
              OR a.patient_id IN (SELECT patient_id FROM patient_merge WHERE merged_into = %(id)s)
           ORDER BY a.at DESC, a.id DESC LIMIT %(limit)s""",
        {"id": patient_id, "limit": limit},
    )


_PATIENT_SQL = """
    SELECT p.id, p.name, p.sex, p.birth_date, p.id_type, p.id_number_encrypted, p.phone, p.guardian_name,
           p.guardian_phone,
           json_build_object('id', o.id, 'name', o.name, 'name_en', o.name_en) AS organisation
    FROM patient p JOIN organisation o ON o.id = p.organisation_id"""


def _shown(row: Row, at: datetime, keys: Keys) -> dict[str, Any]:
    kept = row["id_number_encrypted"]
    return {
        "id": row["id"],
        "name": row["name"],
        "sex": row["sex"],
        "birth_date": row["birth_date"],
        "age_years": age_years(row["birth_date"], at),
        "organisation": row["organisation"],
        "id_type": row["id_type"],
        "id_number_masked": identity.masked(keys.decrypt(row["id"], kept)) if kept else None,
        "phone": row["phone"],
    }


async def _organisation_for(conn: Connection, actor: Actor, at: datetime, asked: UUID | None) -> UUID:
    """The organisation asked for, or the only one the actor works in."""
    if asked is not None:
        return asked
    held = await db.rows(
        conn,
        """SELECT DISTINCT organisation_id FROM role_assignment
           WHERE account_id = %(account)s AND role = ANY(%(roles)s) AND valid_from <= %(at)s
             AND (valid_until IS NULL OR valid_until > %(at)s)""",
        {"account": actor.account_id, "roles": list(access.CARE), "at": at},
    )
    if not held:
        raise errors.error("not_allowed")
    if len(held) > 1:
        raise errors.error(
            "bad_field", field="organisation_id", expected="one of the organisations you work in"
        )
    organisation_id: UUID = held[0]["organisation_id"]
    return organisation_id


def _require_complete(new: NewPatient, number: str, at: datetime) -> None:
    years = age_years(new.birth_date, at)
    if not 0 <= years <= OLDEST_YEARS:
        raise errors.error("bad_field", field="birth_date", expected="a date of birth of somebody alive")
    if bool(number) != (new.id_type != "none"):
        raise errors.error("bad_field", field="id_number", expected="a number, unless id_type is none")
    if number:
        identity.require_valid(new.id_type, number, new.birth_date, new.sex)
    if years < GUARDIAN_BELOW_YEARS and not (new.guardian_name and new.guardian_phone):
        raise errors.error("guardian_needed", field="guardian_name", below_years=GUARDIAN_BELOW_YEARS)


async def _require_unknown(conn: Connection, number_hash: str | None) -> None:
    if number_hash is None:
        return
    known = await db.maybe(conn, "SELECT id FROM patient WHERE id_number_hash = %s", (number_hash,))
    if known is not None:
        raise errors.error("patient_exists", patient_id=str(known["id"]))


async def _namesakes(conn: Connection, new: NewPatient) -> list[Row]:
    return await db.rows(
        conn,
        "SELECT id, name, birth_date FROM patient WHERE name = %s AND birth_date = %s ORDER BY created_at",
        (new.name, new.birth_date),
    )
