"""Any damage to a file of any format: read, refused with a reason, or ended by the limits; never worse."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ecg import formats
from ecg.record import Record
from hub.core import sandbox
from tests.ecg import twelve_leads as twelve
from tests.ecg.formats.test_xml import as_aecg
from tests.imaging.test_sent_images import as_dicom

DATA = Path(os.environ.get("TELEHUB_DATA", Path(__file__).parents[2].parent / "shared/data")) / "formats"
IS_PROOF = os.environ.get("TELEHUB_PROFILE") == "prove"
SEED = int(os.environ.get("SEED", "1"))
COUNT = 2_500 if IS_PROOF else 36  # of each format
AT_ONCE = 250
REAL_MOST_BYTES = 300_000


def zipped(record: Record) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for suffix in (".edf", ".scp"):
            archive.writestr(f"a/r{suffix}", formats.encode(record, suffix))
    return packed.getvalue()


MAKERS: dict[str, Callable[[Record], bytes]] = {
    "edf": lambda record: formats.encode(record, ".edf"),
    "ishne": lambda record: formats.encode(record, ".ecg"),
    "scp": lambda record: formats.encode(record, ".scp"),
    "csv": lambda record: formats.encode(record, ".csv"),
    "aecg": as_aecg,
    "dicom_ecg": as_dicom,
    "zip": zipped,
    "muse_xml": lambda record: as_aecg(record).replace(b"AnnotatedECG", b"RestingECG"),
}


@pytest.fixture(scope="module")
def record() -> Record:
    return twelve.heart(length_s=2)


@pytest.mark.parametrize("name", MAKERS)
async def test_mutants_of_every_format(name: str, record: Record, tmp_path: Path) -> None:
    folder = tmp_path / "seeds"
    folder.mkdir()
    (folder / "made").write_bytes(MAKERS[name](record))
    for path in sorted((DATA / name).glob("*")) if (DATA / name).is_dir() else ():
        if path.stat().st_size <= REAL_MOST_BYTES:
            (folder / path.name).write_bytes(path.read_bytes())
    told: dict[str, int] = {}
    for number in range(0, COUNT, AT_ONCE):
        asked = {
            "folder": str(folder),
            "seed": f"{SEED}/{name}/{number}",
            "count": min(AT_ONCE, COUNT - number),
        }
        said = await sandbox.run("tests.imaging.mutants:batch", json.dumps(asked).encode(), 600, 512)
        found = json.loads(said)
        assert found["faults"] == [], f"SEED={SEED}"
        told = {word: told.get(word, 0) + found["told"].get(word, 0) for word in {*told, *found["told"]}}
    assert sum(told.values()) == COUNT and told.get("refused", 0) > COUNT // 20, told
