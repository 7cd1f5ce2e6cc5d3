"""Retention rules: seen and switched by the administrator of the whole tree, applied by the job `retention.sweep`.

A rule is a row: off until somebody switches it on, never shorter than the law asks (a check of the table). What is
removed is told in the audit by kind, number and ids.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from hub.core import actor, clock, db, errors, jobs
from hub.core.actor import Actor
from hub.core.db import Connection
from hub.core.jobs import Context, Every, JobKind
from hub.core.retention import KINDS, Due, Removed, Sweeper, Sweepers
from hub.people import access, audit

JOB: Final = "retention.sweep"
REMOVE_FILE: Final = "retention.file"
ACTOR: Final = actor.job(JOB)
SWEEP_EVERY_S: Final = 3600.0
BATCHES: Final = 500  # of one sort and run; the next run goes on
FILE_AFTER: Final = timedelta(days=1)  # a backup that has the row still finds the file
KEEP_DAYS_MAX: Final = 36_525
SESSIONS_AT_ONCE: Final = 10_000


async def rules(conn: Connection, actor: Actor, at: datetime) -> list[dict[str, Any]]:
    """All rules with their words."""
    await access.require(conn, actor, at, "retention.read")
    found = await db.rows(
        conn,
        "SELECT r.kind, r.minimum_days, r.keep_days, r.enabled, r.changed_at, a.name AS changed_by"
        " FROM retention_rule r LEFT JOIN account a ON a.id = r.changed_by ORDER BY r.minimum_days DESC, r.kind",
    )
    return [row | {"name": KINDS[row["kind"]].zh, "name_en": KINDS[row["kind"]].en} for row in found]


async def preview(conn: Connection, actor: Actor, at: datetime, sweepers: Sweepers) -> list[dict[str, Any]]:
    """The dry run: what each rule would remove now, switched on or not."""
    found = []
    for rule in await rules(conn, actor, at):
        before = at - timedelta(days=rule["keep_days"])
        for sweeper in sweepers[rule["kind"]]:
            due = await sweeper.due(conn, before)
            found.append(
                {"kind": rule["kind"], "enabled": rule["enabled"], "object_kind": sweeper.object_kind}
                | {"number": due.number, "oldest_at": due.oldest_at, "before": before}
            )
    return found


async def change_rule(
    conn: Connection, actor: Actor, at: datetime, kind: str, *, keep_days: int, enabled: bool
) -> None:
    """Rules hold for the whole tree, so only its administrator changes them."""
    root = await db.one(
        conn, "SELECT id FROM organisation WHERE parent_id IS NULL ORDER BY created_at LIMIT 1"
    )
    await access.require(conn, actor, at, "retention.edit", organisation_id=root["id"])
    rule = await db.one(conn, "SELECT minimum_days FROM retention_rule WHERE kind = %s FOR UPDATE", (kind,))
    if keep_days < rule["minimum_days"]:
        raise errors.error("retention_too_short", minimum_days=rule["minimum_days"])
    await db.run(
        conn,
        "UPDATE retention_rule SET keep_days = %s, enabled = %s, changed_by = %s, changed_at = %s WHERE kind = %s",
        (keep_days, enabled, actor.account_id, at, kind),
    )
    await audit.record(
        conn, actor, at, "retention.edit", "retention-rule", kind, organisation_id=root["id"],
        keep_days=keep_days, enabled=enabled,
    )  # fmt: skip


async def sweep(sweepers: Sweepers, context: Context, _payload: dict[str, Any]) -> None:
    """`retention.sweep`: apply the rules that are switched on."""
    async with context.db.transaction(ACTOR, context.at) as conn:
        enabled = await db.rows(conn, "SELECT kind FROM retention_rule WHERE enabled ORDER BY kind")
    for rule in enabled:
        for sweeper in sweepers[rule["kind"]]:
            await _sweep(context, rule["kind"], sweeper)


async def _sweep(context: Context, kind: str, sweeper: Sweeper) -> None:
    for _ in range(BATCHES):
        async with context.db.transaction(ACTOR, clock.now()) as conn:
            rule = await db.one(
                conn, "SELECT keep_days, enabled FROM retention_rule WHERE kind = %s FOR SHARE", (kind,)
            )
            if not rule["enabled"]:  # switched off meanwhile
                return
            removed = await sweeper.remove(conn, context.at - timedelta(days=rule["keep_days"]))
            await _tell(conn, context.at, kind, sweeper.object_kind, removed)
        if not removed.more:
            return


async def _tell(conn: Connection, at: datetime, kind: str, object_kind: str, removed: Removed) -> None:
    if removed.number:
        await audit.record(
            conn, ACTOR, at, "retention.sweep", object_kind, kind, number=removed.number, ids=" ".join(removed.ids)
        )  # fmt: skip
    for sha256 in removed.files:
        await jobs.enqueue(conn, at, REMOVE_FILE, sha256, {"sha256": sha256}, run_at=at + FILE_AFTER)


async def remove_file(context: Context, payload: dict[str, Any]) -> None:
    """`retention.file`: a file whose row went a day ago, unless it has come back since."""
    async with context.db.transaction(ACTOR, context.at) as conn:
        known = await db.maybe(conn, "SELECT FROM stored_file WHERE sha256 = %s", (payload["sha256"],))
    if known is None:
        context.store.remove(payload["sha256"])


async def ask(context: Context) -> None:
    """A timer: the sweep is a job, since it may take long."""
    async with context.db.transaction(ACTOR, context.at) as conn:
        if await db.maybe(conn, "SELECT FROM retention_rule WHERE enabled LIMIT 1") is not None:
            await jobs.enqueue(conn, context.at, JOB, "", {})


async def _ended_sessions(conn: Connection, before: datetime) -> Due:
    row = await db.one(
        conn,
        "SELECT count(*) AS number, min(expires_at) AS oldest FROM session WHERE expires_at < %s",
        (before,),
    )
    return Due(row["number"], row["oldest"])


async def _remove_sessions(conn: Connection, before: datetime) -> Removed:
    gone = await db.run(
        conn,
        "DELETE FROM session WHERE token_sha256 IN"
        " (SELECT token_sha256 FROM session WHERE expires_at < %s LIMIT %s)",
        (before, SESSIONS_AT_ONCE),
    )
    return Removed(gone, more=gone == SESSIONS_AT_ONCE)


def kinds(sweepers: Sweepers) -> dict[str, JobKind]:
    """The jobs, with what the domains can remove."""
    return {JOB: JobKind(partial(sweep, sweepers), timeout_s=3_600.0), REMOVE_FILE: JobKind(remove_file)}


RETENTION: Final[Sweepers] = {"log": (Sweeper("session", _ended_sessions, _remove_sessions),)}
EVERY: Every = {"retention.ask": (SWEEP_EVERY_S, ask)}
