"""All an operator may set, in one table, `Settings`: environment (`HUB_...`) before file before default.

`docs/operations.md` lists the table; an unknown name is an error, so that a typo is never silent.
"""

import ipaddress
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

PREFIX = "HUB_"


class SettingsError(ValueError):
    """A setting that can't be used; the words say which and how to mend it."""


class Setting(NamedTuple):
    """One row of the table."""

    name: str
    env: str
    parse: Callable[[str], Any]
    default: Any
    help: str


def _help(words: str) -> dict[str, str]:
    return {"help": words}


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "telehub"


@dataclass(frozen=True)
class Settings:
    """The table itself: a field is a setting, its metadata says what it is for."""

    data_dir: Path = field(
        default_factory=_default_data_dir, metadata=_help("folder of everything the hub keeps; mode 0700")
    )
    dsn: str | None = field(
        default=None, metadata=_help("PostgreSQL 15-18 to use; without it the hub runs its own")
    )
    timescaledb: str = field(
        default="auto",
        metadata=_help(
            "auto: hypertables where the extension is, or a new database can have it; on: also moves an old one; off"
        ),
    )
    postgres_bin: Path | None = field(
        default=None, metadata=_help("folder of initdb and postgres for the hub's own server")
    )
    http_host: str = field(default="127.0.0.1", metadata=_help("address of the pages"))
    http_port: int = field(default=8080, metadata=_help("port of the pages"))
    public_url: str | None = field(
        default=None, metadata=_help("how browsers reach the pages, when behind a proxy")
    )
    tls_cert: Path | None = field(
        default=None, metadata=_help("certificate chain (PEM) for pages and devices; see `hub tls init`")
    )
    tls_key: Path | None = field(default=None, metadata=_help("private key (PEM) of tls_cert"))
    trusted_proxies: tuple[str, ...] = field(
        default=(),
        metadata=_help(
            "proxies that end TLS: plain HTTP and MQTT may then listen beyond loopback, for them only"
        ),
    )
    mqtt_host: str = field(default="127.0.0.1", metadata=_help("where the hub itself reaches the broker"))
    mqtt_port: int = field(default=1882, metadata=_help("port of the hub's own listener, loopback only"))
    mqtt_devices_host: str = field(default="127.0.0.1", metadata=_help("address of the devices' listener"))
    mqtt_devices_port: int = field(
        default=1883, metadata=_help("port of the devices' listener (8883 is usual with TLS)")
    )
    mqtt_external: str | None = field(
        default=None,
        metadata=_help(
            "host:port of a given broker, or of each node of a cluster, with commas; without it the hub runs mosquitto"
        ),
    )
    mqtt_username: str = field(default="hub", metadata=_help("the hub's own account at the broker"))
    mqtt_password: str | None = field(
        default=None, metadata=_help("its password; without it one is made and kept in data_dir/secret")
    )
    dimse_ae_title: str = field(
        default="TELEHUB", metadata=_help("the hub's AE title, by which DICOM nodes call it")
    )
    dimse_host: str = field(default="127.0.0.1", metadata=_help("address of the DICOM listeners"))
    dimse_tls_port: int = field(
        default=0, metadata=_help("port of DICOM over TLS (2762 is usual); 0: it does not listen")
    )
    dimse_tls_clients: Path | None = field(
        default=None,
        metadata=_help("certificates (PEM) that sign those of DICOM nodes, or those of the nodes themselves"),
    )
    dimse_port: int = field(
        default=0,
        metadata=_help("port of DICOM without TLS (11112 is usual), for dimse_plain_addresses only; 0: none"),
    )
    dimse_query_tls_port: int = field(
        default=0,
        metadata=_help("port of DICOM query, retrieval and worklist over TLS; 0: it does not listen"),
    )
    dimse_query_port: int = field(
        default=0,
        metadata=_help("the same without TLS (11113 is usual), for dimse_plain_addresses only; 0: none"),
    )
    dimse_plain_addresses: tuple[str, ...] = field(
        default=(), metadata=_help("addresses or networks that may use DICOM without TLS")
    )
    shards: int = field(
        default=16, metadata=_help("broker sessions the devices are shared out to; fixed for an installation")
    )
    ingest_processes: int = field(default=1, metadata=_help("processes that store what devices send"))
    ingest_memory_mb: int = field(
        default=2048,
        metadata=_help(
            "an ingest process that uses more memory stops storing, and starts again if that does not help"
        ),
    )
    disk_floor_mb: int = field(
        default=512,
        metadata=_help(
            "with less free on the disk of the hub's own database no samples are stored; alarms and audit still are"
        ),
    )
    disk_reserve_mb: int = field(
        default=256,
        metadata=_help("kept back in data_dir/reserve, and given up when the disk is full; 0: none"),
    )
    backup_dir: Path | None = field(
        default=None,
        metadata=_help("where the hub backs itself up, best another disk; without it `hub backup`"),
    )
    backup_every_h: float = field(default=1.0, metadata=_help("hours between two backups to backup_dir"))
    backup_base_days: int = field(default=7, metadata=_help("days after which a backup begins a new base"))
    backup_keep: int = field(default=4, metadata=_help("bases kept with what came after them; older ones go"))
    backup_max_age_h: float = field(
        default=26.0, metadata=_help("age in hours of the newest backup from which staff are told")
    )
    backup_dsn: str | None = field(
        default=None,
        metadata=_help("login with REPLICATION for backups of a given PostgreSQL; without it HUB_DSN"),
    )
    log_level: str = field(default="info", metadata=_help("debug, info, warning or error"))
    locale: str = field(
        default="zh-CN", metadata=_help("language before somebody has signed in: zh-CN or en")
    )
    clock_offset_s: float = field(
        default=0.0, metadata=_help("shifts the hub's wall clock; for fault tests only")
    )

    def environ(self) -> dict[str, str]:
        """The same settings as environment variables, for the hub's child processes."""
        texts = {s.env: _text(getattr(self, s.name)) for s in SETTINGS}
        return {env: text for env, text in texts.items() if text is not None}

    @property
    def broker_addresses(self) -> tuple[tuple[str, int], ...]:
        """Where the hub's own sessions connect: the nodes of one broker, any of which will do."""
        if self.mqtt_external is None:
            return ((self.mqtt_host, self.mqtt_port),)
        parts = [node.rpartition(":") for node in _parse_list(self.mqtt_external)]
        return tuple((host, int(port)) for host, _, port in parts)

    @property
    def broker_address(self) -> tuple[str, int]:
        """The only node, or the first."""
        return self.broker_addresses[0]


def _parse_optional_text(text: str) -> str | None:
    return text or None


def _parse_optional_path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    Path: lambda text: Path(text).expanduser(),
    str | None: _parse_optional_text,
    Path | None: _parse_optional_path,
    tuple[str, ...]: _parse_list,
}


def _default(row: Field[Any]) -> Any:
    return row.default if row.default is not MISSING else _default_data_dir()


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(f.name, PREFIX + f.name.upper(), _PARSERS[f.type], _default(f), f.metadata["help"])
    for f in fields(Settings)
)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return ",".join(value) if isinstance(value, tuple) else str(value)


def load(environ: Mapping[str, str], config_file: Path | None = None) -> Settings:
    """The settings of this process; raises `SettingsError` for anything unknown, malformed or unsafe."""
    given = _from_file(config_file) if config_file else {}
    given |= {name: text for name, text in environ.items() if name.startswith(PREFIX)}
    known = {s.env: s for s in SETTINGS}
    values: dict[str, Any] = {}
    for env, text in given.items():
        if env not in known:
            raise SettingsError(f"unknown setting {env}; known are: {', '.join(known)}")
        try:
            values[known[env].name] = known[env].parse(text)
        except ValueError as failure:
            raise SettingsError(f"{env}={text!r} is not usable: {failure}") from failure
    settings = Settings(**values)
    problems = check(settings)
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def _from_file(path: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as failure:
        raise SettingsError(f"settings file {path}: {failure}") from failure
    return {
        PREFIX + name.upper(): ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in table.items()
    }


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _are_addresses(text: str) -> bool:
    parts = [node.rpartition(":") for node in _parse_list(text)]
    return bool(parts) and all(host and port.isdigit() for host, _, port in parts)


def check(settings: Settings) -> list[str]:
    """What makes these settings unusable or unsafe, in words."""
    problems = []
    if (settings.tls_cert is None) != (settings.tls_key is None):
        problems.append("HUB_TLS_CERT and HUB_TLS_KEY belong together: set both or none")
    open_hosts = [h for h in (settings.http_host, settings.mqtt_devices_host) if not is_loopback(h)]
    if open_hosts and settings.tls_cert is None and not settings.trusted_proxies:
        problems.append(
            f"listening on {open_hosts[0]} without TLS is refused: run `hub tls init NAME` and set"
            " HUB_TLS_CERT and HUB_TLS_KEY, or name the proxy that ends TLS in HUB_TRUSTED_PROXIES"
        )
    if settings.mqtt_external is None and not is_loopback(settings.mqtt_host):
        problems.append("HUB_MQTT_HOST is the hub's own way to its broker, without TLS: a loopback address")
    if not 1 <= settings.shards <= 256:
        problems.append("HUB_SHARDS must be 1 to 256")
    if not 1 <= settings.ingest_processes <= settings.shards:
        problems.append("HUB_INGEST_PROCESSES must be 1 to HUB_SHARDS")
    if min(settings.backup_every_h, settings.backup_base_days, settings.backup_keep) <= 0:
        problems.append("HUB_BACKUP_EVERY_H, HUB_BACKUP_BASE_DAYS and HUB_BACKUP_KEEP must be above 0")
    problems += _check_dimse(settings)
    if settings.locale not in ("zh-CN", "en"):
        problems.append("HUB_LOCALE must be zh-CN or en")
    if settings.timescaledb not in ("auto", "on", "off"):
        problems.append("HUB_TIMESCALEDB must be auto, on or off")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        problems.append("HUB_LOG_LEVEL must be debug, info, warning or error")
    if settings.mqtt_external is not None and not _are_addresses(settings.mqtt_external):
        problems.append("HUB_MQTT_EXTERNAL must be host:port, or several of them with commas")
    return problems


def _check_dimse(settings: Settings) -> list[str]:
    problems = []
    for name in ("dimse", "dimse_query"):
        setting, own = f"HUB_{name.upper()}", vars(settings)
        if own[f"{name}_tls_port"] and (settings.tls_cert is None or settings.dimse_tls_clients is None):
            problems.append(f"{setting}_TLS_PORT needs HUB_TLS_CERT, HUB_TLS_KEY and HUB_DIMSE_TLS_CLIENTS")
        if own[f"{name}_port"] and not settings.dimse_plain_addresses:
            problems.append(
                f"{setting}_PORT is without TLS: name who may use it in HUB_DIMSE_PLAIN_ADDRESSES"
            )
    if any(not _is_network(text) for text in settings.dimse_plain_addresses):
        problems.append("HUB_DIMSE_PLAIN_ADDRESSES must be IP addresses or networks like 192.168.1.0/24")
    if not 1 <= len(settings.dimse_ae_title) <= 16 or not settings.dimse_ae_title.isascii():
        problems.append("HUB_DIMSE_AE_TITLE must be 1 to 16 ASCII characters")
    return problems


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
