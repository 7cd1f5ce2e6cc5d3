"""Metrics of several processes become one answer that Prometheus can read."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from hub.core import metrics

ONE = """# HELP packets_total packets
# TYPE packets_total counter
packets_total{kind="ecg"} 3.0
# HELP wait_seconds wait
# TYPE wait_seconds histogram
wait_seconds_bucket{le="1.0"} 1.0
wait_seconds_bucket{le="+Inf"} 2.0
wait_seconds_count 2.0
wait_seconds_sum 4.0
"""


async def test_numbers_of_a_running_process_are_gathered(tmp_path: Path) -> None:
    async with metrics.offered(tmp_path, "web"), metrics.offered(tmp_path, "jobs"):
        text = (await metrics.gathered(tmp_path)).decode()
        assert await metrics.answering(tmp_path) == {"web": "running", "jobs": "running"}
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert {s.labels["process"] for family in families for s in family.samples} == {"web", "jobs"}


async def test_process_that_died_is_told_and_does_not_hinder(tmp_path: Path) -> None:
    async with metrics.offered(tmp_path, "web"):
        path = tmp_path / "run" / "ingest-1.metrics"
        path.touch()
        assert await metrics.answering(tmp_path) == {"web": "running", "ingest-1": "silent"}
        assert b'process="web"' in await metrics.gathered(tmp_path)


def test_same_family_of_two_processes_stays_apart() -> None:
    families = {family.name: family for family in metrics.merged({"a": ONE, "b": ONE})}
    packets = [(s.labels["process"], s.value) for s in families["packets"].samples]
    assert packets == [("a", 3.0), ("b", 3.0)]
    assert len(families["wait_seconds"].samples) == 8
