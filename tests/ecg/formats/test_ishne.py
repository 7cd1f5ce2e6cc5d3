"""ISHNE: there and back to the bit, the foreign sample by two independent readers, damage is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ecgdatakit import FileParser
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.formats import ishne
from ecg.formats.invalid import InvalidRecord
from ecg.record import Lead, Record
from tests.ecg.formats.records import assert_same, assert_value_or_error, records

NANOVOLTS = st.integers(1, 32767).map(lambda nanovolts: nanovolts / 1000)
RATES = st.integers(1, 2000).map(float)


@settings(max_examples=60, deadline=None)
@given(records(scales=NANOVOLTS, rates=RATES, offsets=st.integers(-2000, 2000)))
def test_records_come_back_bit_for_bit(own: Record) -> None:
    assert_same(own, ishne.decode(ishne.encode(own)))


def test_an_independent_reader_reads_what_is_written(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).integers(-32768, 32768, (3, 2000)).astype(np.int16)
    leads = tuple(Lead(f"MDC_ECG_LEAD_V{k + 1}", 200.0, 2.5, 0, row) for k, row in enumerate(rows))
    ishne.write(Record(leads, device="Recorder 5"), path := tmp_path / "own.ecg")
    theirs = FileParser().parse(str(path))
    assert [lead.label for lead in theirs.leads] == ["V1", "V2", "V3"]
    for lead, again in zip(leads, theirs.leads, strict=True):
        assert again.sampling_rate == 200 and again.units == "mV"
        assert np.allclose(again.samples * 1000, lead.samples * 2.5)


def test_the_foreign_sample(foreign: Path) -> None:
    path = foreign / "ishne" / "ECG_P28.01.ecg"
    own = ishne.read(path)
    raw = np.frombuffer(path.read_bytes()[522:], "<i2").reshape(-1, 12)
    names = [lead.code.removeprefix("MDC_ECG_LEAD_") for lead in own.leads]
    assert names == ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    assert all((lead.samples == raw[:, k]).all() for k, lead in enumerate(own.leads))
    assert {(lead.fs_hz, lead.uv_per_lsb) for lead in own.leads} == {(1000.0, 5.0)}
    assert own.start_at is not None and own.start_at.isoformat() == "2000-01-01T07:00:00+00:00"
    theirs = FileParser().parse(str(path))
    for lead, again in zip(own.leads, theirs.leads, strict=True):
        assert np.allclose(again.samples * 1000, lead.samples * 5.0)


def test_any_bytes_give_a_value_or_an_error() -> None:
    row = np.arange(3000, dtype=np.int16)
    record = Record(
        tuple(Lead(c, 200.0, 2.5, 3, row) for c in ("MDC_ECG_LEAD_I", "MDC_ECG_LEAD_V4R")), None, ((5, 9),)
    )
    data = ishne.encode(record)

    def without_checksum(wrong: bytes) -> Record:
        if len(wrong) > ishne.FIXED:  # else every change would be found by the checksum alone
            end = ishne.FIXED + max(0, int.from_bytes(wrong[10:14], "little", signed=True))
            wrong = wrong[:8] + ishne.crc(wrong[10:end]).to_bytes(2, "little") + wrong[10:]
        return ishne.decode(wrong)

    assert_value_or_error(ishne.decode, data, ishne.FIXED)
    assert_value_or_error(without_checksum, data, ishne.FIXED + 60)


def test_faults_name_their_place_and_what_does_not_fit_is_refused() -> None:
    lead = Lead("MDC_ECG_LEAD_I", 200.0, 2.5, 0, np.arange(300, dtype=np.int16))
    data = ishne.encode(Record((lead,)))
    for wrong, offset in (
        (b"EDF" + data, 0),
        (data[:-2], 14),
        (data[:200] + b"\x01" + data[201:], 8),
        (data[:9], 8),
    ):
        with pytest.raises(InvalidRecord) as caught:
            ishne.decode(wrong)
        assert caught.value.offset == offset
    for bad in (
        replace(lead, fs_hz=62.5),
        replace(lead, uv_per_lsb=0.00015),
        replace(lead, samples=lead.samples.astype(np.int32)),
    ):
        with pytest.raises(ValueError, match="ISHNE"):
            ishne.encode(Record((bad,)))
