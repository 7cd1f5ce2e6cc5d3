"""Tables of samples: there and back to the bit, decimals of others exactly, damage is named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.formats import csv
from ecg.formats.invalid import InvalidRecord
from ecg.record import Lead, Record
from tests.ecg.formats.records import assert_same, assert_value_or_error, records

SCALES = st.floats(1e-3, 1e3)
RATES = st.floats(0.1, 5000)
OFFSETS = st.integers(-2000, 2000)


@settings(max_examples=25, deadline=None)
@given(
    records(scales=SCALES, rates=RATES, offsets=OFFSETS, longest=99)
    | records(scales=SCALES, rates=RATES, offsets=OFFSETS, longest=99, dtype=np.int32, limit=2**31 - 2)
)
def test_records_come_back_bit_for_bit(own: Record) -> None:
    assert_same(own, csv.decode(csv.encode(own)))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-32768, 32767), min_size=2, max_size=50), st.integers(0, 5), st.sampled_from(",;\t")
)
def test_decimals_with_a_unit_are_exact(values: list[int], decimals: int, delimiter: str) -> None:
    values[0] = values[0] // 10 * 10 + 3  # its last decimal is not 0
    rows = "".join(f"{k / 500:.3f}{delimiter}{v / 10**decimals:.{decimals}f}\n" for k, v in enumerate(values))
    lead = csv.decode(f"time [s]{delimiter}Lead II (mV)\n{rows}".encode()).leads[0]
    assert (lead.code, lead.fs_hz) == ("MDC_ECG_LEAD_II", 500.0)
    assert lead.uv_per_lsb == pytest.approx(1000 / 10**decimals) and lead.samples.tolist() == values


def test_time_that_is_left_out_is_a_gap_and_empty_cells_are_missing() -> None:
    rows = [(k, k) for k in range(10)] + [(k, k) for k in range(25, 30)]
    text = "time [ms],I [uV],II [uV]\n" + "".join(f"{4 * k},{v},{'' if v == 3 else -v}\n" for k, v in rows)
    record = csv.decode(text.encode())
    assert record.gaps == ((10, 25),)
    first, second = record.leads
    assert first.fs_hz == 250.0 and first.samples[25:].tolist() == [25, 26, 27, 28, 29]
    assert (first.samples[10:25] == first.missing).all() and second.samples[3] == second.missing


@pytest.mark.parametrize(
    ("text", "cause", "mend"),
    [
        ("I [mV]\n1\n", "no rate", "fs_hz"),
        ("# fs_hz=250\nI\n1\n", "no scale", "unit"),
        ("# fs_hz=250\n1,2\n3,4\n", "names", "name the columns"),
        ("# fs_hz=250\nI [mV]\n1\n2\nx\n", "not a number", "again"),
        ("# fs_hz=250\nI [mV],II [mV]\n1,2\n3\n", "not a number or a row", "again"),
        ("time [s],I [mV]\n0,1\n0,2\n", "does not rise", "time"),
        ("time [s],I [mV]\n0,1\n1,2\n9,3\n", "usual step", ""),
        ("time [s],I [mV]\n0,1\n0.004,2\n0.008,1\n9e5,1\n", "gaps filled", "damaged"),
    ],
)
def test_faults_tell_how_to_mend_them(text: str, cause: str, mend: str) -> None:
    with pytest.raises(InvalidRecord, match=cause) as caught:
        csv.decode(text.encode())
    assert mend in caught.value.mend


def test_any_bytes_give_a_value_or_an_error() -> None:
    row = np.arange(200, dtype=np.int16)
    data = csv.encode(Record((Lead("MDC_ECG_LEAD_I", 250.0, 2.5, 3, row, -1),) * 2, None, ((5, 9),)))
    assert_value_or_error(csv.decode, data, len(data))
