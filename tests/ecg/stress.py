"""Records with recorded noise added, as WFDB's `nst` does for the MIT-BIH Noise Stress Test (Moody et al. 1984)."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ecg import score
from ecg.record import Lead, Record

CLEAN_S, TURN_S = 300, 120  # noise from the sixth minute on, two minutes on and two off
MEASURED = 300  # beats, and seconds of noise, from which amplitudes are measured
TRIMMED = 0.05  # of either end
QRS_REACH_S = 0.05


def noisy(
    record: Record, reference: score.Beats, noise: Record, snr_db: float
) -> tuple[Record, NDArray[np.bool_]]:
    """The record with each lead's noise at this ratio, and where [sample] it was added.

    Signal power is an eighth of the squared mean peak-to-peak QRS amplitude of normal beats, noise power the squared
    mean RMS of seconds without their means, both trimmed.
    """
    count = len(record.leads[0].samples)
    fs_hz = record.leads[0].fs_hz
    at_s = np.arange(count) / fs_hz
    on = (at_s >= CLEAN_S) & ((at_s - CLEAN_S) // TURN_S % 2 == 0)
    normal = reference.sample[np.array(list(reference.kind)) == "N"][:MEASURED]
    pairs = zip(record.leads, noise.leads, strict=True)
    return replace(record, leads=tuple(_added(*pair, normal, on, snr_db) for pair in pairs)), on


def _added(lead: Lead, noise: Lead, beats: NDArray[np.int64], on: NDArray[np.bool_], snr_db: float) -> Lead:
    signal_uv = lead.samples.astype(float) * lead.uv_per_lsb
    noise_uv = noise.samples.astype(float) * noise.uv_per_lsb
    gain = np.sqrt(_qrs_uv(signal_uv, beats, lead.fs_hz) ** 2 / 8 / 10 ** (snr_db / 10)) / _rms_uv(
        noise_uv, noise.fs_hz
    )
    mixed_uv = signal_uv + gain * np.resize(noise_uv, len(signal_uv)) * on
    mixed = np.clip(np.rint(mixed_uv / lead.uv_per_lsb), -32_000, 32_000).astype(np.int16)
    return replace(lead, samples=mixed, missing=None)


def _qrs_uv(signal_uv: NDArray[np.float64], beats: NDArray[np.int64], fs_hz: float) -> float:
    reach = round(QRS_REACH_S * fs_hz)
    return _trimmed_mean([np.ptp(signal_uv[at - reach : at + reach]) for at in beats if at > reach])


def _rms_uv(noise_uv: NDArray[np.float64], fs_hz: float) -> float:
    seconds = noise_uv[: MEASURED * round(fs_hz)].reshape(MEASURED, -1)
    return _trimmed_mean(list(seconds.std(axis=1)))


def _trimmed_mean(values: list[float]) -> float:
    ordered = np.sort(values)
    cut = int(len(ordered) * TRIMMED)
    return float(ordered[cut : len(ordered) - cut].mean())
