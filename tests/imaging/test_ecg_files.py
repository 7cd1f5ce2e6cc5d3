"""Recordings in files: any format by its bytes, DICOM too; what is none says where and how to mend it."""

from pathlib import Path

import numpy as np
import pytest

from dicom import waveform
from ecg import formats
from ecg.record import Lead, Record
from ecg.synthetic import DAY, Synthesiser
from hub.core import errors
from hub.imaging.intake.ecg_files import read_record
from tests import world

FS_HZ, LEADS = 250, ("MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1")
SAMPLES = Synthesiser(1, FS_HZ, LEADS, DAY).samples(0, 20 * FS_HZ)
RECORD = Record(
    tuple(Lead(code, FS_HZ, 5.0, 0, row.astype(np.int16)) for code, row in zip(LEADS, SAMPLES, strict=True))
)


@pytest.mark.parametrize("suffix", ["", ".edf", ".ecg", ".csv"])
def test_a_file_is_read_whatever_its_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"record{suffix}"
    formats.write(RECORD, path)
    same_samples(read_record(path))


def test_a_dicom_waveform_is_read_whatever_its_name(tmp_path: Path) -> None:
    channels = tuple(
        waveform.Channel(lead.code, lead.fs_hz, lead.uv_per_lsb, 0, lead.samples) for lead in RECORD.leads
    )
    path = tmp_path / "IM0001"
    path.write_bytes(
        waveform.encode(waveform.Waveform(channels, world.AT), waveform.Identity("1.2.3", "1.2.4", "1.2.5"))
    )
    same_samples(read_record(path))


def same_samples(read: Record) -> None:
    assert tuple(lead.code for lead in read.leads) == LEADS
    for lead, own in zip(read.leads, RECORD.leads, strict=True):
        assert np.array_equal((lead.samples.astype(int) - lead.offset) * lead.uv_per_lsb, own.samples * 5.0)


@pytest.mark.parametrize("content", [b"", b"\x00" * 200 + b"no ECG", b"\x00" * 128 + b"DICM" + b"\xff" * 60])
def test_what_is_no_recording_is_an_error_with_its_cause(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(errors.BadInput) as caught:
        read_record(path)
    assert caught.value.code == "ecg_unreadable" and caught.value.detail["cause"]
