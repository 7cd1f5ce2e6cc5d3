"""WFDB in and out: integers bit for bit, annotations readable by others."""

from pathlib import Path

import numpy as np
import pytest
import wfdb as reference_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.analysis import CLASSES
from ecg.annotate import annotate
from ecg.formats import wfdb
from ecg.record import MDC_TO_SHORT, SHORT_TO_MDC, Lead, Record, lead_code
from ecg.synthetic import Segment, Synthesiser
from tests.ecg.strips import LEADS


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 3),
    st.sampled_from([np.int16, np.int32]),
    st.sampled_from([128.0, 250.0, 360.0, 500.0]),
    st.floats(0.1, 20).map(lambda v: round(v, 4)),
    st.integers(-2000, 2000),
    st.integers(0, 2**32),
)
def test_written_records_read_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    leads: int,
    dtype: type,
    fs_hz: float,
    scale: float,
    offset: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("wfdb")
    limit = np.iinfo(dtype).max if dtype is np.int16 else 2**30
    samples = np.random.default_rng(seed).integers(-limit, limit, (leads, 40)).astype(dtype)
    samples[:, 0] = limit  # wide samples stay wide
    own = tuple(Lead(code, fs_hz, scale, offset, row) for code, row in zip(LEADS, samples, strict=False))
    wfdb.write(Record(own), folder / "r1")
    back = wfdb.read(folder / "r1")
    for lead, again in zip(own, back.leads, strict=True):
        assert (again.code, again.fs_hz, again.offset) == (lead.code, fs_hz, offset)
        assert again.uv_per_lsb == pytest.approx(scale, rel=1e-6)
        assert again.samples.dtype == dtype and (again.samples == lead.samples).all()


def test_format_212_gives_the_integers_of_the_reference_reader(mitdb: Path) -> None:
    ours = wfdb.read(mitdb / "101")
    theirs = reference_reader.rdrecord(str(mitdb / "101"), physical=False)
    assert (np.stack([lead.samples for lead in ours.leads], axis=1) == theirs.d_signal).all()
    assert [lead.code for lead in ours.leads] == ["MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V1"]
    assert ours.leads[0].uv_per_lsb == 5.0 and ours.leads[0].offset == 1024


def test_missing_samples_become_gaps(mitdb: Path) -> None:
    records = [wfdb.read(p.with_suffix("")) for p in sorted((mitdb.parent / "cudb").glob("*.hea"))]
    gapped = [r for r in records if r.gaps]
    assert gapped and all((r.leads[0].samples[a:b] == -2048).all() for r in gapped for a, b in r.gaps)


def test_annotations_tell_beats_rhythms_and_noise(tmp_path: Path) -> None:
    script = (
        Segment("sinus", 30), Segment("vt", 4, 170), Segment(), Segment("sinus", 30, noise_uv=3000), Segment(),
    )  # fmt: skip
    samples = Synthesiser(3, 250, LEADS, script).samples(0, 184 * 250)
    leads = tuple(Lead(code, 250, 5.0, 0, row) for code, row in zip(LEADS, samples, strict=True))
    analysis = annotate(Record(leads), tmp_path / "r2")
    found = reference_reader.rdann(str(tmp_path / "r2"), "hub")
    beats = [int(s) for s, q in zip(found.sample, found.symbol, strict=True) if q in CLASSES]
    assert beats == analysis.sample.tolist()
    assert [n.strip("\x00") for n in found.aux_note if n] == ["(VT", "(N"]
    assert [int(t) for t, q in zip(found.subtype, found.symbol, strict=True) if q == "~"] == [-1, 0]


def test_lead_names_have_one_code_each() -> None:
    assert all(lead_code(name, 0) == code for name, code in SHORT_TO_MDC.items())
    assert len(MDC_TO_SHORT) == len(SHORT_TO_MDC)
    assert lead_code("MLII", 0) == "MDC_ECG_LEAD_II" and lead_code("ECG lead V2 ", 0) == "MDC_ECG_LEAD_V2"
    assert lead_code("resp", 4) == "MDC_ECG_LEAD_CONFIG-5"
