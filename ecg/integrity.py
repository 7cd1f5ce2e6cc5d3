"""What proves later that these are the samples that were read: SHA-256 per 10 s, one Merkle root per recording.

A leaf covers the decoded integers of one lead's 10 s together with lead code, rate, scale, offset and the gaps that
touch the block (DESIGN.md section 7), so it holds for any storage or packet format.
"""

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from ecg.record import Lead, Record

BLOCK_S = 10
LEAF, NODE = b"\x00", b"\x01"  # RFC 6962: a leaf can never be read as a node


def block_hash(lead: Lead, block: int, gaps: Sequence[tuple[int, int]]) -> bytes:
    """Hash of samples [10 s * block, 10 s * (block + 1)) of one lead."""
    first, last = round(block * BLOCK_S * lead.fs_hz), round((block + 1) * BLOCK_S * lead.fs_hz)
    samples = np.ascontiguousarray(lead.samples[first:last])
    touching = [[max(a, first), min(b, last)] for a, b in gaps if a < last and b > first]
    about = [
        lead.code,
        lead.fs_hz,
        lead.uv_per_lsb,
        lead.offset,
        first,
        len(samples),
        samples.dtype.str,
        touching,
    ]
    head = json.dumps(about, separators=(",", ":")).encode("ascii")
    digest = hashlib.sha256(LEAF + head + b"\n")
    digest.update(samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.digest()


def sample_hashes(record: Record) -> list[bytes]:
    """Leaves of the recording: lead by lead, block by block."""
    leaves = []
    for lead in record.leads:
        blocks = int(np.ceil(len(lead.samples) / (BLOCK_S * lead.fs_hz)))
        leaves += [block_hash(lead, k, record.gaps) for k in range(blocks)]
    return leaves


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root of the binary hash tree; an odd node is carried up unchanged; of nothing, the hash of nothing."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [hashlib.sha256(NODE + a + b).digest() for a, b in pairs]
        level = above + level[len(above) * 2 :]
    return level[0]


def record_root(record: Record) -> bytes:
    return merkle_root(sample_hashes(record))
