"""Reading over HTTP: the queue, the case, drafts, signatures, reports, the desk's studies, routing
(docs/protocol).
"""

import asyncio
from typing import Any

from hub.core import actor
from hub.core.answers import Bytes
from hub.core.fields import Fields
from hub.core.http import Request, Route
from hub.reading import cases, drafts, forwarding, reports, routing, studies, tasks
from hub.reading.rules import DUE
from hub.reading.signing import LocalSigner, local_signer
from hub.reading.tasks import task_view
from hub.reading.verifying import verify_report
from hub.reading.words import LOCALES

TEXT_MAX_CHARS = 20_000
FINDINGS_MAX = 60  # strips on paper
RULES_MAX = 200


def _signer(request: Request) -> LocalSigner:
    return local_signer(request.settings.data_dir)


async def list_tasks(request: Request) -> Any:
    view = request.query.optional_choice("status", tuple(tasks.VIEWS)) or "open"
    async with request.transaction() as conn:
        found = await tasks.list_tasks(conn, request.actor, request.at, view)
    return {"tasks": [task_view(task) for task in found]}


async def claim_task(request: Request) -> Any:
    async with request.transaction() as conn:
        task = await tasks.claim_task(conn, request.actor, request.at, request.uuid("task_id"))
    return {"task": task_view(task)}


async def extend_lease(request: Request) -> Any:
    async with request.transaction() as conn:
        until = await tasks.extend_lease(conn, request.actor, request.at, request.uuid("task_id"))
    return {"lease_until": until}


async def release_task(request: Request) -> Any:
    async with request.transaction() as conn:
        await tasks.release_task(conn, request.actor, request.at, request.uuid("task_id"))


async def read_case(request: Request) -> Any:
    async with request.transaction() as conn:
        return await cases.read_case(conn, request.actor, request.at, request.uuid("task_id"))


async def images_of_task(request: Request) -> Any:
    async with request.transaction() as conn:
        sha256 = await cases.images_of_task(conn, request.actor, request.at, request.uuid("task_id"))
    return {"sha256": sha256}


async def read_beats(request: Request) -> Any:
    first = request.query.integer("from_sample", 0, 2**53)
    last = request.query.integer("to_sample", first, 2**53)
    async with request.transaction() as conn:
        beats = await cases.read_beats(
            conn, request.actor, request.at, request.uuid("analysis_id"), first, last
        )
    return {"beats": beats}


async def add_edit(request: Request) -> Any:
    sent = (await request.body()).mapping("operation")
    operation = await asyncio.to_thread(drafts.usable_edit, sent)
    async with request.transaction() as conn:
        return await drafts.add_edit(conn, request.actor, request.at, request.uuid("analysis_id"), operation)


async def save_draft(request: Request) -> Any:
    body = await request.body()
    content, revision = draft_content(body.mapping("content")), body.integer("revision", 0, 10**9)
    async with request.transaction() as conn:
        return await drafts.save_draft(
            conn, request.actor, request.at, request.uuid("task_id"), content, revision
        )


def draft_content(sent: Fields) -> dict[str, Any]:
    """What a draft holds; empty texts are fine while writing."""
    indices = sent.values.get("included_findings", [])
    usable = isinstance(indices, list) and len(indices) <= FINDINGS_MAX
    if not usable or not all(type(i) is int and i >= 0 for i in indices):
        raise sent.bad(
            "included_findings", f"a list of at most {FINDINGS_MAX} places in the list of findings"
        )
    texts = ("findings_text", "conclusion", "advice")
    return {
        **{name: sent.text(name, TEXT_MAX_CHARS, required=False) for name in texts},
        "included_findings": list(dict.fromkeys(indices)),
        "critical": sent.boolean("critical", default=False),
        "full_disclosure": sent.boolean("full_disclosure", default=False),
        "language": sent.optional_choice("language", LOCALES) or LOCALES[0],
    }


async def sign_report(request: Request) -> Any:
    body = await request.body()
    async with request.transaction() as conn:
        report = await reports.sign_report(
            conn, request.actor, request.at, _signer(request), request.uuid("task_id"),
            revision=body.integer("revision", 0, 10**9),
            analysis_id=body.optional_uuid("analysis_id"),
            edit_sequence=body.integer("edit_sequence", 0, drafts.EDITS_MAX, default=0),
            images_sha256=body.text("images_sha256", 64, required=False),
        )  # fmt: skip
    return {"report": reports.report_view(report)}


async def list_studies(request: Request) -> Any:
    word = request.query.optional_choice("status", {state[0] for state in studies.STATES})
    async with request.transaction() as conn:
        return {"studies": await studies.list_studies(conn, request.actor, request.at, word)}


async def read_report(request: Request) -> Any:
    async with request.transaction() as conn:
        report = await reports.read_report(conn, request.actor, request.at, request.uuid("report_id"))
    return {"report": reports.report_view(report)}


async def read_pdf(request: Request) -> Any:
    async with request.transaction() as conn:
        sha256 = await reports.open_pdf(conn, request.actor, request.at, request.uuid("report_id"))
    return Bytes(request.store.path(sha256), "application/pdf", f"report-{request.text('report_id')[:8]}.pdf")


async def verify(request: Request) -> Any:
    async with request.transaction() as conn:
        report = await reports.read_report(conn, request.actor, request.at, request.uuid("report_id"))
    async with request.db.transaction(actor.job("reading.verify"), request.at) as conn:
        return await verify_report(conn, _signer(request), request.store, report["id"])


async def withdraw_report(request: Request) -> Any:
    reason = (await request.body()).text("reason", 2000)
    async with request.transaction() as conn:
        report = await reports.withdraw_report(
            conn, request.actor, request.at, _signer(request), request.uuid("report_id"), reason
        )
    return {"report": reports.report_view(report)}


async def read_routing(request: Request) -> Any:
    async with request.transaction() as conn:
        found = await routing.read_rules(conn, request.actor, request.at)
    return {"rules": [routing.rule_view(rule) for rule in found]}


async def replace_routing(request: Request) -> Any:
    rules = [routing_rule(rule) for rule in (await request.body()).each("rules", RULES_MAX)]
    async with request.transaction() as conn:
        await routing.replace_rules(conn, request.actor, request.at, rules)
        found = await routing.read_rules(conn, request.actor, request.at)
    return {"rules": [routing.rule_view(rule) for rule in found]}


def routing_rule(sent: Fields) -> dict[str, Any]:
    return {**_rule(sent), "to_organisation_id": sent.uuid("to_organisation_id")}


def _rule(sent: Fields) -> dict[str, Any]:
    conditions = [
        {"keyword": c.text("keyword"), "operator": c.text("operator"), "value": c.values.get("value")}
        for c in sent.each("conditions", 20)
    ]
    return {
        "name": sent.text("name"),
        "conditions": conditions,
        "enabled": sent.boolean("enabled", default=True),
    }


async def read_forwarding(request: Request) -> Any:
    async with request.transaction() as conn:
        return {"rules": await forwarding.read_rules(conn, request.actor, request.at)}


async def replace_forwarding(request: Request) -> Any:
    rules = [
        {**_rule(rule), "to_node_id": rule.uuid("to_node_id")}
        for rule in (await request.body()).each("rules", RULES_MAX)
    ]
    async with request.transaction() as conn:
        await forwarding.replace_rules(conn, request.actor, request.at, rules)
        return {"rules": await forwarding.read_rules(conn, request.actor, request.at)}


async def dry_run(request: Request) -> Any:
    """By the rules in force, or by `rules` that have not been saved."""
    body = await request.body()
    rules = [routing_rule(rule) for rule in body.each("rules", RULES_MAX)] if body.has("rules") else None
    facts = {
        "study_kind": body.choice("study_kind", ("holter", "ecg-12-lead", "imaging")),
        "priority": body.choice("priority", tuple(DUE)),
        "from_organisation_id": body.uuid("from_organisation_id"),
        "age_years": body.optional_integer("age_years", 0, 150),
        "sex": body.optional_choice("sex", ("male", "female", "other", "unknown")),
        "recorded_hours": body.optional_integer("recorded_hours", 0, 10_000),
        "pacemaker": body.boolean("pacemaker", default=False),
        "findings": body.texts("findings", 100) if body.has("findings") else [],
        "modalities": body.texts("modalities", 20) if body.has("modalities") else [],
        "body_part": body.text("body_part", required=False).upper(),
        "question": body.text("question", TEXT_MAX_CHARS, required=False),
        "hour": body.optional_integer("hour", 0, 23),
    }
    async with request.transaction() as conn:
        found = await routing.dry_run(conn, request.actor, request.at, facts, rules)
    return routing.match_view(found)


ROUTES = (
    Route("GET", "/api/tasks", list_tasks, "task.list"),
    Route("POST", "/api/tasks/{task_id}/claim", claim_task, "task.claim"),
    Route("POST", "/api/tasks/{task_id}/heartbeat", extend_lease, "task.claim"),
    Route("POST", "/api/tasks/{task_id}/release", release_task, "task.release"),
    Route("GET", "/api/tasks/{task_id}/case", read_case, "report.write"),
    Route("GET", "/api/tasks/{task_id}/images", images_of_task, "report.write"),
    Route("GET", "/api/analyses/{analysis_id}/beats", read_beats, "recording.read"),
    Route("POST", "/api/analyses/{analysis_id}/edits", add_edit, "report.write"),
    Route("PUT", "/api/tasks/{task_id}/draft", save_draft, "report.write"),
    Route("POST", "/api/tasks/{task_id}/sign", sign_report, "report.sign"),
    Route("GET", "/api/studies", list_studies, "study.list"),
    Route("GET", "/api/reports/{report_id}", read_report, "report.read"),
    Route("GET", "/api/reports/{report_id}/pdf", read_pdf, "report.read", kind="bytes"),
    Route("GET", "/api/reports/{report_id}/verify", verify, "report.read"),
    Route("POST", "/api/reports/{report_id}/withdraw", withdraw_report, "report.withdraw"),
    Route("GET", "/api/routing", read_routing, "routing.read"),
    Route("PUT", "/api/routing", replace_routing, "routing.edit"),
    Route("GET", "/api/forwarding", read_forwarding, "routing.read"),
    Route("PUT", "/api/forwarding", replace_forwarding, "routing.edit"),
    Route("POST", "/api/routing/dry-run", dry_run, "routing.read"),
)
