"""The hub's own mosquitto: configuration, accounts, reload. Design section 3.

Everything is set explicitly, since mosquitto's defaults lose data: 20 messages in flight and 1000 queued are
half of a ten-second pause. A device logs in as `{shard}/{device}`; ACL patterns bind it to its own topics.
"""

import asyncio
import base64
import contextlib
import hashlib
import os
import pwd
import random
import secrets
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.core import mqtt, process, secret
from hub.core.settings import Settings

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
DEVICES_CHANGED = "hub_devices"  # NOTIFY: devices were added, retired or given a new password

# PBKDF2 rounds as mosquitto_passwd has them: device passwords are random, 128 bits, not chosen by people.
HASH_ROUNDS = 101
SALT_BYTES = 12

CONFIGURATION = """\
# Written by the hub at each start; changes are lost.
{user}
per_listener_settings false
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
persistence true
persistence_location {folder}/
autosave_interval 30
autosave_on_changes false
persistent_client_expiration 60d
max_inflight_messages 0
max_inflight_bytes 0
max_queued_messages 1000000
max_queued_bytes 67108864
queue_qos0_messages false
upgrade_outgoing_qos false
message_size_limit 65536
max_packet_size 131072
max_keepalive 600
retain_available true
set_tcp_nodelay true
sys_interval 10
log_dest stderr
log_type error
log_type warning
connection_messages false

# the hub itself
listener {port} {host}

# devices
listener {devices_port} {devices_host}
use_username_as_clientid true
{tls}
"""

ACL = """\
user {hub}
topic readwrite ingest/#
topic readwrite ack/#
topic readwrite cmd/#
topic readwrite live/#
topic read $SYS/#

pattern write ingest/%u/ecg
pattern write ingest/%u/vitals
pattern write ingest/%u/event
pattern read ack/%u
pattern read cmd/%u
"""


class BrokerMissing(RuntimeError):
    """mosquitto is not there or can't start; the words say what to do."""


@dataclass(frozen=True)
class Account:
    """Who may log in at the broker: a device as `{shard}/{device}`, or the hub."""

    username: str
    password_hash: str


def password_hash(password: str, salt: bytes | None = None) -> str:
    """A password as mosquitto's password file keeps it: $7$, PBKDF2-SHA512."""
    salt = salt or secrets.token_bytes(SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, HASH_ROUNDS)
    return f"$7${HASH_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def hub_password(settings: Settings) -> str:
    """Password of the hub's own account: as set, or made once for this installation."""
    return settings.mqtt_password or secret.load_or_create(settings.data_dir, "mqtt").hex()


def folder(settings: Settings) -> Path:
    return settings.data_dir / "broker"


def find_mosquitto() -> str:
    """The program; Debian keeps it out of an ordinary user's PATH."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise BrokerMissing("mosquitto not found: apt-get install mosquitto, or set HUB_MQTT_EXTERNAL")
    return found


def configuration(settings: Settings) -> str:
    """The text of mosquitto.conf."""
    # Started as root it would become user mosquitto and could not read the 0700 data folder.
    user = f"user {pwd.getpwuid(os.geteuid()).pw_name}" if os.geteuid() == 0 else ""
    tls = ""
    if settings.tls_cert and settings.tls_key:
        files = settings.tls_cert.resolve(), settings.tls_key.resolve()
        tls = "certfile {}\nkeyfile {}\ntls_version tlsv1.2".format(*files)
    return CONFIGURATION.format(
        user=user,
        folder=folder(settings).resolve(),
        host=settings.mqtt_host,
        port=settings.mqtt_port,
        devices_host=settings.mqtt_devices_host,
        devices_port=settings.mqtt_devices_port,
        tls=tls,
    )


def write_accounts(settings: Settings, devices: Iterable[Account]) -> None:
    """Replace the password file as a whole: the devices' accounts and the hub's own."""
    own = Account(settings.mqtt_username, password_hash(hub_password(settings)))
    lines = "".join(f"{account.username}:{account.password_hash}\n" for account in (own, *devices))
    _write(folder(settings) / "passwords", lines)


def prepare_files(settings: Settings, devices: Iterable[Account]) -> None:
    """Write configuration, access list and accounts."""
    where = folder(settings)
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(where / "mosquitto.conf", configuration(settings))
    _write(where / "acl", ACL.format(hub=settings.mqtt_username))
    write_accounts(settings, devices)


def prepare(settings: Settings, devices: Iterable[Account]) -> tuple[str, ...]:
    """Write the files; the command that starts the broker."""
    prepare_files(settings, devices)
    return find_mosquitto(), "-c", str(folder(settings) / "mosquitto.conf")


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def reload(broker: Process) -> None:
    """Make a running broker read its password file again; open connections go on."""
    process.send(broker, signal.SIGHUP)


async def open_session(
    settings: Settings, client_id: str, filters: Sequence[str] = (), qos: int = 1
) -> mqtt.Session:
    """The hub's own session, subscribed, on whichever node takes it in; raises ConnectionError with the last reason."""
    nodes = settings.broker_addresses
    reason = ""
    for host, port in random.sample(nodes, len(nodes)):
        session = mqtt.Session.connect(host, port, client_id, settings.mqtt_username, hub_password(settings))
        if filters:
            session.subscribe(filters, qos)
        try:
            return await mqtt.opened(session)
        except ConnectionError as failure:
            reason = f"{host}:{port}: {failure}"
        finally:
            if not session.subscribed:
                session.close()
    raise ConnectionError(reason)


async def wait_ready(settings: Settings, broker: Process | None = None) -> None:
    """Return when the hub's own account can log in."""
    reason = "no answer"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT_S):
            while broker is None or broker.returncode is None:
                try:
                    session = await open_session(settings, "hub-ready")
                    return session.disconnect()
                except ConnectionError as failure:
                    reason = str(failure)
                    await asyncio.sleep(0.05)
    raise BrokerMissing(f"the broker does not take the hub in: {reason}")


@contextlib.asynccontextmanager
async def running(settings: Settings, devices: Iterable[Account] = ()) -> AsyncIterator[Process]:
    """A running broker for as long as the block lasts."""
    command = prepare(settings, devices)
    broker = await process.start(command, settings.data_dir / "log" / "mosquitto.log")
    try:
        await wait_ready(settings, broker)
        yield broker
    finally:
        await process.stop(broker, signal.SIGTERM, STOP_TIMEOUT_S)
