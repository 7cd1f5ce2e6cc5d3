"""DICOM ECG: there and back to the bit in every storage class, the usual parser agrees, damage is named."""

import os
import warnings
from dataclasses import fields, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from dicom import InvalidInstance
from dicom.waveform import Channel, Identity, Waveform, decode, encode, reading, storage_class
from dicom.waveform.values import SOURCES
from ecg.formats.lead_names import BY_NUMBER
from ecg.record import Lead, Record
from tests.ecg.formats.records import assert_same, assert_value_or_error, records

IDENTITY = Identity(
    "1.2.826.0.1.3680043.9.7.1", "1.2.826.0.1.3680043.9.7.2", "1.2.826.0.1.3680043.9.7.3", "P1"
)
AT = datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)
SCALES = st.floats(0.01, 20).map(lambda v: round(v, 4))
SHARED = Path(__file__).parents[2] / os.environ.get("TELEHUB_DATA", "../shared/data")
EXTREMES = pytest.mark.parametrize(("dtype", "limit"), [(np.int16, 32767), (np.int32, 2**31 - 1)])


def waveform(own: Record) -> Waveform:
    return Waveform(
        tuple(Channel(**vars(lead)) for lead in own.leads),
        own.start_at or AT,
        own.gaps,
        own.filters,
        own.device,
    )


def record(own: Waveform) -> Record:
    """A waveform is a record by another name: what the hub does with it."""
    return Record(
        tuple(Lead(**vars(channel)) for channel in own.channels),
        own.start_at,
        own.gaps,
        own.filters,
        own.device,
    )


def test_a_channel_is_a_lead_and_the_tables_agree() -> None:
    assert [f.name for f in fields(Channel)] == [f.name for f in fields(Lead)]
    assert SOURCES == BY_NUMBER


@EXTREMES
def test_records_come_back_bit_for_bit(dtype: type, limit: int) -> None:
    rates = st.sampled_from([200.0, 250.0, 500.0, 1000.0, 62.5])

    @settings(max_examples=25, deadline=None, database=None)
    @given(records(scales=SCALES, rates=rates, dtype=dtype, limit=limit, offsets=st.integers(-2000, 2000)))
    def there_and_back(own: Record) -> None:
        own = replace(own, start_at=own.start_at or AT)
        assert_same(own, record(decode(encode(waveform(own), IDENTITY))), rel=1e-12)

    there_and_back()


def holter(leads: int, fs_hz: float, length: int, dtype: type = np.int16) -> Waveform:
    row = (np.arange(length) % 2000 - 1000).astype(dtype)
    codes = [SOURCES[k + 1] for k in range(leads)]
    return Waveform(tuple(Channel(code, fs_hz, 2.5, 0, row) for code in codes), AT)


@pytest.mark.parametrize(
    ("own", "name"),
    [
        (holter(8, 500, 5000), "12-lead ECG Waveform Storage"),
        (holter(8, 500, 20_000), "General ECG Waveform Storage"),
        (holter(12, 500, 5000), "General ECG Waveform Storage"),  # V7 and right-sided leads
        (holter(3, 125, 5000), "Ambulatory ECG Waveform Storage"),
        (holter(3, 250, 250 * 600), "Ambulatory ECG Waveform Storage"),
        (holter(8, 2000, 5000, np.int32), "General 32-bit ECG Waveform Storage"),
    ],
)
def test_each_storage_class_is_written_and_read_by_the_usual_parser(own: Waveform, name: str) -> None:
    theirs = pydicom.dcmread(BytesIO(encode(own, IDENTITY)))
    assert theirs.SOPClassUID.name == name and theirs.SOPInstanceUID == IDENTITY.SOPInstanceUID
    physical = theirs.waveform_array(0)
    for k, channel in enumerate(own.channels):
        assert np.allclose(physical[:, k], channel.samples * 2.5)
    assert theirs.AcquisitionDateTime == "20260304050607.250000+0000"


def test_what_no_class_holds_is_refused() -> None:
    for own in (holter(30, 20, 100), Waveform((), AT), holter(3, 500, 0)):
        with pytest.raises(ValueError, match=r"classes|without"):
            storage_class(own)
    with pytest.raises(ValueError, match="acquired"):
        encode(replace(holter(3, 500, 100), start_at=None), IDENTITY)


def test_groups_one_after_another_share_one_axis() -> None:
    """A 12-lead page of columns: groups of 2.5 s with a time offset, one of them after a pause."""
    dataset = pydicom.dcmread(BytesIO(encode(holter(3, 500, 1250), IDENTITY)))
    first, second = (
        dataset.WaveformSequence[0],
        pydicom.dcmread(BytesIO(encode(holter(3, 500, 1250), IDENTITY))),
    )
    later = second.WaveformSequence[0]
    later.MultiplexGroupTimeOffset = "3000"
    dataset.WaveformSequence = [first, later]
    stream = BytesIO()
    dataset.save_as(stream)
    own = decode(stream.getvalue())
    assert own.gaps == ((1250, 1500),) and len(own.channels) == 6
    assert {len(channel.samples) for channel in own.channels} == {2750}
    early, late = own.channels[0], own.channels[3]
    assert (early.samples[1250:] == early.missing).all() and (late.samples[:1500] == late.missing).all()
    assert (early.samples[:1250] == late.samples[1500:]).all()
    later.MultiplexGroupTimeOffset = "9e12"  # 285 years
    stream = BytesIO()
    dataset.save_as(stream)
    with pytest.raises(InvalidInstance, match="apart"):
        decode(stream.getvalue())


def test_the_sample_of_the_usual_parser() -> None:
    path = Path(str(get_testdata_file("waveform_ecg.dcm")))
    own, theirs = decode(path.read_bytes()), pydicom.dcmread(path)
    names = [channel.code.removeprefix("MDC_ECG_LEAD_") for channel in own.channels]
    assert names == ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    assert {(c.fs_hz, c.uv_per_lsb, c.offset, len(c.samples)) for c in own.channels} == {
        (1000.0, 1.25, 0, 10_000)
    }
    assert own.filters == {"high_pass_hz": 0.05, "low_pass_hz": 300.0}
    assert own.start_at == datetime(2013, 1, 25, 10, 59, 19, tzinfo=UTC)
    assert own.device == "Mortara Instrument, Inc. el250"
    raw = np.frombuffer(theirs.WaveformSequence[0].WaveformData, "<i2").reshape(-1, 12)
    assert all((channel.samples == raw[:, k]).all() for k, channel in enumerate(own.channels))


def test_foreign_files_give_the_numbers_of_the_usual_parser() -> None:
    folder = SHARED / "formats" / "dicom_ecg"
    if not folder.is_dir():
        pytest.skip("no sample files: set TELEHUB_DATA")
    for path in sorted(folder.iterdir()):
        own, physical = decode(path.read_bytes()), pydicom.dcmread(path).waveform_array(0)
        for k, channel in enumerate(own.channels):
            assert np.allclose((channel.samples - channel.offset) * channel.uv_per_lsb, physical[:, k])
    deflated = SHARED / "dicom" / "dicomParser" / "deflate" / "wave_dfl"
    own = decode(deflated.read_bytes())
    assert own.channels[0].fs_hz == 240.0 and own.channels[0].code == "MDC_ECG_LEAD_I"


def test_every_other_dicom_file_is_an_error_and_no_crash() -> None:
    folder = SHARED / "dicom"
    if not folder.is_dir():
        pytest.skip("no sample files: set TELEHUB_DATA")
    read = 0
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size < 2_000_000):
        try:
            read += bool(decode(path.read_bytes()).channels)
        except InvalidInstance as fault:
            assert str(fault)
    assert read >= 2


def test_any_bytes_give_a_value_or_an_error() -> None:
    own = holter(2, 500, 400)
    data = encode(
        replace(own, gaps=((10, 20),), filters={"low_pass_hz": 150.0}, device="Recorder 5"), IDENTITY
    )
    assert_value_or_error(decode, data, len(data) - 1600, InvalidInstance, 50)


def test_deflated_instances_are_inflated_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    own = holter(2, 500, 4000)
    dataset = pydicom.dcmread(BytesIO(encode(own, IDENTITY)))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    pydicom.dcmwrite(stream := BytesIO(), dataset, enforce_file_format=True)
    data = stream.getvalue()
    assert_same(record(own), record(decode(data)))
    assert_value_or_error(decode, data, 1000, InvalidInstance, 30)
    monkeypatch.setattr(reading, "MAX_INFLATED", 16_000)
    with pytest.raises(InvalidInstance, match="inflates to more than 16000"):
        decode(data)


def test_lengths_that_lie_name_the_group() -> None:
    for keyword, value in (
        ("NumberOfWaveformSamples", 2**32 - 1), ("NumberOfWaveformChannels", 65535), ("SamplingFrequency", "0"),
        ("WaveformBitsAllocated", 8), ("WaveformSampleInterpretation", "MB"),
    ):  # fmt: skip
        wrong = pydicom.dcmread(BytesIO(encode(holter(2, 500, 400), IDENTITY)))
        setattr(wrong.WaveformSequence[0], keyword, value)
        stream = BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrong.save_as(stream)
        with pytest.raises(InvalidInstance, match="group 0") as caught:
            decode(stream.getvalue())
        assert caught.value.offset is not None and 0 < caught.value.offset < len(stream.getvalue())
