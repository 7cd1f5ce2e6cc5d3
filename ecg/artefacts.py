"""False detections told from beats afterwards: a second look at what the stream took for a beat in noise.

A summit of muscle noise is unlike the patient's beats, unlike its own neighbours, early or crowding the next beat, and
stands where the signal between beats is ragged too. A logistic judgement weighs that; its weights are plain numbers
(`ecg/models/artefacts.json`, trained by `tools/train_artefacts.py`, described in `docs/models/artefacts.md`).
What resembles a neighbour is always kept: a run of ventricular beats is no noise.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from ecg.beat_features import Real
from ecg.beat_shapes import QRS, TINY, Bool, Shapes

QUIET = (slice(4, 28), slice(70, 96))  # of a beat cut out: 312 to 125 ms before it, 203 to 406 ms after it
FLOOR = 1e-3  # of the QRS size: less noise than any recorder has
CLEAN_BELOW = 0.005  # noise over QRS size: here nothing is thrown away
NOISY_ABOVE = 0.03  # here a doubtful summit is more often noise than a beat
ALIKE_FROM = 0.6  # correlation with a neighbour
DOUBT_CLEAN, DOUBT_NOISY = -1.0, 0.5  # log odds of being a beat below which a summit is none
MODEL = Path(__file__).parent / "models" / "artefacts.json"


@cache
def weights() -> Mapping[str, float]:
    """Of each input, and `one` for the constant."""
    told: dict[str, float] = json.loads(MODEL.read_text(encoding="ascii"))
    return told


def noise(s: Shapes) -> dict[str, Real]:
    """Mean second difference between beats over the usual QRS size: on the cleanest lead, and the mean of leads."""
    ragged = np.minimum(*(np.abs(np.diff(s.cut[..., part], 2, axis=-1)).mean(axis=-1) for part in QUIET))
    size = np.median(np.ptp(s.cut[..., QRS], axis=-1), axis=1, keepdims=True)
    ratio = (ragged / np.maximum(size, TINY)).astype(np.float64)
    mean = (ratio * s.usable).sum(axis=0) / s.usable.sum(axis=0)
    return {"noise_least": np.where(s.usable > 0, ratio, np.inf).min(axis=0), "noise_mean": mean}


def inputs(rows: Mapping[str, Real]) -> dict[str, Real]:
    """What is weighed, from the numbers of `ecg.beat_features` and `noise`; all [k]."""
    unlike, alone = 1 - rows["likeness"], 1 - np.maximum(rows["like_before"], rows["like_after"])
    early, crowding, crowded = (np.maximum(0.0, -rows[name]) for name in ("rr_before", "rr_after", "rr_pair"))
    least, mean = np.log(rows["noise_least"] + FLOOR), np.log(rows["noise_mean"] + FLOOR)
    small, tall = np.maximum(0.0, -rows["height"]), np.maximum(0.0, rows["height"])
    near = 1 - rows["likeness_near"]
    return {
        "one": np.ones(len(unlike)),
        "unlike": unlike, "unlike_most": 1 - rows["likeness_most"],
        "difference": rows["unlike_qrs"], "alone": alone, "near": near,
        "early": early, "crowding": crowding, "crowded": crowded, "small": small, "tall": tall,
        "wide": np.maximum(0.0, rows["width"]), "narrow": np.maximum(0.0, -rows["width"]),
        "noise_least": least, "noise_mean": mean,
        "unlike_early": unlike * early, "unlike_crowding": unlike * crowding, "early_crowding": early * crowding,
        "unlike_noise": unlike * least, "early_noise": early * least, "crowding_noise": crowding * least,
        "crowded_noise": crowded * least, "small_noise": small * least,
        "unlike_near": unlike * near, "early_near": early * near,
    }  # fmt: skip


def artefacts(rows: Mapping[str, Real], weighed: Mapping[str, float] | None = None) -> Bool:
    """Which summits are none of the heart's; by the shipped weights, or those that are being tried."""
    given, log_odds = inputs(rows), np.zeros(len(rows["likeness"]))  # of being a beat
    for name, weight in (weighed or weights()).items():
        log_odds += weight * given[name]
    least = np.where(rows["noise_mean"] > NOISY_ABOVE, DOUBT_NOISY, DOUBT_CLEAN)
    alike = np.maximum(rows["like_before"], rows["like_after"])
    out: Bool = (log_odds < least) & (rows["noise_least"] > CLEAN_BELOW) & (alike < ALIKE_FROM)
    return out
