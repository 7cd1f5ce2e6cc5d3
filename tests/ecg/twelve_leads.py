"""Ten seconds of a synthetic heart on twelve leads, and what may happen to them on the way."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ecg.holter import analyse
from ecg.record import SHORT_TO_MDC, Lead, Record
from ecg.synthetic import Segment, Synthesiser
from ecg.twelve_lead.measurements import Measurements, measure
from ecg.twelve_lead.signals import FROM_I_II, LIMB, STANDARD

UV_PER_LSB = 2.5
CODES = tuple(SHORT_TO_MDC[name] for name in STANDARD)
QUIET = {"noise_uv": 6.0, "wander_uv": 60.0}


@cache
def heart(
    rhythm: str = "sinus", rate_bpm: float = 70.0, fs_hz: int = 500, length_s: int = 10, seed: int = 1
) -> Record:
    """A record whose limb leads agree with Einthoven exactly."""
    segment = Segment(rhythm, float(length_s), rate_bpm, noise_uv=6.0)
    rows = Synthesiser(seed, fs_hz, CODES, (segment,), UV_PER_LSB).samples(0, length_s * fs_hz).astype(float)
    one, two = rows[0], rows[1]
    for name, (of_one, of_two) in FROM_I_II.items():
        rows[STANDARD.index(name)] = of_one * one + of_two * two
    return of_rows(np.rint(rows).astype(np.int16), fs_hz)


def of_rows(rows: NDArray[np.int16], fs_hz: float) -> Record:
    return Record(
        tuple(Lead(code, fs_hz, UV_PER_LSB, 0, row) for code, row in zip(CODES, rows, strict=True)),
        filters={"high_pass_hz": 0.05},
    )


def rows_of(record: Record) -> NDArray[np.int16]:
    return np.stack([lead.samples for lead in record.leads]).astype(np.int16)


def changed(record: Record, shares: Mapping[str, float]) -> Record:
    """Named leads times a factor."""
    names = dict(zip(STANDARD, record.leads, strict=True))
    new = {
        n: replace(lead, samples=(lead.samples * shares.get(n, 1.0)).astype(np.int16))
        for n, lead in names.items()
    }
    return replace(record, leads=tuple(new.values()))


def limb_inverted(record: Record) -> Record:
    return changed(record, dict.fromkeys(LIMB, -1.0))


def measured(record: Record) -> Measurements:
    return measure(record, analyse(record))


def added_after_qrs(record: Record, uv: Mapping[str, float], length_s: float = 0.2) -> Record:
    """A plateau of `uv` from 45 ms after each R on named leads, falling off linearly: ST elevation."""
    fs_hz, rows = record.leads[0].fs_hz, rows_of(record)
    rise, long = round(0.03 * fs_hz), round(length_s * fs_hz)
    shape = np.concatenate([np.linspace(0, 1, rise), np.linspace(1, 0.6, long), np.linspace(0.6, 0, rise)])
    for name, height in uv.items():
        row = rows[STANDARD.index(name)]
        for at in analyse(record).sample.tolist():
            a = at + round(0.025 * fs_hz)
            part = row[a : a + len(shape)]
            part += np.rint(height / UV_PER_LSB * shape[: len(part)]).astype(np.int16)
    return of_rows(rows, fs_hz)
