"""Broken hops of the hub itself, for operators: raised by whoever sees one, cleared by the same, kept with the outcome.

An incident is a condition (here, gone) and its handling (open, owned by one person, resolved). Kinds and the facts
told with them are closed tables of numbers and short words, so that no patient data can get in. Raising what is
there already touches nothing but the time it was last seen; a condition that comes back within two minutes goes on
as the same incident. Who may see and handle incidents is asked in hub/operations.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from hub.core import db, ids
from hub.core.db import Connection

CHANNEL: Final = "hub_incident"
TOUCHED_EVERY: Final = timedelta(seconds=5)  # one that lasts is written no more often
SAME_WITHIN: Final = timedelta(minutes=2)  # gone and back sooner: one incident, not a flood of them

Priority = Literal["high", "medium", "low"]
About = Literal["hub", "device"]
Unit = Literal["count", "bytes", "s", "days", "percent", "word"]
Fact = str | int | float
Detail = Mapping[str, Fact]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is broken, how urgent, and what the person in charge does about it."""

    priority: Priority
    zh: str
    en: str
    do_zh: str
    do_en: str
    about: About = "hub"  # device: the subject is its id, and its managers see it


@dataclass(frozen=True, slots=True)
class Named:
    """A fact told with an incident."""

    zh: str
    en: str
    unit: Unit


KINDS: Final[dict[str, Kind]] = {
    "database-away": Kind(
        "high",
        "数据库没有应答，新数据暂未保存",
        "The database does not answer; new data are not being stored",
        "设备会自己保留数据，恢复后自动补传。请检查数据库进程和磁盘，运行 hub doctor；不要关闭患者的设备。",
        "Devices keep their data and send them once it is back. Look at the database process and the disk, run"
        " hub doctor; don't switch patients' devices off.",
    ),
    "database-slow": Kind(
        "medium",
        "数据库变慢",
        "The database is slow",
        "检查磁盘是否繁忙、是否正在备份或被其他程序占用。",
        "See whether the disk is busy, a backup runs or another program uses it.",
    ),
    "broker-away": Kind(
        "high",
        "设备接入服务（MQTT）连接中断，看不到实时数据",
        "The broker (MQTT) can't be reached; nothing comes in live",
        "检查 mosquitto 进程和网络，运行 hub doctor。设备会自行重连并补传。",
        "Look at the mosquitto process and the network, run hub doctor. Devices connect again by themselves.",
    ),
    "process-missing": Kind(
        "high",
        "有一个服务进程没有应答",
        "A process of the hub does not answer",
        "系统会自动重启它；若一分钟后仍在，请查看 data_dir/log 中同名日志。",
        "It is started again by itself; if this stays for a minute, look into its log in data_dir/log.",
    ),
    "ingest-missing": Kind(
        "high",
        "接收进程没有应答，设备数据暂未保存",
        "A process that stores devices' data does not answer",
        "其分片由其他进程接管或自动重启；若一分钟后仍在，请查看 data_dir/log 中 ingest 日志。",
        "Another takes over its shards, or it is started again; if this stays for a minute, look into the ingest"
        " log in data_dir/log.",
    ),
    "ingest-blocked": Kind(
        "high",
        "磁盘空间不足，已停止保存心电数据",
        "Too little disk space: storing of ECG has stopped",
        "立即清理磁盘或扩容；设备保留数据，空间恢复后自动继续。报警和审计仍在写入。",
        "Free disk space now; devices keep their data, storing goes on by itself. Alarms and audit are still written.",
    ),
    "ingest-slow": Kind(
        "medium",
        "接收变慢，已请设备放慢发送",
        "Receiving is slow; devices were asked to slow down",
        "通常会自行恢复；若持续，请检查数据库和磁盘。",
        "It usually recovers by itself; if it stays, look at the database and the disk.",
    ),
    "shard-unread": Kind(
        "high",
        "有一组设备的数据无人读取",
        "Nobody reads the data of a group of devices",
        "检查接收进程是否都在运行；若持续，请重启服务。",
        "See whether all ingest processes run; if it stays, restart the hub.",
    ),
    "session-ids": Kind(
        "high",
        "未确认的消息接近上限，即将看不到新数据",
        "Unacknowledged messages near their limit: the hub will soon see nothing new",
        "说明保存已停滞较久，请先恢复数据库。",
        "Storing has stood still for long: bring the database back first.",
    ),
    "disk-low": Kind(
        "medium",
        "磁盘空间不足",
        "Disk space runs low",
        "清理磁盘、移走旧备份或扩容。",
        "Free space, move old backups away, or add a disk.",
    ),
    "disk-reserve": Kind(
        "high",
        "磁盘应急空间已动用",
        "The disk reserve is in use",
        "立即清理磁盘；应急空间只够报警和审计继续写入。",
        "Free space now; the reserve is only for alarms and audit to go on.",
    ),
    "memory-high": Kind(
        "medium",
        "进程占用内存过高",
        "A process uses too much memory",
        "若持续上升，请重启服务并把 data_dir/log 交给供应商。",
        "If it keeps growing, restart the hub and send data_dir/log to the supplier.",
    ),
    "jobs-stuck": Kind(
        "medium",
        "后台任务积压",
        "Background jobs are waiting too long",
        "检查后台任务进程（jobs）是否运行；分析、报告和投递会推迟。",
        "See whether the jobs process runs; analyses, reports and deliveries are late.",
    ),
    "jobs-failed": Kind(
        "medium",
        "后台任务多次失败后停止",
        "Background jobs failed for good",
        "在“系统状态”页查看失败的任务，排除原因后点“重试”。",
        "See the failed jobs on the page Hub health; once the cause is mended, press Retry.",
    ),
    "backup-old": Kind(
        "medium",
        "备份过旧或从未备份",
        "The backup is too old, or there is none",
        "运行 hub backup，并检查备份磁盘。",
        "Run hub backup, and look at the disk it goes to.",
    ),
    "set-aside-flood": Kind(
        "medium",
        "大量消息无法识别，已另存",
        "Many messages can't be used and are set aside",
        "在“搁置的数据包”页按原因查看；排除原因后可重新处理，数据不会丢失。",
        "See the page Set aside by reason; once the cause is mended they can be replayed, nothing is lost.",
    ),
    "devices-silent": Kind(
        "high",
        "许多设备同时失去联系",
        "Many devices fell silent at once",
        "多半是网络或接入服务中断：检查机构的网络出口和 MQTT 端口。",
        "Most likely a line is down: look at the network and the devices' MQTT port.",
    ),
    "device-clock": Kind(
        "low",
        "设备时钟误差超过 1 小时",
        "A device's clock is wrong by more than an hour",
        "数据不会丢失，时间已按系统时钟校正；请在设备上校时。",
        "Nothing is lost and times are corrected; set the device's clock.",
        about="device",
    ),
    "certificate-ends": Kind(
        "medium",
        "安全证书即将到期",
        "The certificate ends soon",
        "运行 hub tls init 更新证书，否则设备和网页将无法连接。",
        "Renew it with hub tls init, or devices and pages can't connect.",
    ),
    "audit-unsealed": Kind(
        "medium",
        "审计记录未及时封存",
        "The audit is not being sealed",
        "检查后台任务进程（jobs）；运行 hub audit verify。",
        "Look at the jobs process; run hub audit verify.",
    ),
}

FACTS: Final[dict[str, Named]] = {
    "process": Named("进程", "process", "word"),
    "pid": Named("进程号", "process id", "word"),
    "state": Named("状态", "state", "word"),
    "reason": Named("原因", "reason", "word"),
    "job_kind": Named("任务类型", "kind of job", "word"),
    "error": Named("错误", "error", "word"),
    "shard": Named("分片", "shard", "word"),
    "shards": Named("分片数", "shards", "count"),
    "count": Named("数量", "number", "count"),
    "total": Named("总数", "of", "count"),
    "limit": Named("上限", "limit", "count"),
    "pending": Named("待保存消息", "messages waiting to be stored", "count"),
    "unacknowledged": Named("未确认消息", "unacknowledged messages", "count"),
    "forgotten": Named("待重发消息", "messages to be sent again", "count"),
    "slowed_devices": Named("已放慢的设备", "devices slowed down", "count"),
    "free_bytes": Named("剩余空间", "free", "bytes"),
    "floor_bytes": Named("停止线", "storing stops at", "bytes"),
    "memory_bytes": Named("内存", "memory", "bytes"),
    "limit_bytes": Named("限额", "limit", "bytes"),
    "seconds": Named("时长", "for", "s"),
    "oldest_s": Named("最久等待", "oldest waits", "s"),
    "commit_p99_s": Named("保存耗时 p99", "commit p99", "s"),
    "answer_s": Named("应答耗时", "time to answer", "s"),
    "offset_s": Named("误差", "off by", "s"),
    "age_s": Named("距今", "age", "s"),
    "days_left": Named("剩余", "left", "days"),
}


def require_known(kind: str, detail: Detail) -> None:
    """Raise ValueError for a kind or a fact outside the tables: a mistake of the caller."""
    if kind not in KINDS or not detail.keys() <= FACTS.keys():
        raise ValueError(f"incident {kind!r} with {sorted(detail)}: not in the tables")


async def raise_incident(conn: Connection, at: datetime, kind: str, subject: str, detail: Detail) -> None:
    """A hop is broken, or still is; idempotent while it lasts."""
    require_known(kind, detail)
    parameters = {
        "id": ids.new(at), "at": at, "kind": kind, "subject": subject, "detail": json.dumps(dict(detail)),
        "device": subject if KINDS[kind].about == "device" else None, "recent": at - SAME_WITHIN,
        "stale": at - TOUCHED_EVERY,
    }  # fmt: skip
    if await db.run(conn, _BACK_SQL, parameters) or await db.run(conn, _NEW_SQL, parameters):
        await tell(conn, kind)
    else:
        await db.run(conn, _TOUCH_SQL, parameters)


# A row that somebody resolved is over; what comes back is a new one.
_BACK_SQL: Final = """
    UPDATE incident SET gone_at = NULL, last_at = %(at)s, detail = %(detail)s, times = times + 1
    WHERE id = (SELECT id FROM incident WHERE kind = %(kind)s AND subject = %(subject)s
                AND gone_at > %(recent)s AND resolved_at IS NULL ORDER BY gone_at DESC LIMIT 1)
      AND NOT EXISTS (SELECT FROM incident WHERE kind = %(kind)s AND subject = %(subject)s AND gone_at IS NULL)"""
_NEW_SQL: Final = """
    INSERT INTO incident (id, kind, subject, device_id, detail, since_at, last_at)
    VALUES (%(id)s, %(kind)s, %(subject)s, %(device)s, %(detail)s, %(at)s, %(at)s)
    ON CONFLICT (kind, subject) WHERE gone_at IS NULL DO NOTHING"""
_TOUCH_SQL: Final = """
    UPDATE incident SET last_at = %(at)s, detail = %(detail)s
    WHERE kind = %(kind)s AND subject = %(subject)s AND gone_at IS NULL AND last_at <= %(stale)s"""


async def clear_incident(conn: Connection, at: datetime, kind: str, subject: str) -> bool:
    """The hop works again; whether it had been broken. What nobody owned needs nobody any more."""
    gone = await db.run(
        conn,
        "UPDATE incident SET gone_at = %s WHERE kind = %s AND subject = %s AND gone_at IS NULL",
        (at, kind, subject),
    )
    if gone:
        await tell(conn, kind)
    return bool(gone)


async def here(conn: Connection, kinds: list[str]) -> set[tuple[str, str]]:
    """(kind, subject) of the incidents whose condition lasts."""
    found = await db.rows(
        conn, "SELECT kind, subject FROM incident WHERE gone_at IS NULL AND kind = ANY(%s)", (kinds,)
    )
    return {(row["kind"], row["subject"]) for row in found}


async def tell(conn: Connection, kind: str) -> None:
    """Bring a change to open pages."""
    await db.notify(conn, CHANNEL, kind=kind)
