"""Measured numbers: laws, and the reasons for which a number is withheld."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.holter import analyse
from ecg.record import Lead, Record
from ecg.synthetic import Segment, Synthesiser
from ecg.twelve_lead.measurements import NAMES, measure, qrs_limits_s
from ecg.twelve_lead.signals import STANDARD
from ecg.twelve_lead.statements import from_measurements
from tests.ecg import twelve_leads as twelve

INTERVALS = ("p_ms", "pr_ms", "qrs_ms", "qt_ms")


def test_a_synthetic_heart_is_measured_with_units_leads_and_quality() -> None:
    m = twelve.measured(twelve.heart(rate_bpm=60.0))
    assert {name: v.reason for name, v in m.values.items() if v.value is None} == {}
    assert abs((m.number("rate_bpm") or 0) - 60) < 1.5
    assert 150 <= (m.number("pr_ms") or 0) <= 180 and 75 <= (m.number("qrs_ms") or 0) <= 120
    # the dipole points 800 uV left and 950 uV down; Q and S turn the net area a little
    assert 40 <= (m.number("axis_deg") or 0) <= 60
    assert 900 <= (m.number("r_uv", "II") or 0) <= 1300
    assert all(v.leads and v.quality == "good" for v in m.values.values())
    assert set(m.by_lead) == set(STANDARD)


@pytest.mark.parametrize("rate_bpm", [50.0, 75.0, 110.0])
def test_corrected_qt_follows_its_formulas(rate_bpm: float) -> None:
    m = twelve.measured(twelve.heart(rate_bpm=rate_bpm))
    qt_ms, rr_s = m.number("qt_ms"), m.delineation.beat.rr_s if m.delineation else np.nan
    assert qt_ms is not None
    assert m.number("qtc_bazett_ms") == round(qt_ms / rr_s**0.5)
    assert m.number("qtc_fridericia_ms") == round(qt_ms / rr_s ** (1 / 3))


def test_size_scales_voltages_and_leaves_times_and_axes() -> None:
    record = twelve.heart()
    larger = replace(
        record, leads=tuple(replace(lead, uv_per_lsb=2 * lead.uv_per_lsb) for lead in record.leads)
    )
    one, two = twelve.measured(record), twelve.measured(larger)
    for name in (*INTERVALS, "axis_deg", "t_axis_deg"):
        assert abs((one.number(name) or 0) - (two.number(name) or 0)) <= 4, name
    for lead in ("II", "V2", "V5"):
        assert (two.number("r_uv", lead) or 0) == pytest.approx(2 * (one.number("r_uv", lead) or 0), rel=0.03)
    assert two.number("sokolow_lyon_uv") == pytest.approx(2 * (one.number("sokolow_lyon_uv") or 0), rel=0.03)


def test_inverted_limb_leads_turn_the_axis_round() -> None:
    one, two = (
        twelve.measured(r).number("axis_deg") for r in (twelve.heart(), twelve.limb_inverted(twelve.heart()))
    )
    assert one is not None and two is not None
    assert abs((two - one) % 360 - 180) <= 3


def test_limb_leads_that_follow_from_i_and_ii_are_derived() -> None:
    record = twelve.heart()
    fewer = replace(
        record,
        leads=tuple(lead for lead in record.leads if lead.code[-3:] not in ("III", "AVR", "AVL", "AVF")),
    )
    assert len(fewer.leads) == 8
    whole, part = twelve.measured(record), twelve.measured(fewer)
    assert set(part.by_lead) == set(STANDARD)
    assert abs((whole.number("axis_deg") or 0) - (part.number("axis_deg") or 0)) <= 1
    assert (part.number("r_uv", "aVF") or 0) == pytest.approx(whole.number("r_uv", "aVF") or 0, rel=0.02)


def test_contradicting_limb_leads_withhold_the_axis_not_the_intervals() -> None:
    m = twelve.measured(twelve.changed(twelve.heart(), {"I": 2.0}))
    for name in ("axis_deg", "t_axis_deg", "cornell_uv"):
        assert m.number(name) is None and "Einthoven" in m.values[name].reason
    assert all(m.number(name) is not None for name in (*INTERVALS, "sokolow_lyon_uv"))


@pytest.mark.parametrize(
    ("filters", "quality"),
    [
        ({"high_pass_hz": 0.05}, "good"), ({"high_pass_hz": 0.5}, "withheld"), ({"high_pass_hz": 0.67}, "withheld"),
        ({"high_pass_hz": 0.67, "high_pass_linear_phase": 1.0}, "good"),
        ({"high_pass_hz": 1.0, "high_pass_linear_phase": 1.0}, "withheld"), (None, "unverified"),
    ],
)  # fmt: skip
def test_st_is_withheld_behind_a_high_pass_that_bends_it(
    filters: dict[str, float] | None, quality: str
) -> None:
    m = twelve.measured(replace(twelve.heart(), filters=filters))
    for name in ("st_j_uv", "st_j60_uv", "st_j80_uv"):
        value = m.by_lead["V5"][name]
        assert value.quality == quality
        assert (value.value is None) == (quality == "withheld") and bool(value.reason) == (quality != "good")
    assert m.number("qt_ms") is not None


def test_raised_st_is_measured_where_it_is_raised() -> None:
    plain, raised = twelve.heart(), twelve.added_after_qrs(twelve.heart(), {"V2": 300, "V3": 300})
    one, two = twelve.measured(plain), twelve.measured(raised)
    for lead in ("V2", "V3"):
        assert 200 <= (two.number("st_j60_uv", lead) or 0) - (one.number("st_j60_uv", lead) or 0) <= 330
    assert abs((two.number("st_j60_uv", "V6") or 0) - (one.number("st_j60_uv", "V6") or 0)) < 30


@pytest.mark.parametrize("spoil", ["flat", "noise", "short", "very short", "one lead", "gone"])
def test_what_cannot_be_measured_has_a_reason_and_no_number(spoil: str) -> None:
    record, rng = twelve.heart(), np.random.default_rng(3)
    rows = twelve.rows_of(record)
    gone = np.full(5000, -32768, np.int16)
    spoilt = {
        "flat": twelve.of_rows(np.full_like(rows, 7), 500),
        "noise": twelve.of_rows(rng.normal(0, 300, rows.shape).astype(np.int16), 500),
        "short": twelve.of_rows(rows[:, :1000], 500),
        "very short": twelve.of_rows(rows[:, :20], 500),
        "one lead": Record((replace(record.leads[0], samples=rows[0][:900]),)),
        "gone": replace(record, leads=tuple(replace(lead, samples=gone, missing=-32768) for lead in record.leads)),
    }[spoil]  # fmt: skip
    m = twelve.measured(spoilt)
    assert set(m.values) == set(NAMES)
    for name in (*INTERVALS, "qtc_bazett_ms", "axis_deg", "sokolow_lyon_uv"):
        assert m.values[name].value is None and m.values[name].reason and m.values[name].quality == "withheld"


def test_few_leads_are_measured_without_an_axis() -> None:
    record = twelve.heart()
    names = dict(zip(STANDARD, record.leads, strict=True))
    m = twelve.measured(replace(record, leads=(names["II"], names["V1"], names["V5"])))
    assert m.number("qrs_ms") is not None and m.number("axis_deg") is None and m.number("cornell_uv") is None


def test_of_a_long_record_the_clearest_ten_seconds_are_measured() -> None:
    record = twelve.heart(length_s=90, rate_bpm=65.0)
    rows, rng = twelve.rows_of(record), np.random.default_rng(5)
    rows[:, : 40 * 500] += rng.normal(0, 250, (12, 40 * 500)).astype(np.int16)
    spoilt = twelve.of_rows(rows, 500)
    m = measure(spoilt, analyse(spoilt))
    assert m.stretch[0] >= 40 * 500 and m.stretch[1] - m.stretch[0] == 5000
    assert abs((m.number("pr_ms") or 0) - (twelve.measured(twelve.heart()).number("pr_ms") or 0)) < 12


def test_limits_of_qrs_enclose_the_analysis_own_r() -> None:
    record = twelve.heart()
    analysis = analyse(record)
    on_s, off_s = qrs_limits_s(measure(record, analysis), analysis)
    assert -0.08 < on_s < 0 < off_s < 0.1


@pytest.mark.parametrize("seed", range(24))
def test_any_recording_gets_an_answer(seed: int) -> None:
    """Rates, lengths, leads, holes, rails and rhythms at random: numbers are finite, or withheld with a reason."""
    rng = np.random.default_rng(seed)
    fs_hz = int(rng.choice([50, 128, 250, 500, 1000]))
    length = int(fs_hz * rng.choice([0.1, 2, 4, 10]))
    codes = list(rng.choice(twelve.CODES, int(rng.integers(1, 13)), replace=False))
    segment = Segment(
        str(rng.choice(["sinus", "af", "pvc", "vt", "vf"])), 11.0, float(rng.uniform(25, 210)), 0.0, 30.0
    )
    rows = Synthesiser(seed, fs_hz, codes, (segment,)).samples(0, length)
    hole = int(rng.integers(0, length))
    rows[rng.integers(0, len(codes)), hole : hole + fs_hz // 2] = -32768
    rows[rng.integers(0, len(codes)), ::7] = 32767 if seed % 3 == 0 else 0
    leads = (Lead(code, float(fs_hz), 5.0, 0, row, -32768) for code, row in zip(codes, rows, strict=True))
    gap = ((length // 2, length // 2 + length // 10),) if seed % 4 == 0 else ()
    record = Record(tuple(leads), gaps=gap)
    analysis = analyse(record)
    m = measure(record, analysis)
    for value in [*m.values.values(), *(v for table in m.by_lead.values() for v in table.values())]:
        assert (value.value is None) == (value.quality == "withheld")
        assert value.reason if value.value is None else np.isfinite(value.value)
    assert all(np.isfinite(list(s.numbers.values())).all() for s in from_measurements(m, analysis))
