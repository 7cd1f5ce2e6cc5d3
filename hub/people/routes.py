"""HTTP of people: signing in, oneself, organisations, residents, accounts, agreements, audit."""

import asyncio
import zoneinfo
from typing import Any

from aiohttp import web

from hub.core import errors
from hub.core.fields import Fields
from hub.core.http import Request, Route
from hub.core.retention import KINDS, Sweepers
from hub.people import (
    access,
    accounts,
    agreements,
    audit,
    consents,
    emergencies,
    identity,
    organisations,
    patients,
    retention,
    sessions,
)

KEYS = web.AppKey("identity_keys", identity.Keys)
SWEEPERS: web.AppKey[Sweepers] = web.AppKey("retention_sweepers")

PASSWORD_CHARS = 200
REASON_CHARS = 500
AUDIT_PAGE = 500
# Each holds a connection while its password is hashed, and anybody may ask for one.
SIGN_INS_AT_ONCE = 4
SIGN_INS = asyncio.Semaphore(SIGN_INS_AT_ONCE)


async def _sign_in(request: Request) -> dict[str, Any]:
    body = await request.body()
    login, password = body.text("login").lower(), body.text("password", PASSWORD_CHARS)
    async with SIGN_INS, request.db.transaction(request.actor, request.at) as conn:
        outcome = await sessions.sign_in(conn, request.at, login, password)
    if isinstance(outcome, errors.HubError):
        raise outcome
    request.session_token = outcome.token
    async with request.db.transaction(outcome.actor, request.at) as conn:
        return {"me": await sessions.me(conn, outcome.actor, request.at) | {"csrf": outcome.csrf}}


async def _sign_out(request: Request) -> None:
    async with request.transaction() as conn:
        await sessions.sign_out(conn, request.actor, request.at)
    request.session_token = ""


async def _me(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        return await sessions.me(conn, request.actor, request.at) | {"csrf": request.csrf}


async def _edit_me(request: Request) -> None:
    body = await request.body()
    locale = body.optional_choice("locale", accounts.LOCALES)
    time_zone = body.optional_choice("time_zone", zoneinfo.available_timezones())
    async with request.transaction() as conn:
        await accounts.edit_me(conn, request.actor, request.at, locale, time_zone)


async def _step_up(request: Request) -> None:
    await _give_password_again(request, (await request.body()).text("password", PASSWORD_CHARS))


async def _change_password(request: Request) -> None:
    body = await request.body()
    await _give_password_again(request, body.text("old_password", PASSWORD_CHARS))
    async with request.transaction() as conn:
        await accounts.change_password(
            conn, request.actor, request.at, body.text("new_password", PASSWORD_CHARS)
        )


async def _give_password_again(request: Request, password: str) -> None:
    async with request.transaction() as conn:
        failure = await sessions.step_up(conn, request.actor, request.at, password)
    if failure is not None:
        raise failure


async def _organisations(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        return {"organisations": await organisations.organisations(conn, request.actor, request.at)}


async def _patients(request: Request) -> dict[str, Any]:
    query = request.query.text("q", required=False)
    limit = request.query.integer("limit", 1, patients.SEARCH_MAX, default=20)
    async with request.transaction() as conn:
        found = await patients.search_patients(
            conn, request.actor, request.at, request.resource(KEYS), query, limit
        )
    return {"patients": found}


async def _register_patient(request: Request) -> dict[str, Any]:
    new, keys = _new_patient(await request.body()), request.resource(KEYS)
    async with request.transaction() as conn:
        done = await patients.register_patient(conn, request.actor, request.at, keys, new)
        shown = None
        if done.patient_id is not None:
            shown = await patients.patient(conn, request.actor, request.at, keys, done.patient_id)
    return {"patient": shown, "warnings": done.warnings}


def _new_patient(body: Fields) -> patients.NewPatient:
    return patients.NewPatient(
        name=body.text("name", 60),
        sex=body.choice("sex", patients.SEXES),
        birth_date=body.date("birth_date"),
        id_type=body.choice("id_type", identity.ID_TYPES),
        id_number=body.text("id_number", 40, required=False),
        phone=body.optional_text("phone", 30),
        guardian_name=body.optional_text("guardian_name", 60),
        guardian_phone=body.optional_text("guardian_phone", 30),
        organisation_id=body.optional_uuid("organisation_id"),
        confirm_duplicate=body.boolean("confirm_duplicate", default=False),
    )


async def _patient(request: Request) -> dict[str, Any]:
    keys = request.resource(KEYS)
    async with request.transaction() as conn:
        shown = await patients.patient(conn, request.actor, request.at, keys, request.uuid("patient_id"))
    return {"patient": shown}


async def _record_consent(request: Request) -> dict[str, Any]:
    body = await request.body()
    async with request.transaction() as conn:
        consent_id = await consents.record_consent(
            conn,
            request.actor,
            request.at,
            request.uuid("patient_id"),
            kind=body.choice("kind", consents.KINDS),
            given_how=body.choice("given_how", consents.GIVEN_HOW),
            given_by=body.text("given_by", 60),
            to_account_id=body.optional_uuid("to_account_id"),
        )
    return {"id": consent_id}


async def _withdraw_consent(request: Request) -> None:
    async with request.transaction() as conn:
        await consents.withdraw_consent(conn, request.actor, request.at, request.uuid("consent_id"))


async def _break_glass(request: Request) -> dict[str, Any]:
    reason = (await request.body()).text("reason", REASON_CHARS)
    async with request.transaction() as conn:
        until = await emergencies.break_glass(
            conn, request.actor, request.at, request.uuid("patient_id"), reason
        )
    return {"until": until}


async def _access_log(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        found = await patients.access_log(conn, request.actor, request.at, request.uuid("patient_id"))
    return {"entries": found}


async def _accounts(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        return {"accounts": await accounts.accounts(conn, request.actor, request.at)}


async def _create_account(request: Request) -> dict[str, Any]:
    body = await request.body()
    async with request.transaction() as conn:
        account_id = await accounts.create_account(
            conn,
            request.actor,
            request.at,
            login=body.text("login", 32).lower(),
            name=body.text("name", 60),
            password=body.text("password", PASSWORD_CHARS),
            organisation_id=body.uuid("organisation_id"),
            role=body.choice("role", access.ROLES),
            locale=body.optional_choice("locale", accounts.LOCALES) or request.settings.locale,
        )
    return {"id": account_id}


async def _disable_account(request: Request) -> None:
    async with request.transaction() as conn:
        await accounts.disable_account(conn, request.actor, request.at, request.uuid("account_id"))


async def _reset_password(request: Request) -> None:
    password = (await request.body()).text("password", PASSWORD_CHARS)
    async with request.transaction() as conn:
        await accounts.reset_password(conn, request.actor, request.at, request.uuid("account_id"), password)


async def _give_role(request: Request) -> dict[str, Any]:
    body = await request.body()
    async with request.transaction() as conn:
        role_id = await accounts.give_role(
            conn,
            request.actor,
            request.at,
            request.uuid("account_id"),
            body.uuid("organisation_id"),
            body.choice("role", access.ROLES),
            body.optional_instant("valid_until"),
        )
    return {"id": role_id}


async def _end_role(request: Request) -> None:
    async with request.transaction() as conn:
        await accounts.end_role(conn, request.actor, request.at, request.uuid("role_id"))


async def _agreements(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        return {"agreements": await agreements.agreements(conn, request.actor, request.at)}


async def _create_agreement(request: Request) -> dict[str, Any]:
    body = await request.body()
    async with request.transaction() as conn:
        agreement_id = await agreements.create_agreement(
            conn,
            request.actor,
            request.at,
            from_organisation_id=body.uuid("from_organisation_id"),
            to_organisation_id=body.uuid("to_organisation_id"),
            study_kind=body.choice("study_kind", agreements.STUDY_KINDS),
            valid_from=body.optional_instant("valid_from"),
            valid_until=body.optional_instant("valid_until"),
        )
    return {"id": agreement_id}


async def _end_agreement(request: Request) -> None:
    async with request.transaction() as conn:
        await agreements.end_agreement(conn, request.actor, request.at, request.uuid("agreement_id"))


async def _retention(request: Request) -> dict[str, Any]:
    async with request.transaction() as conn:
        return {"rules": await retention.rules(conn, request.actor, request.at)}


async def _retention_preview(request: Request) -> dict[str, Any]:
    """Counted in the name of the hub, since the administrator sees no patient; numbers only."""
    async with request.transaction() as conn:
        await retention.rules(conn, request.actor, request.at)
    async with request.db.transaction(retention.ACTOR, request.at) as conn:
        return {"due": await retention.preview(conn, retention.ACTOR, request.at, request.resource(SWEEPERS))}


async def _change_retention(request: Request) -> None:
    body = await request.body()
    async with request.transaction() as conn:
        await retention.change_rule(
            conn,
            request.actor,
            request.at,
            body.choice("kind", KINDS),
            keep_days=body.integer("keep_days", 1, retention.KEEP_DAYS_MAX),
            enabled=body.boolean("enabled"),
        )


async def _audit(request: Request) -> dict[str, Any]:
    before = request.query.optional_integer("before", 1, 2**62)
    limit = request.query.integer("limit", 1, AUDIT_PAGE, default=100)
    async with request.transaction() as conn:
        return await audit.entries(conn, request.actor, request.at, before=before, limit=limit)


ROUTES = [
    Route("POST", "/api/session", _sign_in, "session.open"),
    Route("DELETE", "/api/session", _sign_out, "session.close"),
    Route("GET", "/api/me", _me, "me.read"),
    Route("PUT", "/api/me", _edit_me, "me.edit"),
    Route("POST", "/api/me/step-up", _step_up, "me.step-up"),
    Route("POST", "/api/me/password", _change_password, "me.step-up"),
    Route("GET", "/api/organisations", _organisations, "organisation.read"),
    Route("GET", "/api/patients", _patients, "patient.search"),
    Route("POST", "/api/patients", _register_patient, "patient.register"),
    Route("GET", "/api/patients/{patient_id}", _patient, "patient.read"),
    Route("POST", "/api/patients/{patient_id}/consents", _record_consent, "consent.record"),
    Route("POST", "/api/consents/{consent_id}/withdraw", _withdraw_consent, "consent.withdraw"),
    Route("POST", "/api/patients/{patient_id}/break-glass", _break_glass, "patient.break-glass"),
    Route("GET", "/api/patients/{patient_id}/access-log", _access_log, "patient.access-log"),
    Route("GET", "/api/accounts", _accounts, "account.read"),
    Route("POST", "/api/accounts", _create_account, "account.create"),
    Route("POST", "/api/accounts/{account_id}/roles", _give_role, "role.give"),
    Route("DELETE", "/api/roles/{role_id}", _end_role, "role.end"),
    Route("POST", "/api/accounts/{account_id}/disable", _disable_account, "account.disable"),
    Route("POST", "/api/accounts/{account_id}/password", _reset_password, "account.password"),
    Route("GET", "/api/agreements", _agreements, "agreement.read"),
    Route("POST", "/api/agreements", _create_agreement, "agreement.create"),
    Route("POST", "/api/agreements/{agreement_id}/end", _end_agreement, "agreement.end"),
    Route("GET", "/api/retention", _retention, "retention.read"),
    Route("GET", "/api/retention/due", _retention_preview, "retention.read"),
    Route("PUT", "/api/retention", _change_retention, "retention.edit"),
    Route("GET", "/api/audit", _audit, "audit.read"),
]
