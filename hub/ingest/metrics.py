"""What operators watch of ingest."""

from prometheus_client import Counter, Gauge, Histogram

PACKETS = Counter("hub_ingest_messages_total", "messages of devices that were stored and acknowledged")
SAMPLES = Counter("hub_ingest_samples_total", "new ECG samples stored, counted of one lead")
SET_ASIDE = Counter("hub_ingest_set_aside_total", "messages set aside", ["reason"])
FORGOTTEN = Counter("hub_ingest_forgotten_total", "messages not acknowledged because storage was away")
COMMIT_S = Histogram(
    "hub_ingest_commit_seconds", "time of one storing transaction",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
)  # fmt: skip
TICK_S = Histogram(
    "hub_ingest_tick_seconds", "time of one pass of reading, decoding and analysing",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
)  # fmt: skip
PENDING = Gauge("hub_ingest_pending_messages", "read and not stored yet")
AWAY = Gauge("hub_ingest_storage_away", "1 while the database does not answer in time")
SHARDS = Gauge("hub_ingest_shards", "shards this process holds")
