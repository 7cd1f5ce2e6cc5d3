"""Two districts of one province, each with people in every role and a patient in a village: each is the other's foreign
tenant. Rows are written directly, so that a test of access doesn't stand on the services it tests."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from hub.core.actor import Actor
from hub.people import access, passwords

PASSWORD = "correct horse 7"
AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

# Where in a tenant each role is held.
PLACES = {
    "village_doctor": "village",
    "township_doctor": "town",
    "technician": "town",
    "family_doctor": "town",
    "reader": "hospital",
    "senior_reader": "hospital",
    "resident": "village",
    "family_member": "village",
    "device_manager": "district",
    "organisation_admin": "district",
    "auditor": "district",
}

Admin = psycopg.AsyncConnection[dict[str, Any]]


@dataclass
class Tenant:
    """A district with its hospital, a town and a village, and one account per role."""

    name: str
    organisations: dict[str, UUID]
    accounts: dict[str, UUID] = field(default_factory=dict)

    def actor(self, role: str) -> Actor:
        return Actor("person", str(self.accounts[role]), session_hash(self.token(role)))

    def token(self, role: str) -> str:
        return f"token-{self.name}-{role}"

    def csrf(self, role: str) -> str:
        return f"csrf-{self.name}-{role}"


@dataclass
class World:
    """Everything a test of people needs to know."""

    admin_dsn: str
    province: UUID
    own: Tenant
    foreign: Tenant


def session_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def connect(admin_dsn: str) -> Admin:
    """As the owner of everything, in the name of a job of the hub: past every policy."""
    admin: Admin = await psycopg.AsyncConnection.connect(admin_dsn, autocommit=True, row_factory=dict_row)
    await admin.execute("SELECT set_config('hub.actor_kind', 'job', false)")
    return admin


async def insert(admin: Admin, table: str, **values: Any) -> None:
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    plain = [json.dumps(v) if isinstance(v, dict) else v for v in values.values()]
    await admin.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", plain)  # type: ignore[call-overload]


async def organisation(
    admin: Admin, level: str, name: str, parent: UUID | None, tier: str | None = None
) -> UUID:
    made = uuid4()
    await insert(
        admin,
        "organisation",
        id=made,
        parent_id=parent,
        level=level,
        name=name,
        name_en=name,
        tier=tier,
        created_at=AT,
    )
    await admin.execute(
        """INSERT INTO organisation_closure SELECT ancestor, %(id)s, depth + 1 FROM organisation_closure
           WHERE descendant = %(parent)s UNION ALL SELECT %(id)s, %(id)s, 0""",
        {"id": made, "parent": parent},
    )
    return made


async def account(admin: Admin, login: str, password_hash: str = "none") -> UUID:
    made = uuid4()
    await insert(
        admin, "account", id=made, login=login, name=login, password_hash=password_hash, created_at=AT
    )
    return made


async def give(admin: Admin, account_id: UUID, organisation_id: UUID, role: str) -> UUID:
    made = uuid4()
    await insert(
        admin,
        "role_assignment",
        id=made,
        account_id=account_id,
        organisation_id=organisation_id,
        role=role,
        valid_from=AT - timedelta(days=1),
    )
    return made


async def signed_in(admin: Admin, account_id: UUID, token: str, csrf: str) -> None:
    """A session that has just been stepped up."""
    await insert(
        admin,
        "session",
        token_sha256=session_hash(token),
        account_id=account_id,
        csrf_token=csrf,
        created_at=AT,
        last_seen_at=AT,
        expires_at=AT + timedelta(days=7),
        stepped_up_at=AT,
    )


async def patient(admin: Admin, tenant: Tenant, name: str = "王建国") -> UUID:
    made = uuid4()
    await insert(
        admin,
        "patient",
        id=made,
        organisation_id=tenant.organisations["village"],
        name=name,
        sex="male",
        birth_date="1950-05-01",
        id_type="none",
        created_by=tenant.accounts["village_doctor"],
        created_at=AT,
    )
    return made


async def build(admin_dsn: str) -> World:
    async with await connect(admin_dsn) as admin:
        password_hash = await passwords.hashed(PASSWORD)
        province = await organisation(admin, "province", "省", None)
        tenants = [await _tenant(admin, name, province, password_hash) for name in ("own", "foreign")]
    return World(admin_dsn, province, *tenants)


async def _tenant(admin: Admin, name: str, province: UUID, password_hash: str) -> Tenant:
    district = await organisation(admin, "district", f"{name} district", province)
    hospital = await organisation(admin, "hospital", f"{name} hospital", district, "district")
    town = await organisation(admin, "town", f"{name} town", district)
    village = await organisation(admin, "village", f"{name} village", town)
    tenant = Tenant(name, {"district": district, "hospital": hospital, "town": town, "village": village})
    for role in access.ROLES:
        tenant.accounts[role] = await account(admin, f"{name}.{role.replace('_', '-')}", password_hash)
        await give(admin, tenant.accounts[role], tenant.organisations[PLACES[role]], role)
        await signed_in(admin, tenant.accounts[role], tenant.token(role), tenant.csrf(role))
    for kind in ("holter", "ecg-12-lead", "imaging"):
        await insert(
            admin,
            "agreement",
            id=uuid4(),
            from_organisation_id=district,
            to_organisation_id=hospital,
            study_kind=kind,
            valid_from=AT - timedelta(days=1),
        )
    return tenant
