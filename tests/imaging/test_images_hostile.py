"""Damaged and malicious images, as the background work meets them: in the sandbox, beside good ones."""

import os
import random
import resource
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from dicom.pixels.faults import CODES
from hub.core.store import Store
from hub.imaging.pictures import copying, pixel_reasons
from tests.dicom import made_pixels
from tests.imaging import senders
from tests.imaging.mutants import mutated

IS_PROOF = os.environ.get("TELEHUB_PROFILE") == "prove"
SEED = int(os.environ.get("SEED", "1"))
COUNT = 2_040 if IS_PROOF else 120
AT_ONCE = 60
LONGEST_S = 5.0  # of processor time, for any one of them
GOOD = next(made_pixels.every()).file


async def looked_at(store: Store, files: Sequence[bytes]) -> list[Any]:
    """What becomes of them in one batch: state and fault of each, and how many bytes of copy."""
    rows = []
    for data in files:
        kept = await store.put(data, "application/dicom")
        rows.append(
            {"file_sha256": kept.sha256, "size_bytes": len(data), "rows": 64, "columns": 64, "frames": 1}
        )
    return [
        (told["state"], told.get("fault"), len(copy)) for told, copy in await copying.looked_at(store, rows)
    ]


def processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bombs() -> dict[str, tuple[bytes, tuple[str, ...]]]:
    """Small files that ask for much; and the reasons that may come of each."""
    one = made_pixels.grey(8, False)
    blank = imagecodecs.jpeg2k_encode(np.zeros((4000, 4000), np.uint8), reversible=True, codecformat="j2k")
    vast = blank.replace((4000).to_bytes(4, "big"), (60_000).to_bytes(4, "big"))
    assert vast.count((60_000).to_bytes(4, "big")) == 4 and len(vast) < 4_000
    told = {"Rows": 60_000, "Columns": 60_000}
    zeros = made_pixels.instance(1, one, 8)
    zeros.PixelData = bytes(made_pixels.ROWS * made_pixels.COLUMNS + 1)
    deflated = senders.as_file(zeros, made_pixels.UID + "1.99")
    start = deflated.index(b"1.2.840.10008.1.2.1.99")
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(bytes(300 << 20)) + packer.flush()
    return {
        "j2k": (made_pixels.encapsulated(made_pixels.instance(1, one, 8), [vast], "4.90"), ("differs",)),
        "j2k-told": (
            made_pixels.encapsulated(made_pixels.instance(2, one, 8, **told), [vast], "4.90"), ("too-large",),
        ),
        "frames": (
            made_pixels.encapsulated(
                made_pixels.instance(3, one, 8, NumberOfFrames=2**31 - 1), [blank], "4.90"
            ), ("too-large",),
        ),
        "frame": (
            made_pixels.encapsulated(made_pixels.instance(4, one, 8), [bomb], "8.1"), ("ready",),
        ),  # of a deflated frame no more is read than it may have
        "deflated": (deflated[: start + 22] + bomb, ("too-large", "too-hard", "damaged")),
        "cut": (
            made_pixels.encapsulated(
                made_pixels.instance(5, np.zeros((1, 4000, 4000), np.uint8), 8), [blank[:200]], "4.90"
            ), ("damaged", "cut", "ready"),
        ),
    }  # fmt: skip


async def test_a_bomb_ends_with_its_reason_and_its_neighbours_are_ready(tmp_path: Path) -> None:
    store, known = Store(tmp_path), bombs()
    before = processor_s()
    files = [GOOD, *(file for file, _ in known.values()), GOOD]
    found = await looked_at(store, files)
    assert found[0][0] == found[-1][0] == "ready"
    for (name, (_, reasons)), (state, fault, _) in zip(known.items(), found[1:-1], strict=True):
        assert (fault or state) in reasons, f"{name}: {state} {fault}"
    assert processor_s() - before < LONGEST_S


async def test_mutants_are_shown_or_refused_and_harm_nobody(tmp_path: Path) -> None:
    store, chance = Store(tmp_path), random.Random(f"{SEED}/pixels")
    seeds = [made.file for made in made_pixels.every()]
    told: dict[str, int] = {}
    for _ in range(0, COUNT, AT_ONCE):
        mutants = [mutated(chance, seeds[k % len(seeds)], seeds) for k in range(AT_ONCE)]
        before = processor_s()
        *found, good = await looked_at(store, [*mutants, GOOD])
        assert processor_s() - before < LONGEST_S * 4, "longer than sixty may take"
        assert good[0] == "ready"
        for state, fault, _ in found:
            assert state in ("ready", "none") or fault in CODES
            told[fault or state] = told.get(fault or state, 0) + 1
    assert sum(told.values()) == COUNT and len(told) > 3, told
    assert told.get("too-hard", 0) <= COUNT // 50, told


def test_every_fault_has_words_in_both_languages() -> None:
    assert set(pixel_reasons.REASONS) == set(CODES)
    assert all(set(words) == {"zh-CN", "en"} for words in pixel_reasons.REASONS.values())
