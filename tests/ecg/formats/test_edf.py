"""EDF+ and BDF+: there and back to the bit, foreign readers and files agree, damage is named."""

import warnings
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyedflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.formats import edf, edf_out
from ecg.formats.edf import Note
from ecg.formats.invalid import InvalidRecord
from ecg.record import Lead, Record
from tests.ecg.formats.records import assert_same, assert_value_or_error, records, samples

RATES = st.sampled_from([128.0, 200.0, 250.0, 360.0, 500.0, 1000.0, 62.5, 0.5])
SCALES = st.floats(0.01, 20).map(lambda v: round(v, 4))
UNITS = {"uV": 1.0, "mV": 1e3, "V": 1e6}
OFFSETS = st.integers(-2000, 2000)


@settings(max_examples=60, deadline=None)
@given(records(scales=SCALES, rates=RATES, offsets=OFFSETS))
def test_int16_comes_back_bit_for_bit(own: Record) -> None:
    assert_same(own, edf.decode(edf_out.encode(own)))


@settings(max_examples=30, deadline=None)
@given(records(scales=SCALES, rates=RATES, dtype=np.int32, limit=2**23 - 1, leads=4, offsets=OFFSETS))
def test_int32_of_24_bit_comes_back_bit_for_bit(own: Record) -> None:
    assert_same(own, edf.decode(edf_out.encode(own)))


def test_whole_scales_are_exact_and_what_does_not_fit_is_refused() -> None:
    rng = np.random.default_rng(5)
    for scale in (0.1, 2.5, 4.88, 5.0, 1.25, 0.153):
        lead = Lead("MDC_ECG_LEAD_II", 250.0, scale, 1024, samples(rng, np.int16, 30000, 500))
        again = edf.decode(edf_out.encode(Record((lead,)))).leads[0]
        assert (again.uv_per_lsb, again.offset) == (scale, 1024)
    wide = Lead("MDC_ECG_LEAD_II", 250.0, 1.0, 0, np.array([2**23, 0], np.int32))
    with pytest.raises(ValueError, match="24 bit"):
        edf_out.encode(Record((wide,)))


def test_what_fills_a_gap_is_the_leads_own_code_of_missing_samples() -> None:
    row = np.arange(900, dtype=np.int16)
    data = edf_out.encode(Record((Lead("MDC_ECG_LEAD_I", 100.0, 1.0, 0, row, -5),), None, ((200, 700),)))
    lead = edf.decode(data).leads[0]
    assert lead.missing == -5 and (lead.samples[200:700] == -5).all()
    empty = data[:236] + b"0       " + data[244 : 256 * 3]
    assert len(edf.decode(empty).leads[0].samples) == 0


def test_leads_of_other_rates_labels_and_missing_codes_are_kept() -> None:
    rng = np.random.default_rng(6)
    fast = Lead("MDC_ECG_LEAD_CONFIG-1", 500.0, 1.0, 0, samples(rng, np.int16, 99, 1250), None, "Chest pad")
    slow = Lead("MDC_ECG_LEAD_V4R", 50.0, 2.0, 0, samples(rng, np.int16, 99, 125), -32768)
    back = edf.decode(edf_out.encode(Record((fast, slow))))
    for lead, again in zip((fast, slow), back.leads, strict=True):
        assert (again.code, again.label, again.fs_hz, again.missing) == (
            lead.code, lead.label, lead.fs_hz, lead.missing,
        )  # fmt: skip
        assert (again.samples == lead.samples).all()


def test_a_day_with_a_gap_of_hours_stores_no_hours_of_nothing() -> None:
    fs_hz, hour = 100, 360_000
    row = samples(np.random.default_rng(7), np.int16, 9999, 3 * hour + 17)
    own = Record((Lead("MDC_ECG_LEAD_II", fs_hz, 1.0, 0, row),), None, ((1000, 3 * hour - 50),))
    data = edf_out.encode(own)
    assert b"EDF+D" in data[:256] and len(data) < 20_000
    back = edf.decode(data)
    assert_same(own, back)
    absent = back.leads[0].samples[1100 : 3 * hour - 100]
    assert (absent == back.leads[0].missing).all() and len(absent)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2999), st.text("aé中(~", min_size=1, max_size=9)), max_size=20))
def test_annotations_come_back_to_the_sample(tmp_path_factory: pytest.TempPathFactory, told: list) -> None:
    path = tmp_path_factory.mktemp("edf") / "a.edf"
    row = np.zeros(3000, np.int16)
    start_at = datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)
    notes = sorted((Note(Fraction(k, 360), None, text) for k, text in told), key=lambda n: n.onset_s)
    edf_out.write(Record((Lead("MDC_ECG_LEAD_I", 360.0, 1.0, 0, row),), start_at), path, notes)
    back = [n for n in edf.read_notes(path.read_bytes()) if n.text not in (edf.ENDS, edf.STARTS)]
    assert [(round(n.onset_s * 360), n.text) for n in back] == [
        (round(n.onset_s * 360), n.text) for n in notes
    ]


def test_a_crowd_of_annotations_makes_no_crowd_of_bytes() -> None:
    row = np.zeros(100 * 3600, np.int16)
    crowd = [Note(Fraction(k, 100), None, "N") for k in range(5000)]
    own = Record((Lead("MDC_ECG_LEAD_I", 100.0, 1.0, 0, row),), None, ((100, 6000),))
    data = edf_out.encode(own, crowd)
    assert len(data) < 2 * row.nbytes
    back = [n for n in edf.read_notes(data) if n.text == "N"]
    assert back == crowd and edf.decode(data).gaps == own.gaps


@pytest.mark.parametrize(("dtype", "limit"), [(np.int16, 32767), (np.int32, 2**23 - 1)])
def test_the_usual_library_reads_what_is_written(tmp_path: Path, dtype: type, limit: int) -> None:
    rng, at = np.random.default_rng(8), datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    own = Record(
        tuple(Lead(f"MDC_ECG_LEAD_V{k}", 500.0, 2.5, 0, samples(rng, dtype, limit, 5000)) for k in (1, 2, 3)),
        at, (), {"low_pass_hz": 150.0}, "Recorder 5",
    )  # fmt: skip
    edf_out.write(own, path := tmp_path / "own.edf", [Note(Fraction(5, 4), None, "(AFIB")])
    with pyedflib.EdfReader(str(path)) as theirs:
        assert theirs.getSignalLabels() == ["ECG V1", "ECG V2", "ECG V3"]
        assert theirs.getStartdatetime() == at.replace(tzinfo=None) and theirs.getEquipment() == "Recorder 5"
        assert theirs.getSampleFrequency(0) == 500 and theirs.getPhysicalDimension(0) in UNITS
        assert [(t, n) for t, _, n in zip(*theirs.readAnnotations(), strict=True)] == [(1.25, "(AFIB")]
        for k, lead in enumerate(own.leads):
            assert (theirs.readSignal(k, digital=True) == lead.samples).all()
            ours = lead.samples * 2.5 / UNITS[theirs.getPhysicalDimension(k)]
            assert np.abs(theirs.readSignal(k) - ours).max() <= 3e-6 * np.abs(ours).max()


def test_foreign_files_give_the_numbers_of_the_usual_library(foreign: Path) -> None:
    compared = 0
    for path in sorted((foreign / "edf").iterdir()):
        own = edf.read(path)
        try:
            theirs = pyedflib.EdfReader(str(path))
        except OSError:
            assert path.name == "test_generator_2.edf"  # the one that breaks a rule; it is read here
            continue
        with theirs, warnings.catch_warnings():
            volts = [
                k for k in range(theirs.signals_in_file) if "v" in theirs.getPhysicalDimension(k).lower()
            ]
            assert len(own.leads) == len(volts)
            for lead, k in zip(own.leads, volts, strict=True):
                assert lead.fs_hz == theirs.getSampleFrequency(k)
                assert (lead.samples == theirs.readSignal(k, digital=True)).all()
                per_unit = float(edf.UV_PER_UNIT[theirs.getPhysicalDimension(k).lower()])
                ours = (lead.samples - float(lead.offset)) * lead.uv_per_lsb
                half = abs(lead.uv_per_lsb) * 0.51  # a zero between two integers goes to the nearer one
                assert np.abs(ours - theirs.readSignal(k) * per_unit).max() <= half
            assert own.start_at is not None
            assert own.start_at.replace(tzinfo=None, microsecond=0) == theirs.getStartdatetime().replace(
                microsecond=0
            )
            texts = [text for text in theirs.readAnnotations()[2] if text]
            assert [note.text for note in edf.read_notes(path.read_bytes())] == texts
        compared += 1
    assert compared >= 8
    names = [lead.code.removeprefix("MDC_ECG_LEAD_") for lead in edf.read(foreign / "edf/A0001.edf").leads]
    assert names == ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]


def test_any_bytes_give_a_value_or_an_error() -> None:
    lead = Lead("MDC_ECG_LEAD_II", 100.0, 1.0, 0, np.arange(1234, dtype=np.int16))
    data = edf_out.encode(Record((lead, lead), datetime(2026, 1, 1, tzinfo=UTC), ((300, 700), (1100, 1201))))
    assert_value_or_error(edf.decode, data, 256 * 4)
    assert_value_or_error(edf.read_notes, data, 256 * 4)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"+9\x14\x14\x00+9\x14Recording starts\x14", b"+999999999999\x14\x14"),  # a gap of 30,000 years
        (b"+9\x14\x14", b"+1\x14\x14"),  # back in time
    ],
)
def test_times_that_cannot_be_are_errors_and_not_memory(old: bytes, new: bytes) -> None:
    lead = Lead("MDC_ECG_LEAD_II", 100.0, 1.0, 0, np.arange(1000, dtype=np.int16))
    data = edf_out.encode(Record((lead,), None, ((300, 900),)))
    wrong = data.replace(old.ljust(len(new), b"\x00"), new.ljust(len(old), b"\x00"))
    assert wrong != data and len(wrong) == len(data)
    with pytest.raises(InvalidRecord):
        edf.decode(wrong)
