"""What operators watch of the stored samples. Set by whichever jobs process counted last."""

from typing import Final

from prometheus_client import Gauge

from hub.core import db
from hub.core.db import Connection

DAY_S: Final = 86_400
BLOCKS = Gauge("hub_telemetry_blocks", "ten-second blocks of ECG")
BLOCK_BYTES = Gauge("hub_telemetry_block_bytes", "bytes of all blocks, with their pyramid")
RAW_BYTES = Gauge("hub_telemetry_block_raw_bytes", "bytes of the same samples as 16-bit integers")
RATIO = Gauge("hub_telemetry_compression_ratio", "raw bytes / bytes of the blocks")
DAY_BYTES = Gauge("hub_telemetry_bytes_per_patient_day", "bytes of blocks for a day of one patient")
HOT_PACKETS = Gauge("hub_telemetry_hot_packets", "packets not compacted yet, as PostgreSQL estimates them")
WAITING = Gauge("hub_telemetry_recordings_to_compact", "recordings enqueued for compaction by the last sweep")
LEDGER = Gauge(
    "hub_ledger_samples", "samples of one lead of all recordings, by what became of them", ["state"]
)


async def count_ledger(conn: Connection) -> None:
    """produced = stored + declared lost + waiting."""
    row = await db.one(conn, "SELECT * FROM ecg_ledger_totals()")
    waiting = row["produced"] - row["stored"] - row["declared_lost"]
    for state, samples in {**row, "waiting": waiting}.items():
        LEDGER.labels(state).set(samples)


async def count_stored(conn: Connection) -> None:
    """Bring the figures of storage up to date."""
    row = await db.one(conn, "SELECT * FROM ecg_stored_totals()")
    BLOCKS.set(row["blocks"])
    BLOCK_BYTES.set(row["bytes"])
    RAW_BYTES.set(row["raw_bytes"])
    HOT_PACKETS.set(row["hot_packets"])
    if row["blocks"]:
        RATIO.set(row["raw_bytes"] / row["bytes"])
        DAY_BYTES.set(row["bytes"] / row["seconds"] * DAY_S)
