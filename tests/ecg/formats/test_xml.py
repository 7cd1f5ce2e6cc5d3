"""aECG and MUSE XML, and the leads computed from others: values to the bit, foreign readers and files, damage."""

import base64
import warnings
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from ecgdatakit import ChecksumWarning, FileParser
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.formats import aecg, muse
from ecg.formats.derived import with_limb_leads
from ecg.formats.invalid import InvalidRecord
from ecg.formats.lead_names import name_of
from ecg.record import Lead, Record
from tests.ecg.formats.records import FILTERS, assert_same, assert_value_or_error, records

Decode = Callable[[bytes], Record]


def hl7(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S}.{at.microsecond:06d}{at:%z}"


def as_aecg(own: Record, text: str = "") -> bytes:
    """A file as a maker writes it: one sequence set for each stretch between gaps."""
    length = len(own.leads[0].samples)
    cuts = [0, *(edge for gap in own.gaps for edge in gap), length]
    sets = []
    for first, last in zip(cuts[::2], cuts[1::2], strict=True):
        if first == last:
            continue
        begin_s = first / own.leads[0].fs_hz
        head = f'<head value="{begin_s!r}" unit="s"/>'
        if own.start_at:
            head = f'<head value="{hl7(own.start_at + timedelta(seconds=begin_s))}"/>'
        kind = "TIME_ABSOLUTE" if own.start_at else "TIME_RELATIVE"
        rows = "".join(
            f'<component><sequence><code code="{lead.code}"/><value xsi:type="SLIST_PQ">'
            f'<origin value="{-lead.offset * lead.uv_per_lsb:.6f}" unit="uV"/>'
            f'<scale value="{lead.uv_per_lsb / 1000:.7f}" unit="mV"/>'
            f"<digits>{' '.join(map(str, lead.samples[first:last]))}</digits></value></sequence></component>"
            for lead in own.leads
        )
        sets.append(
            f'<component><sequenceSet><component><sequence><code code="{kind}"/><value>{head}<increment '
            f'value="{1000 / own.leads[0].fs_hz!r}" unit="ms"/></value></sequence></component>{rows}'
            "</sequenceSet></component>"
        )
    names = {"high_pass_hz": "HIGH_PASS", "low_pass_hz": "LOW_PASS", "notch_hz": "NOTCH"}
    filters = "".join(
        f'<controlVariable><controlVariable><code code="MDC_ECG_CTL_VBL_ATTR_FILTER_{names[key]}"/><component>'
        f'<controlVariable><code code="MDC_ECG_CTL_VBL_ATTR_FILTER_{"NOTCH" if "NOTCH" in names[key] else "CUTOFF"}'
        f'_FREQ"/><value value="{value}" unit="Hz"/></controlVariable></component></controlVariable></controlVariable>'
        for key, value in (own.filters or {}).items()
    )
    author = (
        "<author><seriesAuthor><manufacturedSeriesDevice><manufacturerModelName>"
        f"{own.device}</manufacturerModelName></manufacturedSeriesDevice></seriesAuthor></author>"
    )
    return (
        f'<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="urn:x">{text}<component><series>'
        f'<code code="RHYTHM"/>{author}{filters}{"".join(sets)}</series></component></AnnotatedECG>'
    ).encode()


def as_muse(own: Record, text: str = "") -> bytes:
    """A file as the maker writes it."""
    rows = "".join(
        f"<LeadData><LeadSampleCountTotal>{len(lead.samples)}</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>"
        f"{lead.uv_per_lsb:.4f}</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>"
        f"<LeadID>{name_of(lead)}</LeadID><LeadDataCRC32>{zlib.crc32(lead.samples.tobytes())}</LeadDataCRC32>"
        f"<WaveFormData>\n{base64.encodebytes(lead.samples.tobytes()).decode()}</WaveFormData></LeadData>"
        for lead in own.leads
    )
    tags = {
        "high_pass_hz": ("HighPassFilter", 100),
        "low_pass_hz": ("LowPassFilter", 1),
        "notch_hz": ("ACFilter", 1),
    }
    filters = "".join(
        f"<{tags[key][0]}>{round(value * tags[key][1])}</{tags[key][0]}>"
        for key, value in (own.filters or {}).items()
    )
    when = own.start_at and (
        f"<AcquisitionDate>{own.start_at:%m-%d-%Y}</AcquisitionDate>"
        f"<AcquisitionTime>{own.start_at:%H:%M:%S}</AcquisitionTime>"
    )
    return (
        f'<?xml version="1.0"?><!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG>{text}<TestDemographics>'
        f"<AcquisitionDevice>{own.device}</AcquisitionDevice>{when or ''}</TestDemographics><Waveform><WaveformType>"
        f"Rhythm</WaveformType><SampleBase>{own.leads[0].fs_hz:.0f}</SampleBase><SampleExponent>0</SampleExponent>"
        f"{filters}{rows}</Waveform></RestingECG>"
    ).encode()


@settings(max_examples=50, deadline=None)
@given(
    records(
        scales=st.integers(1, 20_000).map(lambda v: v / 1000),
        rates=st.sampled_from([250.0, 500.0, 1000.0]),
        offsets=st.integers(-2000, 2000),
        longest=200,
    )
)
def test_aecg_gives_what_was_put_in(own: Record) -> None:
    lasting = [gap for gap in own.gaps if 0 < gap[0] and gap[1] < len(own.leads[0].samples)]
    own = Record(own.leads, own.start_at, tuple(lasting), own.filters, own.device)
    assert_same(own, aecg.decode(as_aecg(own)), rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    records(
        scales=st.sampled_from([4.88, 2.44, 1.25]),
        rates=st.sampled_from([250.0, 500.0]),
        gaps=False,
        fraction=False,
    )
)
def test_muse_gives_what_was_put_in(own: Record) -> None:
    assert_same(own, muse.decode(as_muse(own)))


def test_foreign_aecg_files_give_the_numbers_of_an_independent_reader(foreign: Path) -> None:
    for path in sorted((foreign / "aecg").glob("[ms]*.xml")):
        own, theirs = aecg.read(path), FileParser().parse(str(path))
        assert {lead.uv_per_lsb for lead in own.leads} == {2.5} and own.leads[0].fs_hz == 500.0
        by_code = {lead.code.removeprefix("MDC_ECG_LEAD_").lower(): lead for lead in own.leads}
        assert len(theirs.leads) == len(own.leads) in (1, 12)
        for lead in theirs.leads:
            assert np.allclose(by_code[lead.label.lower()].samples * 2.5, lead.samples * 1000)
    assert own.filters == {"low_pass_hz": 150.0, "notch_hz": 60.0}
    assert own.device == "Mortara Instrument, Inc. ELI250" and own.start_at is not None
    assert own.start_at.isoformat() == "2002-11-22T10:10:00+00:00"
    with pytest.raises(InvalidRecord, match="no series"):
        aecg.read(foreign / "aecg" / "empty.xml")


def test_foreign_muse_files_give_the_numbers_of_an_independent_reader(foreign: Path) -> None:
    for path in sorted((foreign / "muse_xml").glob("*.xml")):
        own = with_limb_leads(muse.read(path))
        names = [lead.code.removeprefix("MDC_ECG_LEAD_") for lead in own.leads]
        assert names == "I II V1 V2 V3 V4 V5 V6 III AVR AVL AVF".split()
        assert [lead.derived for lead in own.leads] == [False] * 8 + [True] * 4
        assert own.leads[0].uv_per_lsb == 4.88 and own.leads[0].fs_hz == 500.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChecksumWarning)  # a checksum of 0 is none
            theirs = {lead.label.upper(): lead.samples for lead in FileParser().parse(str(path)).leads}
        for name, lead in zip(names, own.leads, strict=True):
            if name in theirs:
                assert np.abs(lead.samples * lead.uv_per_lsb - theirs[name] * 1000).max() <= 4.88 / 2 + 1e-9


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-32768, 32767), st.integers(-32768, 32767)), min_size=1, max_size=30))
def test_computed_limb_leads_obey_einthoven_exactly(pairs: list[tuple[int, int]]) -> None:
    one, two = np.array(pairs, np.int16).T
    leads = tuple(Lead(f"MDC_ECG_LEAD_{name}", 500.0, 4.0, 0, row) for name, row in (("I", one), ("II", two)))
    own = with_limb_leads(Record(leads))
    first, second, third, right, left, foot = (
        lead.samples.astype(int) * lead.uv_per_lsb for lead in own.leads
    )
    assert (third == second - first).all() and (right + left + foot == 0).all()
    assert (right == -(first + second) / 2).all() and (foot == (second + third) / 2).all()
    assert with_limb_leads(own) == own


ONE = Record(
    (Lead("MDC_ECG_LEAD_I", 500.0, 5.0, 0, np.arange(60, dtype=np.int16)),) * 2, None, (), FILTERS, "M 1"
)
BOTH = pytest.mark.parametrize(("decode", "write"), [(aecg.decode, as_aecg), (muse.decode, as_muse)])


@BOTH
def test_any_bytes_give_a_value_or_an_error(decode: Decode, write: Callable[..., bytes]) -> None:
    data = write(ONE, f"<note>{'x' * 2000}</note>")
    assert_value_or_error(decode, data, len(data))


@BOTH
def test_entities_depth_and_size_are_bounded(decode: Decode, write: Callable[..., bytes]) -> None:
    laughs = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10 if k else "ha"}">' for k in range(12))
    for head in (f"<!DOCTYPE x [{laughs}]>", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'):
        with pytest.raises(InvalidRecord, match="declares") as caught:
            decode(head.encode() + b"<x>&l11;&e;</x>")
        assert caught.value.offset is not None
    for inner in ("<a>" * 5000, "<a/>" * 120_000, f"<a {'b' * 100_000}/>"):
        with pytest.raises(InvalidRecord, match=r"elements|tags"):
            decode(write(ONE, inner))


def test_chinese_encodings_are_read() -> None:
    own = Record(ONE.leads, None, (), None, "心电图机")
    data = (
        as_muse(own).replace(b'version="1.0"', b'version="1.0" encoding="GB2312"').decode().encode("gb2312")
    )
    assert muse.decode(data).device == "心电图机"


def test_faults_name_their_place() -> None:
    data = as_muse(ONE)
    digit = data.index(b"<LeadDataCRC32>") + 15
    wrong = data[:digit] + (b"8" if data[digit : digit + 1] != b"8" else b"9") + data[digit + 1 :]
    for decode, text, match, tag in (
        (muse.decode, wrong, "checksum", b"<LeadData>"),
        (aecg.decode, as_aecg(ONE).replace(b" 41 ", b" 4.1 ", 1), "integers", b"<value xsi"),
        (aecg.decode, as_aecg(ONE).replace(b" 41 ", b" ", 1), "unlike lengths", b"<sequenceSet>"),
    ):
        with pytest.raises(InvalidRecord, match=match) as caught:
            decode(text)
        assert caught.value.offset is not None and text[caught.value.offset :].startswith(tag)
