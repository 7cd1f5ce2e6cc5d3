"""A small invented district to try the hub with: organisations, people in every role, virtual devices, recordings.

Filled in by `hub demo` (and `make run`), never by `hub serve`. Everything goes through the services and the ingest
engine that real life goes through; nothing here writes a table of its own accord. Names, numbers and hearts are
invented; the one password of all demo accounts is made at random for each installation.
"""

import asyncio
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from devices import control
from devices.control import Ack, Command
from devices.simulator.holter import Holter
from devices.simulator.publish import Publish
from ecg.synthetic import Synthesiser
from hub import demo_ecg, demo_images, simulate
from hub.core import clock, db
from hub.core.actor import Actor, job
from hub.core.db import Connection, Database
from hub.core.settings import Settings
from hub.core.store import Store
from hub.demo_district import (
    DOCTORS,
    ERRORS_S,
    FINISHED,
    FLAPS_S,
    FREE_HOLTER,
    HOLTER_TOWNS,
    ORGANISATIONS,
    PEOPLE,
    RESIDENTS,
    TOWNS,
    WEARABLE_TOWNS,
    Finished,
    Person,
)  # fmt: skip
from hub.ingest.decoding import Received
from hub.ingest.engine import Engine
from hub.orders import requests
from hub.orders.requests import NewRequest
from hub.people import accounts, agreements, consents, identity, organisations, patients, sessions
from hub.people.patients import NewPatient
from hub.reading import cases, drafts, reports, routing, studies, tasks
from hub.reading.analyses import analyse_study
from hub.reading.signing import local_signer
from hub.simulate import Virtual
from hub.telemetry import devices, events, recordings
from hub.telemetry.devices import NewDevice
from hub.telemetry.recordings import Wanted

ACTOR = job("demo")
SEEDED = "demo"  # in table installation
FOLDER, PLAN, FLASH, ACCOUNTS = "demo", "devices.json", "flash.json", "accounts.json"
BATCH_S, TAIL_S = (
    10,
    10,
)  # seconds of messages stored at once; seconds until a stopped device has told its end
BEFORE = timedelta(hours=3)  # when the demo district began


async def seed(settings: Settings, database: Database, records: Path | None = None) -> list[str]:
    """Fill an empty hub with the demo, once; the lines to print. `records`: hearts from a folder of WFDB records."""
    at, folder = clock.now(), settings.data_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not await _stage_done(database, at, SEEDED):
        await _seed_district(settings, database, at, records)
    if not await _stage_done(database, at, f"{SEEDED}-recordings"):
        await _seed_recordings(settings, database, at)
    return account_lines(settings.data_dir)


def account_lines(data_dir: Path) -> list[str]:
    """The demo accounts as `make run` prints them."""
    kept = _kept_accounts(data_dir)
    head = f"demo accounts (password of all: {kept['password']})"
    return [
        head,
        *(f"  {login:<16} {role:<20} {name}  {place}" for login, name, role, place in kept["accounts"]),
    ]


def _kept_accounts(data_dir: Path) -> dict[str, Any]:
    return dict(json.loads((data_dir / FOLDER / ACCOUNTS).read_text()))


async def run_devices(settings: Settings, stop: asyncio.Event) -> None:
    """Let the virtual devices of the demo live until stopped."""
    folder = settings.data_dir / FOLDER
    broker = (settings.mqtt_devices_host, settings.mqtt_devices_port)
    await simulate.run(simulate.read_plan(folder / PLAN), broker, folder / FLASH, stop)


async def _stage_done(database: Database, at: datetime, stage: str) -> bool:
    async with database.transaction(ACTOR, at) as conn:
        return await db.maybe(conn, "SELECT FROM installation WHERE key = %s", (stage,)) is not None


async def _finish_stage(conn: Connection, stage: str, value: Any) -> None:
    await db.run(conn, "INSERT INTO installation (key, value) VALUES (%s, %s)", (stage, json.dumps(value)))


def _write_secret(path: Path, value: Any) -> None:
    """A file only we can read, whole or not at all."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
    fresh.replace(path)


# The district: one transaction.


async def _seed_district(settings: Settings, database: Database, now: datetime, records: Path | None) -> None:
    at, folder = now - BEFORE, settings.data_dir / FOLDER
    password = f"demo-{secrets.token_hex(4)}"
    async with database.transaction(ACTOR, at) as conn:
        places = await _seed_organisations(conn, at)
        people = await _seed_people(conn, at, places, password)
        await _seed_agreements(conn, at, places)
        plan = await _seed_devices(conn, at, settings, places, records)
        residents = [await _register(conn, at, settings, person, people) for person in RESIDENTS]
        for person, patient in zip(RESIDENTS, residents, strict=True):
            await _begin(conn, now, person, patient, people, plan)
        listed = [(login, name, role, ORGANISATIONS[place][3]) for login, name, role, place in PEOPLE]
        _write_secret(folder / ACCOUNTS, {"password": password, "accounts": listed})
        _write_secret(folder / PLAN, [asdict(virtual) for virtual in plan.values()])
        await _finish_stage(conn, SEEDED, {"residents": [str(patient) for patient in residents]})


async def _seed_organisations(conn: Connection, at: datetime) -> dict[str, UUID]:
    places: dict[str, UUID] = {}
    for key, (parent, level, tier, name, name_en) in ORGANISATIONS.items():
        above = places[parent] if parent else None
        places[key] = await organisations.create_organisation(
            conn, ACTOR, at, parent_id=above, level=level, name=name, name_en=name_en, tier=tier
        )
    return places


async def _seed_people(
    conn: Connection, at: datetime, places: Mapping[str, UUID], password: str
) -> dict[str, Actor]:
    return {
        login: Actor("person", str(await accounts.create_account(
            conn, ACTOR, at, login=login, name=name, password=password, organisation_id=places[place], role=role,
        )))
        for login, name, role, place in PEOPLE
    }  # fmt: skip


async def _seed_agreements(conn: Connection, at: datetime, places: Mapping[str, UUID]) -> None:
    """Towns send to both hospitals; the rules keep paced hearts for the province."""
    for town, hospital, kind in product(
        TOWNS, ("district-hospital", "province-hospital"), agreements.STUDY_KINDS
    ):
        await agreements.create_agreement(
            conn, ACTOR, at,
            from_organisation_id=places[town], to_organisation_id=places[hospital], study_kind=kind,
        )  # fmt: skip
    paced = {"keyword": "pacemaker", "operator": "equals", "value": True}
    rules: tuple[tuple[str, list[Any], str], ...] = (
        ("起搏器患者送省级医院", [paced], "province-hospital"),
        ("其余送区人民医院", [], "district-hospital"),
    )
    await routing.replace_rules(
        conn, ACTOR, at,
        [
            {"name": name, "conditions": conditions, "to_organisation_id": places[to], "enabled": True}
            for name, conditions, to in rules
        ],
    )  # fmt: skip


async def _seed_devices(
    conn: Connection, at: datetime, settings: Settings, places: Mapping[str, UUID], records: Path | None
) -> dict[str, Virtual]:
    """The devices, provisioned, and the plan by which `hub.simulate` plays them."""
    given = _record_names(records) if records else []
    hearts = {person.device: person.heart for person in RESIDENTS if person.device}
    plan: dict[str, Virtual] = {}
    for kind, towns in (("holter", HOLTER_TOWNS), ("wearable", WEARABLE_TOWNS)):
        for number, (name, town) in enumerate(towns.items()):
            label = f"{'动态心电记录仪' if kind == 'holter' else '智能手环'} {name[-2:]}"
            account = await devices.provision_device(
                conn, ACTOR, at, settings.shards, NewDevice(name, kind, label, places[town])
            )
            heart = str(given[number % len(given)]) if given and kind == "holter" else hearts.get(name, "day")
            plan[name] = Virtual(
                name, account.shard, account.password, kind, heart, number + 1,  # type: ignore[arg-type]
                error_s=ERRORS_S.get(name, 0.0), flap_s=FLAPS_S.get(name),
            )  # fmt: skip
    return plan


def _record_names(folder: Path) -> list[Path]:
    return sorted(path.with_suffix("") for path in folder.glob("*.hea"))


async def _register(
    conn: Connection, at: datetime, settings: Settings, person: Person, people: Mapping[str, Actor]
) -> UUID:
    """A resident with an invented document number, who agreed on paper."""
    doctor, keys = people[DOCTORS[person.town]], identity.load_keys(settings.data_dir)
    ordinal = 2 * RESIDENTS.index(person) + (11 if person.sex == "male" else 10)  # odd for men
    first = f"990102{person.born:%Y%m%d}{ordinal:03d}"
    number = first + identity.check_character(first)
    new = NewPatient(person.name, person.sex, person.born, "resident-id", number, confirm_duplicate=True)
    registered = await patients.register_patient(conn, doctor, at, keys, new)
    assert registered.patient_id is not None
    for kind in ("monitoring", "remote-reading"):
        await consents.record_consent(
            conn, doctor, at, registered.patient_id, kind=kind, given_how="paper", given_by=person.name
        )
    return registered.patient_id


async def _begin(
    conn: Connection,
    at: datetime,
    person: Person,
    patient: UUID,
    people: Mapping[str, Actor],
    plan: Mapping[str, Virtual],
) -> None:
    """Have a resident's devices record from now on."""
    doctor = people[DOCTORS[person.town]]
    if person.device is not None:
        request = await _request(conn, at, doctor, person, patient)
        _, fs_hz, leads, _ = simulate.heart_signal(plan[person.device])
        await recordings.start_recording(conn, doctor, at, request, person.device, Wanted(fs_hz, leads))
    if person.wearable is not None:
        await devices.pair_device(conn, doctor, at, person.wearable, patient)


async def _request(conn: Connection, at: datetime, doctor: Actor, person: Person, patient: UUID) -> UUID:
    return await requests.create_request(
        conn, doctor, at,
        NewRequest(
            patient, "holter", person.question, person.symptoms, person.drugs, person.pacemaker, person.priority
        ),
    )  # fmt: skip


# Recordings that are over: a device's messages of that time, through the ingest engine.


async def _seed_recordings(settings: Settings, database: Database, now: datetime) -> None:
    began = now - BEFORE
    async with database.transaction(ACTOR, now) as conn:
        kept = await db.one(conn, "SELECT value FROM installation WHERE key = %s", (SEEDED,))
        found = await db.rows(conn, "SELECT login, id FROM account")
    people = {row["login"]: Actor("person", str(row["id"])) for row in found}
    doctor = people[DOCTORS["qingshan"]]
    for finished in FINISHED:
        patient = UUID(kept["value"]["residents"][finished.patient])
        recording = await _play(settings, database, began + finished.began, doctor, finished, patient)
        ended = began + finished.began + timedelta(seconds=finished.seconds + 60)
        if finished.conclusion is not None:
            await _read(settings, database, ended, recording, finished.conclusion)
    store = Store(settings.data_dir / "files")
    for number, send in ((-1, demo_ecg.send), (-2, demo_images.send)):
        person = RESIDENTS[number]
        resident, sender = UUID(kept["value"]["residents"][number]), people[DOCTORS[person.town]]
        await send(database, store, ACTOR, sender, now, resident, person)
    async with database.transaction(ACTOR, now) as conn:
        await _finish_stage(conn, f"{SEEDED}-recordings", {})


async def _play(
    settings: Settings, database: Database, at: datetime, doctor: Actor, finished: Finished, patient: UUID
) -> UUID:
    """Request, pair, record, end: minute by minute, as it was."""
    person, heart = (
        RESIDENTS[finished.patient],
        Synthesiser(90 + finished.patient, 250, simulate.LEADS, finished.script),
    )
    async with database.transaction(doctor, at) as conn:
        request = await _request(conn, at, doctor, person, patient)
        wanted = Wanted(heart.fs_hz, heart.leads)
        made = await recordings.start_recording(conn, doctor, at, request, FREE_HOLTER, wanted)
        device = await db.one(conn, "SELECT shard FROM device WHERE id = %s", (FREE_HOLTER,))
    recording: UUID = made["id"]
    async with Database(database.dsn, "hub_ingest", size=2) as ingest:
        await _replay(Engine(ingest), at, device["shard"], heart, recording, finished.seconds)
    noted = at + timedelta(seconds=finished.seconds / 2)
    async with database.transaction(doctor, noted) as conn:
        await events.add_diary(conn, doctor, noted, recording, noted, finished.diary)
    return recording


async def _replay(
    engine: Engine, at: datetime, shard: str, heart: Synthesiser, recording: UUID, seconds: int
) -> None:
    """What a Holter sent while it was worn, into the engine; acknowledged as the hub does."""
    begin_s = at.timestamp()
    holter = Holter(FREE_HOLTER, heart.samples, heart.fs_hz, heart.leads, heart.uv_per_lsb, rng=Random(1),
                    boot=int(begin_s))  # fmt: skip
    holter.resume(recording.bytes, begin_s)
    sent = holter.connected(begin_s)
    for second in range(1, seconds + TAIL_S + 1):
        now_s = begin_s + second
        sent += holter.tick(now_s)
        if second == seconds // 2:
            sent += holter.press_button(now_s)
        if second == seconds:
            stop = Command("demo.stop", "stop", now_s + 60, recording=recording.bytes)
            sent += holter.on_message("cmd", control.encode_command(stop), now_s)
        if second % BATCH_S == 0:
            await _store(engine, shard, sent, now_s)
            sent = []
            ack = Ack(recording.bytes, holter.boot, min(second, seconds) * heart.fs_hz)
            sent += holter.on_message("ack", control.encode_ack(ack), now_s)


async def _store(engine: Engine, shard: str, sent: Sequence[Publish], now_s: float) -> None:
    at = datetime.fromtimestamp(now_s, clock.now().tzinfo)
    messages = [
        Received(shard, f"ingest/{shard}/{FREE_HOLTER}/{one.topic_kind}", one.payload, now_s) for one in sent
    ]
    batch, _ = await engine.take(messages, at, may_load=True)
    await engine.commit(batch, at)


async def _read(
    settings: Settings, database: Database, at: datetime, recording: UUID, conclusion: str
) -> None:
    """Analyse, claim, write, sign: what a reader does, with the password given again."""
    async with database.transaction(ACTOR, at) as conn:
        study = await studies.make_study(conn, ACTOR, at, recording)
    assert study is not None
    await analyse_study(database, ACTOR, at, study)
    password = _kept_accounts(settings.data_dir)["password"]
    async with database.transaction(ACTOR, at) as conn:
        session = await sessions.sign_in(conn, at, "reader", password)
        assert isinstance(session, sessions.SignedIn)
        task = await db.one(conn, "SELECT id FROM task WHERE study_id = %s", (study,))
    reader, task_id = session.actor, task["id"]
    async with database.transaction(reader, at) as conn:
        await sessions.step_up(conn, reader, at, password)
        await tasks.claim_task(conn, reader, at, task_id)
        case = await cases.read_case(conn, reader, at, task_id)
        content = {
            "findings_text": _findings_text(case["analysis"]["summary"]),
            "conclusion": conclusion,
            "advice": "建议心内科门诊随访，症状加重及时就诊。",
            "included_findings": [finding["finding_index"] for finding in case["findings"][:3]],
            "critical": False,
        }
        saved = await drafts.save_draft(conn, reader, at, task_id, content, 0)
        await reports.sign_report(
            conn, reader, at, local_signer(settings.data_dir), task_id,
            revision=saved["revision"], analysis_id=case["analysis"]["id"], edit_sequence=0,
        )  # fmt: skip
        await sessions.sign_out(conn, reader, at)


def _findings_text(figures: Mapping[str, Any]) -> str:
    slow, fast, longest = (figures[name] for name in ("lowest_rate", "highest_rate", "longest_rr"))
    return (
        f"全程共 {figures['beats_total']} 次心搏，平均心率 {figures['mean_rate_bpm']:g} 次/分，"
        f"最慢 {slow['bpm']:g} 次/分，最快 {fast['bpm']:g} 次/分，最长 RR 间期 {longest['rr_s']:g} 秒。"
        f"室性早搏 {figures['beats_by_class']['V']} 个。日记所记头晕时为窦性心律。"
    )
