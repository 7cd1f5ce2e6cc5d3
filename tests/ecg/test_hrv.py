"""HRV against intervals whose variability is known, and the cases in which it must be withheld."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ecg import hrv
from ecg.analysis import CLASSES, Analysis, intervals
from ecg.findings import Finding
from ecg.hrv import variability

FS_HZ = 1000
N, V = CLASSES.index("N"), CLASSES.index("V")


def analysed(rr_ms: NDArray[np.float64], fs_hz: int = FS_HZ) -> Analysis:
    """An analysis of sinus beats with these intervals, all of it readable."""
    sample = np.cumsum(np.concatenate([[500.0], rr_ms]) * fs_hz / 1000).astype(np.int64)
    breaks, length = np.zeros(1, np.int64), int(sample[-1]) + fs_hz
    kind = np.full(len(sample), N, np.uint8)
    blocks = np.zeros((-(-length // (10 * fs_hz)), 1), np.uint8)
    seconds = length / fs_hz
    return Analysis(
        "test", 1, fs_hz, ("MDC_ECG_LEAD_II",), length, seconds, seconds, sample, kind,
        intervals(sample, breaks, fs_hz), breaks, blocks, (),
    )  # fmt: skip


def swinging(minutes: float, hz: float, swing_ms: float, mean_ms: float = 800.0) -> NDArray[np.float64]:
    """Intervals that swing by `swing_ms` around their mean at `hz` of real time."""
    rr, at_s = list[float](), 0.0
    while at_s < minutes * 60:
        rr.append(mean_ms + swing_ms * np.sin(2 * np.pi * hz * at_s))
        at_s += rr[-1] / 1000
    return np.array(rr)


def test_a_sine_has_its_known_figures() -> None:
    found = variability(analysed(swinging(30, 0.1, 40.0))).values
    assert found["sdnn_5min_ms"].value == pytest.approx(40 / 2**0.5, rel=0.03)
    assert found["lf_ms2"].value == pytest.approx(40**2 / 2, rel=0.1)
    assert (found["hf_ms2"].value or 0) < 0.05 * (found["lf_ms2"].value or 0)
    assert found["mean_nn_ms"].value == pytest.approx(800, rel=0.01)


@pytest.mark.parametrize(("hz", "band", "other"), [(0.08, "lf_ms2", "hf_ms2"), (0.25, "hf_ms2", "lf_ms2")])
def test_power_falls_into_its_band(hz: float, band: str, other: str) -> None:
    found = variability(analysed(swinging(20, hz, 30.0))).values
    assert (found[band].value or 0) > 10 * (found[other].value or 0)
    ratio = found["lf_hf"].value or 0
    assert (ratio > 10) == (band == "lf_ms2")


def test_successive_differences_have_their_definition() -> None:
    rr = 800.0 + 60.0 * (np.arange(1200) % 2)
    found = variability(analysed(rr)).values
    assert found["rmssd_ms"].value == pytest.approx(60, abs=0.5)
    assert found["pnn50_pct"].value == pytest.approx(100, abs=0.5)
    less = variability(analysed(800.0 + 40.0 * (np.arange(1200) % 2))).values
    assert less["pnn50_pct"].value == 0.0


def test_ectopic_beats_and_missed_ones_do_not_count() -> None:
    rng = np.random.default_rng(1)
    rr = 800.0 + 25.0 * rng.standard_normal(2400)
    clean = variability(analysed(rr)).values
    odd = rr.copy()
    odd[200::150] *= 0.6
    odd[201::150] *= 1.4
    a = analysed(odd)
    kind = a.kind.copy()
    kind[201::150] = V  # interval k ends at beat k + 1
    missed = np.arange(350, 2300, 200)
    spoilt = replace(a, kind=np.delete(kind, missed), sample=np.delete(a.sample, missed))
    spoilt = replace(spoilt, rr_s=intervals(spoilt.sample, spoilt.breaks, FS_HZ))
    found = variability(spoilt)
    assert 0.9 < found.nn_share < 1.0
    for name in ("sdnn_5min_ms", "rmssd_ms"):
        assert found.values[name].value == pytest.approx(clean[name].value, rel=0.08), name


def test_a_day_needs_eighteen_hours() -> None:
    rng, day = np.random.default_rng(2), {}
    for hours in (17, 20):
        slow = 850 + 60 * np.sin(np.linspace(0, 8, int(hours * 3600 / 0.85)))
        day[hours] = variability(analysed(slow + 15 * rng.standard_normal(len(slow)), 200)).values
    for name in hrv.DAY:
        assert day[17][name].value is None and "18 are needed" in day[17][name].reason
    sdann, sdnn = day[20]["sdann_24h_ms"].value, day[20]["sdnn_24h_ms"].value
    assert sdann is not None and sdnn is not None
    assert sdann == pytest.approx(60 / 2**0.5, rel=0.12) and sdnn > sdann
    assert day[17]["rmssd_ms"].value is not None


def _fibrillating(a: Analysis, share: float) -> Analysis:
    finding = Finding("atrial-fibrillation", 1, 0, int(share * a.length), "offset", None, (), {}, "good")
    return replace(a, findings=(finding,))


def test_fibrillation_pacing_ectopy_and_shortness_withhold_with_their_reason() -> None:
    a = analysed(swinging(30, 0.1, 30.0))
    bigeminy = replace(a, kind=np.where(np.arange(len(a.kind)) % 3 == 0, V, N).astype(np.uint8))
    cases = {
        "fibrillation": variability(_fibrillating(a, 0.4)),
        "paced": variability(a, paced=True),
        "are NN": variability(bigeminy),
        "5 min": variability(analysed(swinging(3, 0.1, 30.0))),
    }
    for reason, found in cases.items():
        assert set(found.values) == {*hrv.SHORT, *hrv.DAY}
        assert all(v.value is None and v.quality == "withheld" and v.reason for v in found.values.values()), (
            reason
        )
    assert "fibrillation" in cases["fibrillation"].values["rmssd_ms"].reason
    assert "paced" in cases["paced"].values["lf_hf"].reason
    assert variability(_fibrillating(a, 0.02)).values["rmssd_ms"].value is not None


def test_nothing_at_all_is_answered() -> None:
    empty = replace(
        analysed(np.array([800.0])),
        sample=np.zeros(0, np.int64),
        kind=np.zeros(0, np.uint8),
        rr_s=np.zeros(0, np.float32),
    )
    assert all(v.reason for v in variability(empty).values.values())
