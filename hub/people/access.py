"""Who may do what, and how far: one table, deny by default (design section 6).

Every service asks `require` first. Only roles, agreements and grants are read, here and in the row-level
policies. How far a role reaches from the organisation it is held in is its *reach*; a grant opens one object
to one account, whatever caused it (a claim, a consent, a break-glass).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection

Reach = Literal["below", "own", "network"]

VILLAGE = "village_doctor"
TOWNSHIP = "township_doctor"
TECHNICIAN = "technician"
FAMILY_DOCTOR = "family_doctor"
READER = "reader"
SENIOR = "senior_reader"
DEVICES = "device_manager"
ADMIN = "organisation_admin"
AUDITOR = "auditor"
ROLES = (
    VILLAGE,
    TOWNSHIP,
    TECHNICIAN,
    READER,
    SENIOR,
    FAMILY_DOCTOR,
    "resident",
    "family_member",
    DEVICES,
    ADMIN,
    AUDITOR,
)
CARE = (VILLAGE, TOWNSHIP, TECHNICIAN, FAMILY_DOCTOR)
READERS = (READER, SENIOR)

STEP_UP_FOR = timedelta(minutes=15)


@dataclass(frozen=True)
class Rule:
    """These roles, as far as `reach` goes from the organisation the role is held in.

    below: that organisation and everything under it. own: exactly that one (a reading centre).
    network: patients of its district, and of those who have an agreement with it.
    """

    roles: tuple[str, ...]
    reach: Reach = "below"


@dataclass(frozen=True)
class Action:
    """Who may: anybody at all, anybody signed in, roles by rules, or whoever holds a grant of that name."""

    rules: tuple[Rule, ...] = ()
    grant: str | None = None
    anybody: bool = False
    signed_in: bool = False
    step_up: bool = False
    node: Literal["", "send", "query"] = (
        ""  # also for a DICOM node that may do so, within its own organisation
    )


def _below(*roles: str, grant: str | None = None) -> Action:
    return Action((Rule(roles),), grant)


def _reading(step_up: bool = False) -> Action:
    return Action((Rule(READERS, "own"),), step_up=step_up)


_ANYBODY = Action(anybody=True)
_SIGNED_IN = Action(signed_in=True)
_CARE = _below(*CARE)
_CARE_OR_GRANT = _below(*CARE, grant="patient.read")

ACTIONS: dict[str, Action] = {
    "page.read": _ANYBODY,  # the pages themselves hold no data
    "health.read": _ANYBODY,
    "metrics.read": _ANYBODY,  # the route answers loopback only
    "session.open": _ANYBODY,
    "session.close": _SIGNED_IN,
    "me.read": _SIGNED_IN,
    "me.edit": _SIGNED_IN,
    "me.step-up": _SIGNED_IN,
    "me.password": Action(signed_in=True, step_up=True),
    "changes.watch": _SIGNED_IN,
    "organisation.read": _SIGNED_IN,
    "organisation.create": _below(ADMIN),
    "patient.register": _CARE,
    "patient.search": _CARE,
    "patient.read": _CARE_OR_GRANT,
    "patient.break-glass": Action((Rule((READER, SENIOR, TOWNSHIP, FAMILY_DOCTOR), "network"),)),
    "patient.access-log": _CARE_OR_GRANT,
    "patient.merge": _below(TOWNSHIP, FAMILY_DOCTOR),
    "consent.record": _CARE,
    "consent.withdraw": _CARE,
    "request.create": _CARE,
    "request.read": _CARE_OR_GRANT,
    "request.cancel": _CARE,
    "upload.options": _ANYBODY,  # what the protocol can
    "upload.create": _CARE,
    "upload.read": _CARE_OR_GRANT,
    "upload.push": Action((Rule(CARE),), node="send"),
    "dicom.store": Action((Rule(CARE),), node="send"),
    "dicom.query": Action((Rule(CARE),), "patient.read", node="query"),
    "dicom.worklist": Action(node="query"),  # what waits at its own clinic
    "dicom.read": _CARE,
    "dicom.export": _below(ADMIN),
    "images.read": _CARE_OR_GRANT,
    "images.annotate": Action((Rule(CARE), Rule(READERS, "own"))),  # of images one may read
    "dicom-forward.read": _below(*CARE, DEVICES, ADMIN),
    "dicom-forward.send": _below(*CARE, DEVICES, ADMIN),
    "dicom-forward.give-up": _below(*CARE, DEVICES, ADMIN),
    "dicom.assign": _CARE,
    "dicom-node.read": _below(DEVICES, ADMIN),
    "dicom-node.edit": _below(DEVICES, ADMIN),
    "device.read": _below(DEVICES, TECHNICIAN, TOWNSHIP, VILLAGE),
    "device.provision": _below(DEVICES),
    "device.retire": _below(DEVICES),
    "device.pair": _CARE,
    "device.ask": _below(DEVICES, TECHNICIAN, TOWNSHIP),
    "set-aside.read": _below(DEVICES),
    "set-aside.replay": _below(DEVICES),
    "set-aside.discard": _below(DEVICES),
    "hub.read": _below(DEVICES, ADMIN),
    "incident.read": _below(DEVICES, ADMIN),
    "incident.take": _below(DEVICES, ADMIN),
    "incident.resolve": _below(DEVICES, ADMIN),
    "job.read": _below(DEVICES, ADMIN),
    "job.retry": _below(DEVICES, ADMIN),  # at a root of the tree: jobs are everybody's
    "recording.start": _CARE,
    "recording.end": _CARE,
    "recording.discard": _CARE,
    "diary.add": _CARE,
    "recording.read": _CARE_OR_GRANT,
    "recording.live": _CARE_OR_GRANT,
    "vitals.read": _CARE_OR_GRANT,
    "board.live": _CARE,
    "alarm.read": _CARE_OR_GRANT,
    "alarm.own": _below(*CARE, grant="alarm.own"),
    "alarm.resolve": _below(*CARE, grant="alarm.own"),
    "task.list": _reading(),
    "task.claim": _reading(),
    "task.release": _reading(),
    "report.write": _reading(),
    "report.sign": _reading(step_up=True),
    "report.withdraw": _reading(step_up=True),  # by who signed it
    "report.withdraw-any": Action((Rule((SENIOR,), "own"),), step_up=True),  # by a senior, whoever signed
    "report.read": Action((Rule(CARE), Rule(READERS, "own")), "patient.read"),
    "study.list": _CARE,
    "routing.read": _below(ADMIN, *READERS),
    "routing.edit": _below(ADMIN),
    "account.read": _below(ADMIN),
    "account.create": _below(ADMIN),
    "account.disable": _below(ADMIN),
    "account.password": _below(ADMIN),
    "role.give": _below(ADMIN),
    "role.end": _below(ADMIN),
    "retention.read": _below(ADMIN),
    "retention.edit": Action((Rule((ADMIN,)),), step_up=True),  # at a root of the tree: data are everybody's
    "agreement.read": _below(ADMIN),
    "agreement.create": _below(ADMIN),
    "agreement.end": _below(ADMIN),
    "audit.read": _below(AUDITOR),
}
PUBLIC = frozenset(name for name, action in ACTIONS.items() if action.anybody)


def _valid(table: str) -> str:
    return f"{table}.valid_from <= %(at)s AND ({table}.valid_until IS NULL OR {table}.valid_until > %(at)s)"


_ROLES_HELD = f"r.account_id = %(account)s AND r.role = ANY(%(roles)s) AND {_valid('r')}"
_ANY_ROLE_SQL = f"SELECT FROM role_assignment r WHERE {_ROLES_HELD}"
# The role assignments that reach an organisation.
_REACH_SQL: dict[Reach, str] = {
    "below": f"""
        SELECT FROM role_assignment r JOIN organisation_closure c ON c.ancestor = r.organisation_id
        WHERE c.descendant = %(organisation)s AND {_ROLES_HELD}""",
    "own": f"""
        SELECT FROM role_assignment r WHERE r.organisation_id = %(organisation)s AND {_ROLES_HELD}""",
    "network": f"""
        SELECT FROM role_assignment r WHERE {_ROLES_HELD} AND (
            EXISTS (
                SELECT FROM organisation d
                JOIN organisation_closure mine ON mine.ancestor = d.id AND mine.descendant = r.organisation_id
                JOIN organisation_closure its ON its.ancestor = d.id AND its.descendant = %(organisation)s
                WHERE d.level = 'district')
            OR EXISTS (
                SELECT FROM agreement g
                JOIN organisation_closure sender ON sender.ancestor = g.from_organisation_id
                WHERE sender.descendant = %(organisation)s AND g.to_organisation_id = r.organisation_id
                  AND {_valid("g")}))""",
}


async def require(
    conn: Connection,
    actor: Actor,
    at: datetime,
    action: str,
    *,
    patient_id: UUID | None = None,
    organisation_id: UUID | None = None,
) -> None:
    """Raise unless the actor may; without an object: unless it may for some object at least.

    A patient the actor can't see is `not_found`, so that nobody learns who is registered elsewhere. Given
    both, rules that reach below look at the patient's organisation, those of a reading centre at
    `organisation_id`.
    """
    rule = ACTIONS[action]
    if actor.kind == "job" or rule.anybody:
        return
    if actor.kind == "node" and rule.node and await _is_own(conn, rule.node, organisation_id):
        return
    if actor.kind != "person":
        raise errors.error("not_signed_in" if actor.kind == "anonymous" else "not_allowed")
    if not rule.signed_in:
        home = await _patient_organisation(conn, action, patient_id)
        if not await _permits(conn, actor, at, rule, patient_id, home, organisation_id):
            raise errors.error("not_found" if patient_id is not None and home is None else "not_allowed")
    if rule.step_up and not await stepped_up(conn, actor, at):
        raise errors.error("step_up_needed")


async def allows(
    conn: Connection,
    actor: Actor,
    at: datetime,
    action: str,
    *,
    patient_id: UUID | None = None,
    organisation_id: UUID | None = None,
) -> bool:
    """Whether `require` would let it pass."""
    try:
        await require(conn, actor, at, action, patient_id=patient_id, organisation_id=organisation_id)
    except (errors.NotAllowed, errors.NotFound, errors.NotAuthenticated):
        return False
    return True


async def organisations(conn: Connection, actor: Actor, at: datetime, roles: Iterable[str]) -> set[UUID]:
    """The organisations these roles of the actor reach downwards (a job: all), where no policy narrows."""
    if actor.kind == "job":
        return {row["id"] for row in await db.rows(conn, "SELECT id FROM organisation")}
    found = await db.rows(
        conn,
        f"""SELECT DISTINCT c.descendant FROM role_assignment r
            JOIN organisation_closure c ON c.ancestor = r.organisation_id WHERE {_ROLES_HELD}""",
        {"account": actor.account_id, "roles": list(roles), "at": at},
    )
    return {row["descendant"] for row in found}


async def stepped_up(conn: Connection, actor: Actor, at: datetime) -> bool:
    """Whether the person gave the password again a short while ago, in this session."""
    row = await db.maybe(conn, "SELECT stepped_up_at FROM session WHERE token_sha256 = %s", (actor.session,))
    return row is not None and row["stepped_up_at"] is not None and at - row["stepped_up_at"] < STEP_UP_FOR


async def _patient_organisation(conn: Connection, action: str, patient_id: UUID | None) -> UUID | None:
    """The patient's organisation as far as the actor may see it; breaking the glass looks past the policy."""
    if patient_id is None:
        return None
    past_policy = any(rule.reach == "network" for rule in ACTIONS[action].rules)
    query = "SELECT hub_patient_organisation(%s) AS organisation_id" if past_policy else _HOME_SQL
    row = await db.maybe(conn, query, (patient_id,))
    return row["organisation_id"] if row else None


_HOME_SQL = "SELECT organisation_id FROM patient WHERE id = %s"


async def _is_own(conn: Connection, to_do: str, organisation_id: UUID | None) -> bool:
    """Whether the acting node is in use and may do this, and whether it is its organisation."""
    row = await db.one(conn, "SELECT hub_node_organisation(%s) AS own", (to_do,))
    return row["own"] is not None and organisation_id in (None, row["own"])


async def _permits(
    conn: Connection,
    actor: Actor,
    at: datetime,
    action: Action,
    patient_id: UUID | None,
    home: UUID | None,
    organisation_id: UUID | None,
) -> bool:
    anywhere = patient_id is None and organisation_id is None
    for rule in action.rules:
        if rule.reach == "own":
            target = organisation_id
        else:
            target = home if patient_id is not None else organisation_id
        if await _holds(conn, actor, at, rule, target, anywhere):
            return True
    return action.grant is not None and await _granted(conn, actor, at, action.grant, patient_id, anywhere)


async def _holds(
    conn: Connection, actor: Actor, at: datetime, rule: Rule, organisation_id: UUID | None, anywhere: bool
) -> bool:
    parameters = {
        "account": actor.account_id,
        "roles": list(rule.roles),
        "at": at,
        "organisation": organisation_id,
    }
    query = _ANY_ROLE_SQL if anywhere else _REACH_SQL[rule.reach]
    row = await db.one(conn, f"SELECT EXISTS ({query}) AS holds", parameters)
    return bool(row["holds"])


async def _granted(
    conn: Connection, actor: Actor, at: datetime, grant: str, patient_id: UUID | None, anywhere: bool
) -> bool:
    """Whether a grant opens this patient, or one merged with it; anywhere: whether any grant does."""
    if patient_id is None and not anywhere:
        return False
    row = await db.one(
        conn,
        f"""SELECT EXISTS (
              SELECT FROM access_grant g
              WHERE g.account_id = %(account)s AND g.action = %(action)s AND g.object_kind = 'patient'
                AND {_valid("g")}
                AND (%(patient)s::uuid IS NULL OR g.object_id = %(patient)s
                     OR g.object_id IN (SELECT merged_into FROM patient_merge WHERE patient_id = %(patient)s)
                     OR g.object_id IN (SELECT patient_id FROM patient_merge WHERE merged_into = %(patient)s))
            ) AS granted""",
        {"account": actor.account_id, "action": grant, "patient": patient_id, "at": at},
    )
    return bool(row["granted"])
