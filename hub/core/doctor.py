"""`hub doctor`: what is wrong with this installation, in words, and how to mend it."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg

from hub.core import backup_job, broker, clock, errors, migrate, mqtt, pdf_text, postgres, supervisor, tls
from hub.core.lifecycle import why_taken
from hub.core.settings import Settings

FREE_BYTES = 5 << 30
CERTIFICATE_DAYS = 30
IN_FLIGHT = 100  # more than the 20 that brokers allow by default


class Problem(Exception):
    """One finding: what is wrong; `mend` says what to do about it."""

    def __init__(self, words: str, mend: str) -> None:
        super().__init__(words)
        self.words, self.mend = words, mend


@dataclass(frozen=True)
class Result:
    """One line of the doctor's answer."""

    check: str
    words: str
    mend: str | None = None

    @property
    def well(self) -> bool:
        return self.mend is None


Check = Callable[[Settings], Awaitable[str]]


async def examine(settings: Settings) -> list[Result]:
    """All checks, in the order in which problems cause one another."""
    results = []
    for name, check in CHECKS.items():
        try:
            async with asyncio.timeout(30):
                results.append(Result(name, await check(settings)))
        except Problem as problem:
            results.append(Result(name, problem.words, problem.mend))
        except TimeoutError:
            results.append(Result(name, "no answer within 30 s", "look into data_dir/log"))
    return results


async def _data_folder(settings: Settings) -> str:
    folder = settings.data_dir
    if not folder.exists():
        parent = next(parent for parent in folder.parents if parent.exists())
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            raise Problem(f"{folder} can't be made in {parent}", "choose another HUB_DATA_DIR")
        return f"{folder} will be made at the first start"
    if not folder.is_dir():
        raise Problem(f"{folder} is not a folder", "choose another HUB_DATA_DIR")
    if folder.stat().st_mode & 0o066:
        raise Problem(f"{folder} can be read by others", f"chmod 0700 {folder}")
    if not os.access(folder, os.W_OK):
        raise Problem(f"{folder} can't be written", f"chown it to user id {os.geteuid()}")
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise Problem(
            f"{free >> 20} MB free on the disk of {folder}", "free some space, or move HUB_DATA_DIR"
        )
    return f"{folder}, {free >> 30} GB free"


async def _database(settings: Settings) -> str:
    dsn = settings.dsn
    if dsn is None:
        folder = settings.data_dir / "postgres"
        try:
            cluster = await asyncio.to_thread(postgres.existing, folder, settings.postgres_bin)
        except postgres.PostgresMissing as missing:
            raise Problem("no PostgreSQL", str(missing)) from None
        if not _is_running(settings):
            return f"own server from {cluster.binaries}; the hub is not running"
        dsn = cluster.admin_dsn
    try:
        pending = await migrate.pending(dsn)
    except psycopg.Error as failure:
        raise Problem(f"PostgreSQL does not answer: {failure}".strip(), "start it, or mend HUB_DSN") from None
    if pending:
        raise Problem(f"schema is behind: {', '.join(pending)}", "hub migrate")
    return "answers, schema is up to date"


async def _broker(settings: Settings) -> str:
    if settings.mqtt_external is None:
        try:
            program = broker.find_mosquitto()
        except broker.BrokerMissing as missing:
            raise Problem("no mosquitto", str(missing)) from None
        if not _is_running(settings):
            return f"{program}; the hub is not running"
    await _broker_login(settings)
    return f"takes the hub in and holds {IN_FLIGHT} messages in flight"


async def _broker_login(settings: Settings) -> None:
    for node in settings.broker_addresses:
        await _node_login(settings, *node)


async def _node_login(settings: Settings, host: str, port: int) -> None:
    name, password = settings.mqtt_username, broker.hub_password(settings)
    topic = f"live/doctor-{os.getpid()}"
    listener = mqtt.Session.connect(host, port, f"hub-doctor-{os.getpid()}", name, password)
    listener.subscribe([topic])
    try:
        await mqtt.opened(listener)
        for _ in range(IN_FLIGHT):
            listener.publish(topic, b"", qos=1)
        received = 0
        until_s = clock.monotonic_s() + 5
        while received < IN_FLIGHT and clock.monotonic_s() < until_s:
            await mqtt.wait(listener, 0.5)
            received += len(listener.poll())
    except ConnectionError as failure:
        raise Problem(
            f"broker at {host}:{port}: {failure}", "check HUB_MQTT_* and the broker's log"
        ) from None
    finally:
        listener.disconnect()
    if received < IN_FLIGHT:
        raise Problem(
            f"the broker holds only {received} messages in flight, so a pause loses data",
            "set max_inflight_messages 0 and max_queued_messages 1000000",
        )


async def _ports(settings: Settings) -> str:
    wanted = {"HUB_HTTP_PORT": (settings.http_host, settings.http_port)}
    if settings.mqtt_external is None:
        wanted["HUB_MQTT_PORT"] = settings.mqtt_host, settings.mqtt_port
        wanted["HUB_MQTT_DEVICES_PORT"] = settings.mqtt_devices_host, settings.mqtt_devices_port
    if _is_running(settings):
        return "held by the running hub"
    for name, address in wanted.items():
        failure = why_taken(*address)
        if failure is not None:
            raise Problem(f"port {address[1]}: {failure.strerror}", f"stop what listens there, or set {name}")
    return ", ".join(str(port) for _, port in wanted.values())


async def _backup(settings: Settings) -> str:
    cluster = backup_job.own_cluster(settings)
    if cluster is not None and not _is_running(settings):
        return "the hub is not running"
    dsn = settings.dsn or (cluster.admin_dsn if cluster else None)
    if dsn is None:
        return "nothing to back up yet"
    try:
        age_s, made = await backup_job.newest(dsn, clock.now())
    except (errors.HubError, psycopg.Error):
        return "can't be judged without the database"
    words = f"the newest is {age_s / 3600:.1f} hours old" if made else "none was ever made"
    if age_s > settings.backup_max_age_h * 3600:
        raise Problem(words, "hub backup FOLDER, or set HUB_BACKUP_DIR to a folder on another disk")
    return words


async def _paper(_settings: Settings) -> str:
    try:
        return str(pdf_text.font_file())
    except pdf_text.FontMissing as missing:
        raise Problem("reports can't be printed", str(missing)) from None


async def _pages(_settings: Settings) -> str:
    folder = Path(__file__).parents[1] / "web"
    if not (folder / "index.html").exists():
        raise Problem("the pages are not built", "make setup, or install the wheel")
    return str(folder)


async def _certificate(settings: Settings) -> str:
    if settings.tls_cert is None:
        return "none: pages and devices on this machine only, or behind a proxy"
    try:
        left = tls.expires_at(settings.tls_cert) - clock.now()
    except (OSError, ValueError) as failure:
        raise Problem(f"{settings.tls_cert}: {failure}", "hub tls init NAME...") from None
    if left < timedelta(days=CERTIFICATE_DAYS):
        raise Problem(f"the certificate ends in {left.days} days", "hub tls init NAME...")
    return f"{settings.tls_cert}, {left.days} days left"


CHECKS: dict[str, Check] = {
    "data folder": _data_folder,
    "database": _database,
    "broker": _broker,
    "ports": _ports,
    "backup": _backup,
    "certificate": _certificate,
    "paper": _paper,
    "pages": _pages,
}


def _is_running(settings: Settings) -> bool:
    if not settings.data_dir.exists():
        return False
    try:
        with supervisor.locked(settings.data_dir):
            return False
    except supervisor.DataFolderInUse:
        return True
    except supervisor.DataFolderUnusable:  # which the first check tells
        return False
