"""The command `hub`: every operation of an installation, one function each. `hub COMMAND --help` tells the rest."""

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from hub import cli_dicom, cli_ecg, keeping
from hub.core import (
    actor,
    backup_folder,
    broker,
    clock,
    db,
    lifecycle,
    logging,
    migrate,
    postgres,
    role,
    supervisor,
)
from hub.core import settings as settings_table
from hub.core.db import Database
from hub.core.errors import HubError
from hub.core.lifecycle import Part
from hub.core.settings import Settings

ACTOR = actor.job("cli")
DEMO = "demo"
DIMSE, QUERY = "dimse", "query"
WEB = "web"
Arguments = argparse.Namespace
Command = Callable[[Settings, Arguments], Coroutine[Any, Any, int | None]]

# What an operator can mend: shown as one line, without a traceback.
PLAIN_FAILURES = (
    settings_table.SettingsError,
    supervisor.DataFolderInUse,
    supervisor.DataFolderUnusable,
    supervisor.StartFailed,
    lifecycle.DatabaseAway,
    lifecycle.PortInUse,
    postgres.PostgresMissing,
    broker.BrokerMissing,
    migrate.MigrationError,
    backup_folder.BackupError,
)


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


async def serve(settings: Settings, arguments: Arguments) -> None:
    if arguments.role is not None:
        run, name = _role(arguments.role), arguments.name or arguments.role
        return await role.run_role(settings, run, name, arguments.supervised_fd)
    from hub import app  # all domains: only when needed, so that small commands start fast

    plan = app.plan(settings)
    if arguments.demo:
        from hub import demo

        seed = partial(demo.seed, records=arguments.records)
        plan = replace(plan, seed=seed, parts=(*plan.parts, Part(DEMO, DEMO)))
    await lifecycle.serve(settings, plan)


def _role(name: str) -> role.Role:
    """What a process does; each brings only what it needs."""
    if name == DEMO:
        return _run_demo
    if name == DIMSE:
        from hub import receiver

        return receiver.run_dimse
    if name == QUERY:
        from hub import querier

        return querier.run_query
    if name == WEB:
        from hub import app

        return app.run_web
    from hub import background

    return background.ROLES[name]


async def _run_demo(settings: Settings, stop: asyncio.Event, fd: int | None) -> None:
    from hub import demo

    async with supervisor.beating(fd):
        await demo.run_devices(settings, stop)


async def simulate_devices(settings: Settings, arguments: Arguments) -> None:
    from hub import simulate

    address = arguments.broker or f"{settings.mqtt_devices_host}:{settings.mqtt_devices_port}"
    host, _, port = address.rpartition(":")
    plan = simulate.read_plan(arguments.plan)
    flash = arguments.plan.with_suffix(".flash.json")
    await simulate.run(plan, (host, int(port)), flash, lifecycle.stop_on_signals())


async def migrate_database(settings: Settings, _arguments: Arguments) -> None:
    async with lifecycle.database_server(settings) as own:
        await lifecycle.migrated(own)
    say("schema is up to date")


async def examine(settings: Settings, _arguments: Arguments) -> int:
    from hub.core import doctor

    results = await doctor.examine(settings)
    for result in results:
        say(f"{'ok ' if result.well else 'BAD'} {result.check}: {result.words}")
        if result.mend is not None:
            say(f"      mend: {result.mend}")
    return 0 if all(result.well for result in results) else 1


async def _as_operator(settings: Settings, work: Callable[[db.Connection], Awaitable[Sequence[str]]]) -> None:
    """Do something in one transaction, as the operator of this machine; print its lines after the commit."""
    async with lifecycle.database_server(settings) as own:
        assert own.dsn is not None
        async with Database(own.dsn, "hub_app", size=2) as database:
            async with database.transaction(ACTOR, clock.now()) as conn:
                lines = await work(conn)
    say(*lines)


async def _organisation(conn: db.Connection, wanted: str) -> UUID:
    """By id or by name in either language."""
    from hub.people import organisations

    for row in await organisations.organisations(conn, ACTOR, clock.now()):
        if wanted in (str(row["id"]), row["name"], row["name_en"]):
            return UUID(str(row["id"]))
    raise SystemExit(f"no organisation {wanted!r}; see `hub user organisations`")


async def add_user(settings: Settings, arguments: Arguments) -> None:
    from hub.people import accounts

    async def work(conn: db.Connection) -> Sequence[str]:
        password = arguments.password or secrets.token_urlsafe(12)
        await accounts.create_account(
            conn,
            ACTOR,
            clock.now(),
            login=arguments.login,
            name=arguments.full_name or arguments.login,
            password=password,
            organisation_id=await _organisation(conn, arguments.organisation),
            role=arguments.user_role,
        )
        return [f"{arguments.login} {password}"]

    await _as_operator(settings, work)


async def list_users(settings: Settings, _arguments: Arguments) -> None:
    from hub.people import accounts

    async def work(conn: db.Connection) -> Sequence[str]:
        return [
            "\t".join([row["login"], row["name"], ",".join(held["role"] for held in row["roles"])])
            for row in await accounts.accounts(conn, ACTOR, clock.now())
        ]

    await _as_operator(settings, work)


async def list_organisations(settings: Settings, _arguments: Arguments) -> None:
    from hub.people import organisations

    async def work(conn: db.Connection) -> Sequence[str]:
        found = await organisations.organisations(conn, ACTOR, clock.now())
        return [f"{row['id']}\t{row['level']}\t{row['name']}\t{row['name_en']}" for row in found]

    await _as_operator(settings, work)


async def add_organisation(settings: Settings, arguments: Arguments) -> None:
    from hub.people import organisations

    async def work(conn: db.Connection) -> Sequence[str]:
        made = await organisations.create_organisation(
            conn,
            ACTOR,
            clock.now(),
            parent_id=arguments.parent,
            level=arguments.level,
            name=arguments.label,
            name_en=arguments.label_en or arguments.label,
            tier=arguments.tier,
        )
        return [str(made)]

    await _as_operator(settings, work)


async def reset_password(settings: Settings, arguments: Arguments) -> None:
    from hub.people import accounts

    async def work(conn: db.Connection) -> Sequence[str]:
        at, password = clock.now(), arguments.password or secrets.token_urlsafe(12)
        everybody = await accounts.accounts(conn, ACTOR, at)
        found = next((row for row in everybody if row["login"] == arguments.login), None)
        if found is None:
            raise SystemExit(f"no account {arguments.login!r}")
        await accounts.reset_password(conn, ACTOR, at, found["id"], password)
        return [f"{arguments.login} {password}"]

    await _as_operator(settings, work)


async def add_device(settings: Settings, arguments: Arguments) -> None:
    from hub.telemetry import devices

    async def work(conn: db.Connection) -> Sequence[str]:
        organisation_id = await _organisation(conn, arguments.organisation)
        new = devices.NewDevice(
            arguments.id, arguments.kind, arguments.label or arguments.id, organisation_id
        )
        made = await devices.provision_device(conn, ACTOR, clock.now(), settings.shards, new)
        return [f"{made.username} {made.password}"]

    await _as_operator(settings, work)


async def list_devices(settings: Settings, _arguments: Arguments) -> None:
    from hub.telemetry import devices

    async def work(conn: db.Connection) -> Sequence[str]:
        found = await devices.devices(conn, ACTOR, clock.now())
        return ["\t".join([row["id"], row["shard"], row["kind"], row["name"]]) for row in found]

    await _as_operator(settings, work)


async def retire_device(settings: Settings, arguments: Arguments) -> None:
    from hub.telemetry import devices

    async def work(conn: db.Connection) -> Sequence[str]:
        await devices.retire_device(conn, ACTOR, clock.now(), arguments.id)
        return [f"{arguments.id} is retired"]

    await _as_operator(settings, work)


async def initialise_tls(settings: Settings, arguments: Arguments) -> None:
    from hub.core import tls

    made = tls.initialise(settings.data_dir / "tls", arguments.names, clock.now())
    say(
        f"HUB_TLS_CERT={made.certificate}",
        f"HUB_TLS_KEY={made.key}",
        f"install {made.authority} on phones and PCs, so that they trust this hub",
    )


async def verify_audit(settings: Settings, _arguments: Arguments) -> int:
    from hub.people import audit

    broken: list[str] = []

    async def work(conn: db.Connection) -> Sequence[str]:
        problem = await audit.verify(conn, clock.now())
        broken.extend([problem] if problem else [])
        return [problem or "every entry of the audit is as it was sealed"]

    await _as_operator(settings, work)
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "hub", description="Telehub: telemedicine hub of a district health system"
    )
    parser.add_argument("--config", type=Path, help="settings file (TOML)")
    parser.add_argument("--data-dir", type=Path, help="folder of everything the hub keeps (HUB_DATA_DIR)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add(commands, "migrate", migrate_database, "bring the database to this program's schema")
    _add(commands, "doctor", examine, "say what is wrong and how to mend it")
    _add_people(commands)
    _add_devices(commands)
    cli_ecg.add_commands(commands, _add)
    cli_dicom.add_commands(commands, _add)
    tls_commands = _group(commands, "tls", "certificates")
    init = _add(tls_commands, "init", initialise_tls, "make a certificate for these names and addresses")
    init.add_argument("names", nargs="+", metavar="NAME")
    audit = _group(commands, "audit", "the record of who did what")
    _add(audit, "verify", verify_audit, "check that no entry was changed since it was sealed")
    keeping.add_commands(commands, _add)
    return parser


Commands = Any  # argparse does not export the type


def _add(commands: Commands, name: str, run: Command, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words)
    parser.set_defaults(run=run)
    return parser


def _group(commands: Commands, name: str, words: str) -> Commands:
    return commands.add_parser(name, help=words).add_subparsers(required=True, metavar="COMMAND")


def _add_serve(commands: Commands) -> None:
    parser = _add(commands, "serve", serve, "run the hub, or one of its processes")
    parser.add_argument("--role", help="web, ingest or jobs: only this process, on a given database")
    parser.add_argument("--name", help="name of this process in logs and metrics")
    parser.add_argument("--demo", action="store_true", help="with demo organisations, people and devices")
    parser.add_argument("--records", type=Path, help="WFDB records for the demo devices to play")
    parser.add_argument("--supervised-fd", type=int, help=argparse.SUPPRESS)


def _add_people(commands: Commands) -> None:
    user = _group(commands, "user", "accounts and organisations")
    add = _add(user, "add", add_user, "add an account; prints its password")
    add.add_argument("login")
    add.add_argument("--full-name")
    add.add_argument("--organisation", required=True, help="id or name")
    add.add_argument("--role", required=True, dest="user_role")
    add.add_argument("--password", help="instead of a random one")
    _add(user, "list", list_users, "all accounts and their roles")
    password = _add(user, "password", reset_password, "give an account a new password and end a lock-out")
    password.add_argument("login")
    password.add_argument("--password", help="instead of a random one")
    _add(user, "organisations", list_organisations, "the tree of organisations")
    organisation = _add(user, "add-organisation", add_organisation, "add an organisation")
    organisation.add_argument("label", metavar="NAME")
    organisation.add_argument("--label-en", metavar="NAME")
    organisation.add_argument("--level", required=True)
    organisation.add_argument("--parent", help="id; without it a root of the tree")
    organisation.add_argument("--tier")


def _add_devices(commands: Commands) -> None:
    device = _group(commands, "device", "devices and their accounts at the broker")
    add = _add(device, "add", add_device, "provision a device; prints its user name and password")
    add.add_argument("id")
    add.add_argument("--organisation", required=True, help="id or name")
    add.add_argument("--kind", default="holter")
    add.add_argument("--label", metavar="NAME")
    _add(device, "list", list_devices, "all devices")
    _add(device, "retire", retire_device, "take a device out of use").add_argument("id")
    simulate = _add(commands, "simulate", simulate_devices, "play virtual devices on a broker")
    simulate.add_argument("plan", type=Path, help="JSON list of devices with their passwords")
    simulate.add_argument("--broker", metavar="HOST:PORT", help="instead of this installation's")


def _settings(arguments: Arguments) -> Settings:
    loaded = settings_table.load(os.environ, arguments.config)
    if arguments.data_dir is not None:
        loaded = replace(loaded, data_dir=arguments.data_dir)
    return replace(loaded, data_dir=loaded.data_dir.expanduser().resolve())


# A second thread of the linear algebra costs half as much again in processor time, for products as small as ours, and
# takes the core of another process; read when numpy is loaded, which no command has done yet.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    os.environ.update(ONE_THREAD | os.environ)
    try:
        settings = _settings(arguments)
        logging.configure(getattr(arguments, "name", None) or "hub", settings.log_level)
        raise SystemExit(asyncio.run(arguments.run(settings, arguments)))
    except PLAIN_FAILURES as failure:
        raise SystemExit(f"hub: {failure}") from None
    except HubError as failure:
        raise SystemExit(f"hub: {failure.en} {failure.detail or ''}".rstrip()) from None


if __name__ == "__main__":
    main()
