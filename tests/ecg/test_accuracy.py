"""Ratchets: a commit may raise the floors of `floors.json`, never lower them silently (EC57 rules)."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg import score
from ecg.analysis import QUALITY_BLOCK_S
from ecg.annotate import annotate_records
from ecg.formats import wfdb
from ecg.fusion import UNREADABLE
from ecg.holter import analyse
from ecg.synthetic import DAY, Segment, Synthesiser
from tests.ecg.stress import noisy
from tests.ecg.strips import LEADS, feed

FLOORS: dict[str, dict[str, float]] = json.loads((Path(__file__).parent / "floors.json").read_text())
HARD_RECORDS = ("116", "203", "208", "223")  # most of DS1's errors and of its V beats


def shortfall(rates: dict[str, Any], floors: dict[str, float]) -> dict[str, tuple[float | None, float]]:
    return {k: (rates[k], floor) for k, floor in floors.items() if rates[k] is None or rates[k] < floor}


def test_synthetic_day_keeps_its_floor() -> None:
    rows = []
    for seed, noise_uv in ((1, 8.0), (2, 25.0), (3, 40.0)):
        script = tuple(Segment(s.rhythm, s.length_s, s.rate_bpm, s.pause_s, noise_uv) for s in DAY)
        heart, count = Synthesiser(seed, 250, LEADS, script), 720 * 250
        at, kinds = heart.beats(0, count)
        (answer,) = feed(heart.samples(0, count)[None])
        called = score.Beats(np.array(answer.beats), answer.kinds.decode())
        counts = score.score(score.Beats(at, kinds), called, 250)
        rows.append({**counts, **score.rates(counts)})
    gross = score.totals(rows)["gross"]
    assert gross["qrs_tp"] > 1500 and gross["veb_tp"] > 20
    assert shortfall(gross, FLOORS["synthetic"]) == {}


def test_hard_reference_records_keep_their_floor(mitdb: Path, tmp_path: Path) -> None:
    annotate_records([mitdb / name for name in HARD_RECORDS], tmp_path)
    for name in HARD_RECORDS:
        for suffix in ("atr", "hea"):
            shutil.copy(mitdb / f"{name}.{suffix}", tmp_path)
    assert shortfall(score.score_folder(tmp_path)["gross"], FLOORS["ds1_subset"]) == {}


def test_muscle_noise_keeps_its_floor(mitdb: Path) -> None:
    """At 6 dB; beats in ten seconds that no lead can be read in count as missed."""
    reference = score.read(mitdb / "119", "atr")
    record, _ = noisy(wfdb.read(mitdb / "119"), reference, wfdb.read(mitdb.parent / "nstdb" / "ma"), 6.0)
    found = analyse(record)
    is_read = found.quality[found.sample // (QUALITY_BLOCK_S * 360)].min(axis=1) < UNREADABLE
    called = score.Beats(found.sample[is_read], "N" * int(is_read.sum()))
    rates = score.rates(score.score(reference, called, 360))
    assert shortfall(rates, FLOORS["119_ma_6_db"]) == {}


@pytest.mark.parametrize(
    ("reference", "test", "expected"),
    [
        ([1000], [1054], (1, 0, 0)),
        ([1000], [1055], (0, 1, 1)),
        ([1000, 1100], [1060], (1, 1, 0)),
        ([1000], [950, 1010], (1, 0, 1)),
        ([], [1000], (0, 0, 1)),
    ],
)
def test_beats_are_paired_once_and_within_150_ms(
    reference: list[int], test: list[int], expected: tuple[int, int, int]
) -> None:
    late = 360 * 300

    def beats(samples: list[int]) -> score.Beats:
        return score.Beats(np.array(samples, np.int64) + late, "N" * len(samples))

    counts = score.score(beats(reference), beats(test), 360)
    assert (counts["qrs_tp"], counts["qrs_fn"], counts["qrs_fp"]) == expected


def test_the_first_five_minutes_and_fibrillation_do_not_count() -> None:
    reference = score.from_annotations([100, 109_000, 120_000, 130_000], ["N", "[", "]", "V"])
    called = score.from_annotations([100, 115_000, 130_000, 108_500], ["V", "V", "V", "N"])
    counts = score.score(reference, called, 360)
    assert {key: count for key, count in counts.items() if count} == {"qrs_tp": 1, "qrs_fp": 1, "veb_tp": 1}
