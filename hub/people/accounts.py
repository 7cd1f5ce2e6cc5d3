"""Accounts and their roles. An administrator reaches those with a role at or below the own organisation.

To disable an account or give it a new password, all its running roles must lie there: else a town's
administrator could take over somebody of the district.
"""

import re
from datetime import datetime
from uuid import UUID

from hub.core import db, errors, ids
from hub.core.actor import Actor
from hub.core.db import Connection, Row
from hub.people import access, audit, grants, passwords

LOCALES = ("zh-CN", "en")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{2,31}")


async def create_account(
    conn: Connection,
    actor: Actor,
    at: datetime,
    *,
    login: str,
    name: str,
    password: str,
    organisation_id: UUID,
    role: str,
    locale: str = "zh-CN",
) -> UUID:
    """A new account with its first role, so that it belongs somewhere."""
    await access.require(conn, actor, at, "account.create", organisation_id=organisation_id)
    if not _LOGIN.fullmatch(login):
        raise errors.error("bad_field", field="login", expected="3 to 32 of a-z 0-9 . _ -")
    passwords.require_strong(password, login)
    account_id = ids.new(at)
    added = await db.run(
        conn,
        """INSERT INTO account (id, login, name, password_hash, locale, created_at)
           VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (login) DO NOTHING""",
        (account_id, login, name, await passwords.hashed(password), locale, at),
    )
    if not added:
        raise errors.error("login_taken")
    await _insert_role(conn, at, account_id, organisation_id, role)
    await audit.record(
        conn, actor, at, "account.create", "account", account_id, organisation_id=organisation_id, role=role
    )
    return account_id


async def accounts(conn: Connection, actor: Actor, at: datetime) -> list[Row]:
    """Accounts with a role at or below the administrator's organisations, with their roles there."""
    await access.require(conn, actor, at, "account.read")
    reached = await access.organisations(conn, actor, at, [access.ADMIN])
    return await db.rows(
        conn,
        """SELECT a.id, a.login, a.name, a.locale, a.disabled_at, a.locked_until,
                  json_agg(json_build_object('id', r.id, 'role', r.role, 'organisation_id', o.id,
                    'organisation_name', o.name, 'organisation_name_en', o.name_en,
                    'valid_until', r.valid_until) ORDER BY r.valid_from, r.id) AS roles
           FROM account a JOIN role_assignment r ON r.account_id = a.id
           JOIN organisation o ON o.id = r.organisation_id
           WHERE r.organisation_id = ANY(%s) GROUP BY a.id ORDER BY a.login""",
        (list(reached),),
    )


async def disable_account(conn: Connection, actor: Actor, at: datetime, account_id: UUID) -> None:
    """Nobody signs in with it any more and its sessions end; the account stays, for the records."""
    home = await _require_whole_account(conn, actor, at, "account.disable", account_id)
    await db.run(
        conn, "UPDATE account SET disabled_at = coalesce(disabled_at, %s) WHERE id = %s", (at, account_id)
    )
    await _sign_out_everywhere(conn, account_id)
    await audit.record(conn, actor, at, "account.disable", "account", account_id, organisation_id=home)


async def reset_password(
    conn: Connection, actor: Actor, at: datetime, account_id: UUID, password: str
) -> None:
    """A new password given by the administrator; also ends a lock-out."""
    home = await _require_whole_account(conn, actor, at, "account.password", account_id)
    await _set_password(conn, account_id, password)
    await audit.record(conn, actor, at, "account.password", "account", account_id, organisation_id=home)


async def change_password(conn: Connection, actor: Actor, at: datetime, password: str) -> None:
    """One's own new password, after giving the old one (step-up); other sessions end, this one goes on."""
    await access.require(conn, actor, at, "me.password")
    await _set_password(conn, actor.account_id, password, spare=actor.session)
    await audit.record(conn, actor, at, "me.password", "account", actor.id)


async def edit_me(
    conn: Connection, actor: Actor, at: datetime, locale: str | None, time_zone: str | None
) -> None:
    """The reader's own language and time zone."""
    await access.require(conn, actor, at, "me.edit")
    await db.run(
        conn,
        "UPDATE account SET locale = coalesce(%s, locale), time_zone = coalesce(%s, time_zone) WHERE id = %s",
        (locale, time_zone, actor.account_id),
    )


async def give_role(
    conn: Connection,
    actor: Actor,
    at: datetime,
    account_id: UUID,
    organisation_id: UUID,
    role: str,
    until: datetime | None = None,
) -> UUID:
    """One more role for an account the administrator reaches."""
    await access.require(conn, actor, at, "role.give", organisation_id=organisation_id)
    held = await _organisations_of(conn, at, account_id)
    if not held & await access.organisations(conn, actor, at, [access.ADMIN]):
        raise errors.error("not_found")
    role_id = await _insert_role(conn, at, account_id, organisation_id, role, until)
    await grants.tell(conn, account_id)
    await audit.record(
        conn, actor, at, "role.give", "account", account_id, organisation_id=organisation_id, role=role
    )
    return role_id


async def end_role(conn: Connection, actor: Actor, at: datetime, role_id: UUID) -> None:
    """The role ends now; pages that stood on it close."""
    row = await db.one(
        conn, "SELECT account_id, organisation_id, role FROM role_assignment WHERE id = %s", (role_id,)
    )
    await access.require(conn, actor, at, "role.end", organisation_id=row["organisation_id"])
    await db.run(
        conn,
        """UPDATE role_assignment SET valid_until = %(at)s
           WHERE id = %(id)s AND (valid_until IS NULL OR valid_until > %(at)s)""",
        {"at": at, "id": role_id},
    )
    await grants.tell(conn, row["account_id"])
    await audit.record(
        conn,
        actor,
        at,
        "role.end",
        "account",
        row["account_id"],
        organisation_id=row["organisation_id"],
        role=row["role"],
    )


async def _insert_role(
    conn: Connection,
    at: datetime,
    account_id: UUID,
    organisation_id: UUID,
    role: str,
    until: datetime | None = None,
) -> UUID:
    role_id = ids.new(at)
    await db.run(
        conn,
        """INSERT INTO role_assignment (id, account_id, organisation_id, role, valid_from, valid_until)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        (role_id, account_id, organisation_id, role, at, until),
    )
    return role_id


async def _organisations_of(conn: Connection, at: datetime, account_id: UUID) -> set[UUID]:
    """Where an account holds a role now, or held its last ones if none runs."""
    found = await db.rows(
        conn,
        """SELECT organisation_id, valid_until IS NULL OR valid_until > %s AS runs
           FROM role_assignment WHERE account_id = %s""",
        (at, account_id),
    )
    running = {row["organisation_id"] for row in found if row["runs"]}
    return running or {row["organisation_id"] for row in found}


async def _require_whole_account(
    conn: Connection, actor: Actor, at: datetime, action: str, account_id: UUID
) -> UUID:
    """The account's organisation (one of them), if the administrator reaches every role of it."""
    await access.require(conn, actor, at, action)
    held = await _organisations_of(conn, at, account_id)
    reached = await access.organisations(conn, actor, at, [access.ADMIN])
    if not held & reached:
        raise errors.error("not_found")
    if not held <= reached:
        raise errors.error("not_allowed")
    return min(held)


async def _set_password(conn: Connection, account_id: UUID, password: str, spare: str | None = None) -> None:
    row = await db.one(conn, "SELECT login FROM account WHERE id = %s", (account_id,))
    passwords.require_strong(password, row["login"])
    await db.run(
        conn,
        "UPDATE account SET password_hash = %s, failed_attempts = 0, locked_until = NULL WHERE id = %s",
        (await passwords.hashed(password), account_id),
    )
    await _sign_out_everywhere(conn, account_id, spare)


async def _sign_out_everywhere(conn: Connection, account_id: UUID, spare: str | None = None) -> None:
    await db.run(
        conn,
        "DELETE FROM session WHERE account_id = %s AND token_sha256 IS DISTINCT FROM %s",
        (account_id, spare),
    )
    await grants.tell(conn, account_id)
