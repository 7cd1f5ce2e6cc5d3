"""Signing in: server-side sessions under a random token, lock-out, and the password again before signing.

The token is only in the browser's cookie; the table holds its SHA-256. A session ends when idle, after a
fixed time, or when its person signs out or is disabled; open streams are then closed.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hub.core import db, errors
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit, grants, passwords


@dataclass(frozen=True)
class Policy:
    """How long a session lasts and how often one may guess."""

    idle: timedelta = timedelta(hours=12)
    longest: timedelta = timedelta(days=7)
    wrong_attempts: int = 5
    locked_for: timedelta = timedelta(minutes=15)
    touch_every: timedelta = timedelta(seconds=60)  # last_seen_at is written at most this often


POLICY = Policy()

# Which pages a role opens, in the order they are offered; the first is where one lands.
PAGES: dict[str, tuple[str, ...]] = {
    "desk": access.CARE,
    "reading": access.READERS,
    "live": access.CARE,
    "admin": (access.ADMIN, access.DEVICES, access.AUDITOR),
}


@dataclass(frozen=True)
class SignedIn:
    """A fresh session: the token goes into the cookie and nowhere else."""

    actor: Actor
    token: str
    csrf: str


async def sign_in(
    conn: Connection, at: datetime, login: str, password: str, policy: Policy = POLICY
) -> SignedIn | errors.HubError:
    """A session, or the error to raise once the transaction that counts the wrong attempt has committed."""
    account = await db.maybe(
        conn,
        """SELECT id, password_hash, failed_attempts, locked_until, disabled_at FROM account
           WHERE login = %s FOR UPDATE""",
        (login,),
    )
    if account is not None and account["locked_until"] is not None and account["locked_until"] > at:
        return errors.error("locked_out", until=account["locked_until"].isoformat())
    right = await passwords.matches(account["password_hash"] if account else None, password)
    if account is None or account["disabled_at"] is not None:
        return errors.error("wrong_credentials")
    if not right:
        return await _count_wrong(conn, at, account, policy)
    return await _open_session(conn, at, account["id"], policy)


async def sign_out(conn: Connection, actor: Actor, at: datetime) -> None:
    """End this session."""
    await db.run(conn, "DELETE FROM session WHERE token_sha256 = %s", (actor.session,))
    await grants.tell(conn, actor.account_id)
    await audit.record(conn, actor, at, "session.close", "account", actor.id)


async def authenticate(
    conn: Connection, token: str, at: datetime, policy: Policy = POLICY
) -> tuple[Actor, str] | None:
    """Whose session it is and its CSRF token; None if it has ended."""
    session = await _running(conn, _sha256(token), at, policy)
    if session is None:
        return None
    if at - session["last_seen_at"] >= policy.touch_every:
        await db.run(
            conn,
            "UPDATE session SET last_seen_at = %s WHERE token_sha256 = %s",
            (at, session["token_sha256"]),
        )
    return Actor("person", str(session["account_id"]), session["token_sha256"]), session["csrf_token"]


async def admit(
    conn: Connection,
    actor: Actor,
    at: datetime,
    action: str,
    object_kind: str | None = None,
    object_id: UUID | None = None,
) -> None:
    """May this caller (still) do this? The gate before every handler and the recheck of every open stream."""
    if actor.session is not None and await _running(conn, actor.session, at, POLICY) is None:
        raise errors.error("not_signed_in")
    patient_id = object_id if object_kind == "patient" else None
    organisation_id = object_id if object_kind == "organisation" else None
    await access.require(conn, actor, at, action, patient_id=patient_id, organisation_id=organisation_id)


async def step_up(
    conn: Connection, actor: Actor, at: datetime, password: str, policy: Policy = POLICY
) -> errors.HubError | None:
    """The password again, for signing; wrong ones count towards the lock-out, so the error is returned."""
    await access.require(conn, actor, at, "me.step-up")
    account = await db.one(
        conn,
        "SELECT id, password_hash, failed_attempts, locked_until FROM account WHERE id = %s FOR UPDATE",
        (actor.account_id,),
    )
    if account["locked_until"] is not None and account["locked_until"] > at:
        return errors.error("locked_out", until=account["locked_until"].isoformat())
    if not await passwords.matches(account["password_hash"], password):
        return await _count_wrong(conn, at, account, policy)
    await db.run(conn, "UPDATE session SET stepped_up_at = %s WHERE token_sha256 = %s", (at, actor.session))
    await db.run(conn, "UPDATE account SET failed_attempts = 0 WHERE id = %s", (actor.account_id,))
    await audit.record(conn, actor, at, "me.step-up", "account", actor.id)
    return None


async def me(conn: Connection, actor: Actor, at: datetime) -> dict[str, Any]:
    """Who is signed in, the roles held now, and the pages they open."""
    await access.require(conn, actor, at, "me.read")
    account = await db.one(
        conn, "SELECT id, login, name, locale, time_zone FROM account WHERE id = %s", (actor.account_id,)
    )
    roles = await db.rows(
        conn,
        """SELECT r.role, json_build_object(
             'id', o.id, 'name', o.name, 'name_en', o.name_en, 'level', o.level) AS organisation
           FROM role_assignment r JOIN organisation o ON o.id = r.organisation_id
           WHERE r.account_id = %(account)s AND r.valid_from <= %(at)s
             AND (r.valid_until IS NULL OR r.valid_until > %(at)s) ORDER BY r.valid_from, r.id""",
        {"account": actor.account_id, "at": at},
    )
    held = {row["role"] for row in roles}
    pages = [page for page, opened_by in PAGES.items() if held & set(opened_by)]
    return {"account": account, "roles": roles, "pages": pages}


async def _running(conn: Connection, token_sha256: str, at: datetime, policy: Policy) -> Row | None:
    return await db.maybe(
        conn,
        """SELECT s.token_sha256, s.account_id, s.csrf_token, s.last_seen_at FROM session s
           JOIN account a ON a.id = s.account_id
           WHERE s.token_sha256 = %s AND s.expires_at > %s AND s.last_seen_at > %s
             AND a.disabled_at IS NULL""",
        (token_sha256, at, at - policy.idle),
    )


async def _open_session(conn: Connection, at: datetime, account_id: UUID, policy: Policy) -> SignedIn:
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    actor = Actor("person", str(account_id), _sha256(token))
    await db.run(
        conn,
        """INSERT INTO session (token_sha256, account_id, csrf_token, created_at, last_seen_at, expires_at)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        (actor.session, account_id, csrf, at, at, at + policy.longest),
    )
    await db.run(
        conn,
        "DELETE FROM session WHERE account_id = %s AND (expires_at <= %s OR last_seen_at <= %s)",
        (account_id, at, at - policy.idle),
    )
    await db.run(
        conn, "UPDATE account SET failed_attempts = 0, locked_until = NULL WHERE id = %s", (account_id,)
    )
    await audit.record(conn, actor, at, "session.open", "account", account_id)
    return SignedIn(actor, token, csrf)


async def _count_wrong(conn: Connection, at: datetime, account: Row, policy: Policy) -> errors.HubError:
    attempts = account["failed_attempts"] + 1
    locked = attempts >= policy.wrong_attempts
    await db.run(
        conn,
        "UPDATE account SET failed_attempts = %s, locked_until = %s WHERE id = %s",
        (0 if locked else attempts, at + policy.locked_for if locked else None, account["id"]),
    )
    actor = Actor("person", str(account["id"]))
    await audit.record(conn, actor, at, "session.refused", "account", account["id"], locked=locked)
    return errors.error("locked_out" if locked else "wrong_credentials")


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
