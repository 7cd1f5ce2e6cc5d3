"""The table of formats: each is known by its bytes, foreign files and damage included; findings in three forms."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyedflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg import formats
from ecg.annotate import annotations
from ecg.findings import from_dict
from ecg.formats import InvalidRecord, aecg, findings, muse, wfdb
from ecg.holter import analyse
from ecg.record import Lead, Record
from ecg.synthetic import Segment, Synthesiser
from tests.ecg.formats.records import assert_same, records
from tests.ecg.strips import LEADS

ROW = np.arange(-150, 150, dtype=np.int16)
PLAIN = Record(
    (Lead("MDC_ECG_LEAD_I", 500.0, 2.5, 0, ROW), Lead("MDC_ECG_LEAD_II", 500.0, 2.5, 0, ROW[::-1].copy()))
)
WRITTEN = [suffix for known in formats.FORMATS if known.encode for suffix in known.suffixes]


@pytest.mark.parametrize("suffix", ["", *WRITTEN])
def test_what_is_written_is_known_by_its_bytes(tmp_path: Path, suffix: str) -> None:
    formats.write(PLAIN, tmp_path / f"r{suffix}")
    written = tmp_path / f"r{suffix or '.hea'}"
    assert_same(PLAIN, formats.read(written), rel=1e-12)
    if suffix:
        assert_same(PLAIN, formats.decode(written.read_bytes()))
        assert suffix in formats.sniff(written.read_bytes()).suffixes


def test_what_is_no_ecg_is_told_so() -> None:
    for data in (b"", b"PK\x03\x04" + bytes(100), bytes(5000), b"\xff\xd8\xff\xe0" + bytes(100)):
        with pytest.raises(InvalidRecord, match="no ECG format") as caught:
            formats.decode(data)
        assert "EDF" in caught.value.mend
    with pytest.raises(InvalidRecord, match="DICOM"):
        formats.decode(bytes(128) + b"DICM" + bytes(10))
    with pytest.raises(ValueError, match="suffix"):
        formats.encode(PLAIN, ".aecg")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([
        b"", b"0       ", b"\xffBIOSEMI", b"ISHNE1.0", bytes(16) + b"SCPECG", b"<AnnotatedECG>", b"<RestingECG>",
        b"# fs_hz=1\nI [mV]\n",
    ]),
    st.binary(max_size=600),
)  # fmt: skip
def test_any_bytes_give_a_record_or_an_error(head: bytes, rest: bytes) -> None:
    try:
        assert formats.decode(head + rest).leads
    except InvalidRecord as fault:
        assert fault.cause


def test_every_foreign_sample_is_known_and_read(foreign: Path) -> None:
    by_folder = {
        "aecg": "HL7 aECG",
        "edf": "EDF/BDF",
        "ishne": "ISHNE",
        "muse_xml": "GE MUSE XML",
        "scp": "SCP-ECG",
    }
    count = 0
    for folder, name in by_folder.items():
        for path in sorted((foreign / folder).iterdir()):
            if path.suffix == ".md" or path.name == "empty.xml":
                continue
            assert formats.sniff(path.read_bytes()).name == name
            assert formats.read(path).leads
            count += 1
    assert count >= 20


@settings(max_examples=25, deadline=None)
@given(
    own=records(
        scales=st.sampled_from([0.5, 2.5, 5.0]),
        rates=st.sampled_from([128.0, 250.0, 500.0]),
        limit=32766,
        leads=3,
    )
)
def test_wfdb_keeps_start_and_gaps(tmp_path_factory: pytest.TempPathFactory, own: Record) -> None:
    path = tmp_path_factory.mktemp("wfdb") / "r1"
    own = replace(own, filters=None)
    wfdb.write(own, path)
    back = wfdb.read(path)
    assert_same(own, replace(back, gaps=own.gaps))
    assert back.gaps == own.gaps


def damaged_headers(text: bytes) -> Iterator[bytes]:
    rng = np.random.default_rng(4)
    for k in range(0, len(text), 3):
        yield text[:k]
    for _ in range(60):
        changed = bytearray(text)
        for at in rng.integers(0, len(text), 2):
            changed[at] = rng.choice(list(b"0129 /.-()x\n\xff"))
        yield bytes(changed)


@pytest.mark.filterwarnings("ignore")
def test_damaged_wfdb_records_give_a_value_or_an_error(tmp_path: Path) -> None:
    wfdb.write(PLAIN, tmp_path / "r1")
    head, body = tmp_path / "r1.hea", tmp_path / "r1.dat"
    whole, outcomes = head.read_bytes(), set()
    for text in damaged_headers(whole):
        head.write_bytes(text)
        try:
            outcomes.add(bool(wfdb.read(tmp_path / "r1").leads))
        except (InvalidRecord, OSError) as fault:
            assert str(fault)
            outcomes.add(False)
    assert outcomes == {True, False}
    head.write_bytes(whole.replace(b"r1.dat", b"../../r1.dat"))
    with pytest.raises(InvalidRecord, match="invalid syntax"):
        wfdb.read(tmp_path / "r1")
    head.write_bytes(whole.replace(b"r1.dat", b"r2.dat"))
    with pytest.raises(InvalidRecord, match=r"r2.dat needs 1200 bytes, 0 are present"):
        wfdb.read(tmp_path / "r1")
    head.write_bytes(whole.replace(b" 300", b" 900000000", 1))
    with pytest.raises(InvalidRecord, match="bytes"):
        wfdb.read(tmp_path / "r1")
    head.write_bytes(whole)
    body.write_bytes(body.read_bytes()[:-8])
    with pytest.raises(InvalidRecord, match="present") as caught:
        wfdb.read(tmp_path / "r1")
    assert caught.value.offset == 1192


def test_findings_are_the_same_in_edf_and_json(tmp_path: Path) -> None:
    script = (
        Segment("sinus", 30), Segment("vt", 4, 170), Segment(), Segment("sinus", 30, noise_uv=3000), Segment(),
    )  # fmt: skip
    samples = Synthesiser(3, 250, LEADS, script).samples(0, 184 * 250)
    record = Record(tuple(Lead(code, 250, 5.0, 0, row) for code, row in zip(LEADS, samples, strict=True)))
    analysis = analyse(record)
    rows = annotations(analysis)
    texts = [
        {"~": "~ unreadable" if subtype else "~ readable"}.get(symbol, note or symbol)
        for _, symbol, note, subtype in rows
    ]
    (path := tmp_path / "f.edf").write_bytes(findings.as_edf(record, analysis))
    with pyedflib.EdfReader(str(path)) as theirs:
        told = [(round(t * 250), text) for t, _, text in zip(*theirs.readAnnotations(), strict=True)]
        assert told == [(row[0], text) for row, text in zip(rows, texts, strict=True)]
        assert (theirs.readSignal(0, digital=True) == record.leads[0].samples).all()
    assert {"N", "V", "(VT", "(N", "~ unreadable"} <= set(texts)
    document = json.loads(findings.as_json(analysis))
    assert [(a["sample"], a["symbol"], a["note"], a["subtype"]) for a in document["annotations"]] == rows
    assert tuple(from_dict(row) for row in document["findings"]) == analysis.findings
    (path := tmp_path / "only.edf").write_bytes(findings.as_edf(Record(()), analysis))
    with pyedflib.EdfReader(str(path)) as theirs:
        assert list(theirs.readAnnotations()[2]) == texts


def test_readers_of_single_files_take_paths_too(tmp_path: Path) -> None:
    for module in (aecg, muse):
        (path := tmp_path / "x.xml").write_bytes(b"<x/>")
        with pytest.raises(InvalidRecord, match="root element"):
            module.read(path)
