"""Statements and critical values: the tables hold together, each side of a criterion, and never a clean bill."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg import critical_values
from ecg.critical_values import FACTS, OPERATORS, PACKS, assess
from ecg.holter import analyse
from ecg.record import Record
from ecg.twelve_lead.criteria import CRITERIA, PRIORITIES
from ecg.twelve_lead.measurements import measure
from ecg.twelve_lead.statements import (
    COVERED_BY,
    TESTS,
    Request,
    Statement,
    critical_facts,
    from_measurements,
    statements,
)
from ecg.values import Value
from tests.ecg import twelve_leads as twelve

MAN, WOMAN = Request(55, "male"), Request(55, "female")


def stated(record: Record, request: Request | None = None) -> dict[str, Statement]:
    return {s.name: s for s in statements(record, analyse(record), request)}


def test_every_criterion_has_a_test_both_languages_and_sourced_limits() -> None:
    assert set(TESTS) == set(CRITERIA)
    assert set(COVERED_BY) | set(COVERED_BY.values()) <= set(CRITERIA)
    for row in CRITERIA.values():
        assert row.priority in PRIORITIES and row.version >= 1 and row.criterion
        assert re.search(r"[一-鿿]", row.words["zh-CN"]) and row.words["en"].isascii()
        assert all(t.unit and t.source for t in row.thresholds.values())
        said = f"{row.words['en']} {row.words['zh-CN']}".lower()
        assert not re.search(r"\bnormal\b|正常|healthy|safe\b|well\b", said)


def test_a_statement_carries_evidence_and_a_strip_inside_the_record() -> None:
    record = twelve.heart("pvc", 70.0, length_s=30, seed=4)
    found = stated(record)
    assert {"sinus-rhythm", "ventricular-ectopy"} <= set(found)
    for s in found.values():
        assert 0 <= s.strip[0] < s.strip[1] <= 30 * 500 and s.strip[1] - s.strip[0] == 5000
        assert s.text == CRITERIA[s.name].words and s.version == CRITERIA[s.name].version
    order = [PRIORITIES.index(s.priority) for s in found.values()]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("rate_bpm", "names"),
    [
        (38.0, {"marked-bradycardia"}),
        (52.0, {"bradycardia"}),
        (70.0, set()),
        (115.0, {"tachycardia"}),
        (165.0, {"marked-tachycardia"}),
    ],
)
def test_rates(rate_bpm: float, names: set[str]) -> None:
    rates = {name for name, row in CRITERIA.items() if row.group == "rate"}
    assert stated(twelve.heart(rate_bpm=rate_bpm)).keys() & rates == names


def test_fibrillation_is_suspected_and_sinus_rhythm_is_not_claimed() -> None:
    found, plain = stated(twelve.heart("af", 95.0)), stated(twelve.heart())
    assert "atrial-fibrillation" in found and "sinus-rhythm" not in found
    assert "sinus-rhythm" in plain and "atrial-fibrillation" not in plain


def test_inverted_limb_leads_are_called_reversed() -> None:
    found, plain = stated(twelve.limb_inverted(twelve.heart())), stated(twelve.heart())
    assert "arm-leads-reversed" in found and "sinus-rhythm" not in found
    assert not {"arm-leads-reversed", "leg-arm-leads-reversed"} & set(plain)


def test_wrong_scales_of_limb_leads_are_told() -> None:
    assert "limb-leads-contradict" in stated(twelve.changed(twelve.heart(), {"I": 2.0}))


def test_paced_only_when_told_else_suspected() -> None:
    rows = twelve.rows_of(twelve.heart())
    beats = analyse(twelve.heart()).sample
    rows[:, beats - 45] += 400  # 90 ms before R
    spiky = twelve.of_rows(rows, 500)
    assert {"paced", "pacing-suspected"} & set(stated(spiky)) == {"pacing-suspected"}
    assert {"paced", "pacing-suspected"} & set(stated(spiky, Request(paced=True))) == {"paced"}
    assert not {"paced", "pacing-suspected"} & set(stated(twelve.heart()))


def test_voltage_follows_size_and_sex() -> None:
    record = twelve.heart()
    usual = twelve.measured(record).number("sokolow_lyon_uv") or 0

    def scaled(factor: float) -> Record:
        return replace(
            record, leads=tuple(replace(x, uv_per_lsb=x.uv_per_lsb * factor) for x in record.leads)
        )

    assert "left-ventricular-voltage" in stated(scaled(3600 / usual))
    assert "left-ventricular-voltage" not in stated(scaled(2000 / usual))
    assert "left-ventricular-voltage" not in stated(scaled(3600 / usual), Request(age_years=9))
    assert "low-voltage" in stated(scaled(0.3)) and "low-voltage" not in stated(record)


def test_st_elevation_limits_depend_on_lead_sex_and_age() -> None:
    record = twelve.heart()
    analysis, m = analyse(record), measure(record, analyse(record))

    def names(uv: dict[str, float], request: Request) -> set[str]:
        table = {k: dict(v) for k, v in m.by_lead.items()}
        for lead in table:
            table[lead]["st_j_uv"] = Value(uv.get(lead, 0.0), "good", (lead,))
        return {s.name for s in from_measurements(replace(m, by_lead=table), analysis, request)}

    young = Request(30, "male")
    for uv, request, expected in (
        ({"V2": 160, "V3": 160}, WOMAN, True), ({"V2": 160, "V3": 160}, MAN, False),
        ({"V2": 220, "V3": 220}, MAN, True), ({"V2": 220, "V3": 220}, young, False),
        ({"V4": 110, "V5": 110}, young, True), ({"V4": 110, "V6": 110}, young, False), ({"II": 110}, MAN, False),
        ({"II": 110, "aVF": 110}, MAN, True), ({"III": 90, "aVF": 90}, MAN, False),
    ):  # fmt: skip
        assert ("st-elevation" in names(uv, request)) == expected, (uv, request)


def test_a_raised_segment_comes_first_in_the_queue() -> None:
    found = stated(twelve.added_after_qrs(twelve.heart(), {"V4": 400, "V5": 400, "V6": 400}), MAN)
    assert next(iter(found)) == "st-elevation" and found["st-elevation"].priority == "stat"
    assert set(found["st-elevation"].leads) >= {"V4", "V5"}


@pytest.mark.parametrize(
    ("qtc_ms", "request_", "expected"),
    [
        (455, MAN, "long-qt"),
        (455, WOMAN, ""),
        (465, WOMAN, "long-qt"),
        (510, MAN, "very-long-qt"),
        (325, MAN, "short-qt"),
        (400, MAN, ""),
    ],
)
def test_qt_limits(qtc_ms: float, request_: Request, expected: str) -> None:
    record = twelve.heart()
    analysis, m = analyse(record), measure(record, analyse(record))
    values = {**m.values, "qtc_bazett_ms": Value(qtc_ms, "good", ("II",))}
    found = {s.name for s in from_measurements(replace(m, values=values), analysis, request_)}
    assert found & {"long-qt", "very-long-qt", "short-qt"} == ({expected} if expected else set())


def test_bundle_branch_blocks_and_pre_excitation_by_their_numbers() -> None:
    record = twelve.heart()
    analysis, m = analyse(record), measure(record, analyse(record))

    def names(leads: dict[str, dict[str, float]], **values: float) -> set[str]:
        table = {k: dict(v) for k, v in m.by_lead.items()}
        for lead, numbers in leads.items():
            table[lead] |= {name: Value(value, "good", (lead,)) for name, value in numbers.items()}
        new = {**m.values, **{name: Value(value, "good", ("II",)) for name, value in values.items()}}
        return {s.name for s in from_measurements(replace(m, values=new, by_lead=table), analysis, MAN)}

    right = {"V1": {"r2_uv": 500, "r_peak_ms": 90}, "V6": {"s_uv": 300}, "I": {"s_uv": 300}}
    left = {
        "V1": {"net_area_uv_ms": -9e4, "r2_uv": 0, "r_uv": 0}, "V2": {"r2_uv": 0}, "I": {"net_area_uv_ms": 5e4},
        "V5": {"r_peak_ms": 75, "q_uv": 0}, "V6": {"r_peak_ms": 80, "q_uv": 0},
    }  # fmt: skip
    assert "right-bundle-branch-block" in names(right, qrs_ms=140)
    assert "incomplete-right-bundle-branch-block" in names(right, qrs_ms=110)
    assert "left-bundle-branch-block" in names(left, qrs_ms=150) and "wide-qrs" not in names(left, qrs_ms=150)
    assert "left-bundle-branch-block" not in names(left, qrs_ms=100)
    assert "wide-qrs" in names({"V6": {"s_uv": 0}, "I": {"s_uv": 0}}, qrs_ms=130)
    assert "first-degree-av-block" in names({}, pr_ms=210) and "first-degree-av-block" not in names(
        {}, pr_ms=195
    )
    assert "pre-excitation" not in names({}, pr_ms=100, qrs_ms=125)  # the synthetic QRS begins steeply
    assert "left-axis" in names({}, axis_deg=-40) and "extreme-axis" in names({}, axis_deg=-120)


def test_unmeasurable_records_say_so_and_nothing_about_the_heart() -> None:
    rng = np.random.default_rng(2)
    noise = twelve.of_rows(rng.normal(0, 300, (12, 5000)).astype(np.int16), 500)
    found = stated(noise)
    assert "not-measurable" in found and found["not-measurable"].reason
    shown = {CRITERIA[name].group for name in found}
    assert shown <= {"technical", "rate", "rhythm"} and "sinus-rhythm" not in found
    assert stated(twelve.of_rows(twelve.rows_of(twelve.heart())[:, :1000], 500)).keys() == {"not-measurable"}


def test_each_statement_and_pack_is_in_the_document_with_its_limits() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ecg-measurements.md").read_text(encoding="utf-8")
    lines = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    for row in CRITERIA.values():
        line = lines[row.name]
        assert f"v{row.version} |" in line and row.criterion in line and row.priority in line
        assert all(f"{name} {t.value:g} {t.unit}" in line for name, t in row.thresholds.items()), row.name
    assert all(pack.note in lines[pack.name] for pack in PACKS.values())


def test_packs_name_known_facts_and_both_languages() -> None:
    used = {c.fact for p in PACKS.values() for row in p.rows for group in row.any_of for c in group}
    assert used <= set(FACTS)
    for pack in PACKS.values():
        assert pack.source and (pack.complete or pack.note)
        assert len({(row.name, row.setting) for row in pack.rows}) == len(pack.rows)
        for row in pack.rows:
            assert set(row.words) == {"zh-CN", "en"} and row.any_of
            assert all(c.relation in OPERATORS for group in row.any_of for c in group)


def test_an_unknown_fact_is_never_an_all_clear() -> None:
    for pack in PACKS.values():
        for setting in ("routine", "holter"):
            assert {outcome for _, outcome in assess(pack, setting, {})} <= {"not assessable"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pack", "row", "facts", "outcome"),
    [
        ("zhejiang-trial", "slow", {"rate_bpm": 35.0}, "not met"),
        ("zhejiang-revised", "slow", {"rate_bpm": 35.0}, "met"),
        ("zhejiang-trial", "fast-af", {"af_rate_bpm": 185.0}, "met"),
        ("zhejiang-revised", "fast-atrial", {"af_rate_bpm": 185.0, "svt_rate_bpm": 0.0}, "not met"),
        ("zhejiang-trial", "av-block", {"third_degree_av_block": True, "first_seen": False, "rate_bpm": 38.0}, "met"),
        ("zhejiang-revised", "av-block", {"third_degree_av_block": True}, "not assessable"),
        ("zhejiang-revised", "long-qt", {"qtc_s": 0.56}, "not assessable"),
        ("zhejiang-revised", "long-qt", {"qtc_s": 0.48}, "not met"),
        ("zhejiang-trial", "infarction", {"acute_pattern": True, "first_seen": True, "st_elevation_v1_v3_uv": 300.0,
         "st_elevation_limb_v4_v6_uv": 0.0, "after_old_infarction_with_pain": False}, "not met"),
        ("shanxi-trial", "infarction", {"acute_pattern": True, "first_seen": True, "st_elevation_v1_v3_uv": 300.0},
         "met"),
    ],
)  # fmt: skip
def test_packs_differ_where_the_lists_differ(
    pack: str, row: str, facts: dict[str, float], outcome: str
) -> None:
    outcomes = {r.name: o for r, o in assess(PACKS[pack], "routine", facts)}
    assert outcomes[row] == outcome


def test_facts_come_from_measurements_and_leave_out_what_is_withheld() -> None:
    record = twelve.heart(rate_bpm=60.0)
    analysis = analyse(record)
    facts = critical_facts(measure(record, analysis), analysis)
    assert set(facts) <= set(critical_values.FACTS) and facts["rate_bpm"] == pytest.approx(60, abs=1.5)
    behind = replace(record, filters={"high_pass_hz": 0.5})
    assert not {"st_elevation_v1_v3_uv"} & set(critical_facts(measure(behind, analysis), analysis))
