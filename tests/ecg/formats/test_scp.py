"""SCP-ECG: plain records there and back, every compression undone, foreign reader and file, damage."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ecgdatakit import FileParser
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.formats import scp, scp_out
from ecg.formats.invalid import InvalidRecord
from ecg.formats.ishne import crc
from ecg.formats.scp_huffman import DEFAULT, decode_values
from ecg.record import Lead, Record
from tests.ecg.formats.records import assert_same, assert_value_or_error, records

NUMBERED = st.sampled_from([1000.0, 500.0, 250.0, 200.0, 125.0, 62.5])


def huffman(values: np.ndarray) -> bytes:
    """The default table, written down anew."""
    bits = ""
    for value in values.tolist():
        if abs(value) <= 8:
            bits += "0" if value == 0 else "1" * abs(value) + "0" + ("1" if value < 0 else "0")
        elif -128 <= value <= 127:
            bits += "1" * 9 + "0" + f"{value & 0xFF:08b}"
        else:
            bits += "1" * 10 + f"{value & 0xFFFF:016b}"
    bits += "0" * (-len(bits) % 16)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def second_differences(row: np.ndarray) -> np.ndarray:
    return np.concatenate([row[:2], row[2:] - 2 * row[1:-1] + row[:-2]])


def body(rows: list[np.ndarray], nanovolts: int, interval_us: int, differences: int, flag: int) -> bytes:
    chunks = [
        huffman(second_differences(row) if differences == 2 else np.diff(row, prepend=0)) for row in rows
    ]
    lengths = b"".join(struct.pack("<H", len(chunk)) for chunk in chunks)
    return struct.pack("<HHBB", nanovolts, interval_us, differences, flag) + lengths + b"".join(chunks)


def definitions(leads: int, length: int, flags: int) -> bytes:
    return bytes([leads, flags]) + b"".join(struct.pack("<IIB", 1, length, k + 1) for k in range(leads))


@settings(max_examples=50, deadline=None)
@given(
    records(scales=st.just(2.5) | st.just(0.005), rates=NUMBERED, leads=1, gaps=False, fraction=False).filter(
        lambda r: r.leads[0].code in scp.BY_NUMBER.values()
    )
)
def test_plain_records_come_back_bit_for_bit(own: Record) -> None:
    own = replace(own, device=own.device and "Model")
    assert_same(own, scp.decode(scp_out.encode(own)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-32768, 32767), max_size=60))
def test_huffman_codes_of_the_standard_come_back(values: list[int]) -> None:
    row = np.array(values, np.int64)
    if len(row):
        assert (decode_values(huffman(row), len(row), (DEFAULT,), 0) == row).all()


@pytest.mark.parametrize("differences", [1, 2])
@pytest.mark.parametrize("unlike", [False, True])
def test_subtracted_reference_beats_are_added_again(tmp_path: Path, differences: int, unlike: bool) -> None:
    rng = np.random.default_rng(2)
    residual = [rng.integers(-300, 300, 3000) for _ in range(3)]
    beat = [rng.integers(-2000, 2000, 400) for _ in range(3)]
    places = [(0, 100 + 700 * k, 250 + 700 * k, 400 + 700 * k) for k in range(4)]
    places[2] = (1, *places[2][1:])  # a beat of another kind: nothing was subtracted there
    fiducial, step = 180, 2 if unlike else 1  # the beat's unit is 5000 or 2500 nV, the rhythm's 2500
    zones = struct.pack("<HHH", 800, fiducial, len(places)) + b"".join(
        struct.pack("<HIII", *p) for p in places
    )
    data = scp_out.assemble({
        2: struct.pack("<H", 19999), 3: definitions(3, 3000, 0b11101), 4: zones,
        5: body(beat, 2500 * step, 2000, differences, 0), 6: body(residual, 2500, 2000, differences, 0),
    })  # fmt: skip
    for row, own, lead in zip(residual, beat, scp.decode(data).leads, strict=True):
        expected = row.copy()
        for kind, first, at, last in places:
            for sample in range(first, last + 1):
                if kind == 0:
                    expected[sample - 1] += step * own[sample - at + fiducial - 1]
        assert lead.uv_per_lsb == 2.5 and lead.fs_hz == 500.0
        assert (lead.samples == expected).all()
    (path := tmp_path / "own.scp").write_bytes(data)
    for ours, theirs in zip(scp.decode(data).leads, FileParser().parse(str(path)).leads, strict=True):
        assert np.allclose(theirs.samples * 1000, ours.samples * 2.5)


def test_decimated_stretches_are_lines_and_protected_ones_exact() -> None:
    """A wave made of lines between decimated knots is given back to the sample, remainders included."""
    rng, length, factor = np.random.default_rng(3), 997, 4
    protected = [(101, 200), (401, 500), (702, 800)]
    knots, whole, at = [], [], 1
    for first, last in [*protected, (length + 1, length)]:
        means, rest = divmod(first - at, factor)
        own = rng.integers(-50, 50, means) * factor
        line = np.interp(np.arange(means * factor), np.arange(means) * factor + 2, own)
        exact = rng.integers(-500, 500, rest + last - first + 1)
        knots += [own, exact]
        whole += [line, exact]
        at = last + 1
    section = struct.pack("<HHH", 800, 1, 3) + b"".join(
        struct.pack("<HIII", 0, *(first, first, last)) for first, last in protected
    )
    section += b"".join(struct.pack("<II", *zone) for zone in protected)
    data = scp_out.assemble({
        2: struct.pack("<H", 19999), 3: definitions(1, length, 0b1100), 4: section,
        5: body([np.zeros(400, np.int64)], 2500, 2000, 1, 0),
        6: body([np.concatenate(knots).astype(np.int64)], 2500, 8000, 1, 1),
    })  # fmt: skip
    lead = scp.decode(data).leads[0]
    assert lead.fs_hz == 500.0 and (lead.samples == np.concatenate(whole)).all()


def test_tables_of_the_file_and_their_change() -> None:
    """Two tables: "0" is 0 and "10" changes to the second, in which "1" is 7 and "0" a signed nibble."""
    one = [(1, 1, 1, 0, 0b0), (2, 2, 0, 2, 0b01), (2, 2, 1, -5, 0b11)]
    two = [(1, 1, 1, 7, 0b1), (1, 5, 1, 0, 0b0)]
    section = struct.pack("<H", 2) + b"".join(
        struct.pack("<H", len(codes)) + b"".join(struct.pack("<BBBhI", *code) for code in codes)
        for codes in (one, two)
    )
    chunk = int("0" + "11" + "10" + "1" + "01000" + "1" + "0000", 2).to_bytes(2, "big")
    rhythm = struct.pack("<HHBBH", 1000, 4000, 0, 0, len(chunk)) + chunk
    data = scp_out.assemble({2: section, 3: definitions(1, 5, 0b1100), 6: rhythm})
    assert scp.decode(data).leads[0].samples.tolist() == [0, -5, 7, -8, 7]


def test_leads_that_begin_later_share_one_axis() -> None:
    rhythm = struct.pack("<HHBBHH", 1000, 4000, 0, 0, 8, 8) + struct.pack("<8h", *range(1, 9))
    spans = b"\x02\x00" + struct.pack("<IIBIIB", 1, 4, 1, 7, 10, 2)
    record = scp.decode(scp_out.assemble({3: spans, 6: rhythm}))
    first, second = record.leads
    assert record.gaps == ((4, 6),)
    assert first.samples[:4].tolist() == [1, 2, 3, 4] and (first.samples[4:] == first.missing).all()
    assert second.samples[6:].tolist() == [5, 6, 7, 8] and (second.samples[:6] == second.missing).all()


def test_the_foreign_sample(foreign: Path) -> None:
    path = foreign / "scp" / "Example.scp"
    own, theirs = scp.read(path), FileParser().parse(str(path))
    names = [lead.code.removeprefix("MDC_ECG_LEAD_") for lead in own.leads]
    assert names == ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6", "III", "AVR", "AVL", "AVF"]
    assert {(lead.fs_hz, lead.uv_per_lsb, len(lead.samples)) for lead in own.leads} == {(500.0, 2.5, 5000)}
    assert own.start_at is not None and own.start_at.isoformat() == "2002-11-22T09:10:00+00:00"
    assert own.device == "ELI250"
    for lead, again in zip(own.leads, theirs.leads, strict=True):
        assert np.allclose(again.samples * 1000, lead.samples * 2.5)
    one, two, three = (own.leads[k].samples.astype(int) for k in (0, 1, 8))
    assert np.abs(two - one - three).max() <= 2  # Einthoven, to the rounding of the recorder


def repaired(data: bytes) -> bytes:
    """Checksums made to fit again, so that damage gets behind them."""
    changed = bytearray(data)
    for k in range(12):
        _, size, index = struct.unpack_from("<HII", data[22:].ljust(120, b"\x00"), 10 * k)
        if index > 0 and 16 <= size and index - 1 + size <= len(data):
            changed[index - 1 : index + 1] = struct.pack(
                "<H", crc(bytes(changed[index + 1 : index - 1 + size]))
            )
    if len(data) > 6 and (end := struct.unpack_from("<I", data, 2)[0]) <= len(data):
        changed[:2] = struct.pack("<H", crc(bytes(changed[2:end])))
    return bytes(changed)


def test_any_bytes_give_a_value_or_an_error() -> None:
    rows = [np.cumsum(np.random.default_rng(k).integers(-9, 9, 400)) for k in range(2)]
    places = struct.pack("<HHH", 200, 40, 2) + struct.pack("<HIIIHIII", 0, 50, 80, 120, 0, 200, 230, 270)
    data = scp_out.assemble({
        1: b"\x19\x04\x00\xea\x07\x01\x02\x1a\x03\x00\x01\x02\x03\xff\x00\x00", 2: struct.pack("<H", 19999),
        3: definitions(2, 400, 0b10101), 4: places + struct.pack("<IIII", 60, 100, 210, 250),
        5: body([row[:100] for row in rows], 2500, 2000, 1, 0), 6: body(rows, 2500, 4000, 2, 1),
    })  # fmt: skip
    assert_value_or_error(lambda wrong: scp.decode(repaired(wrong)), data, len(data))
    plain = scp_out.encode(Record((Lead("MDC_ECG_LEAD_I", 500.0, 2.5, 0, rows[0].astype(np.int16)),)))
    assert_value_or_error(lambda wrong: scp.decode(repaired(wrong)), plain, 300)
    for end in range(0, len(plain), 37):
        with pytest.raises(InvalidRecord):
            scp.decode(plain[:end])


def test_what_the_format_cannot_hold_is_refused() -> None:
    lead = Lead("MDC_ECG_LEAD_I", 500.0, 2.5, 0, np.zeros(100, np.int16))
    for bad in (
        replace(lead, offset=3), replace(lead, fs_hz=360.0), replace(lead, uv_per_lsb=1 / 3),
        replace(lead, samples=np.zeros(40_000, np.int16)), replace(lead, code="MDC_ECG_LEAD_CONFIG-1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="SCP-ECG"):
            scp_out.encode(Record((bad,)))
