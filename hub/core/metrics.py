"""Prometheus metrics of all processes of one hub, gathered into one answer.

Each process offers its own numbers on a Unix socket in data_dir/run; the web process asks them all and adds
the label `process`. No metric carries a patient's id, and none a device's.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

ASK_TIMEOUT_S = 1.0
MAX_ANSWER_BYTES = 4 << 20
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

TASKS = Gauge("hub_process_tasks", "tasks of the event loop; a number that only grows is a leak")


def _folder(data_dir: Path) -> Path:
    folder = data_dir / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextlib.asynccontextmanager
async def offered(data_dir: Path, process: str) -> AsyncIterator[None]:
    """Offer this process's numbers while the block lasts."""
    path = _folder(data_dir) / f"{process}.metrics"

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        TASKS.set(len(asyncio.all_tasks()))
        with contextlib.suppress(ConnectionError):
            writer.write(generate_latest())
            await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    async with await asyncio.start_unix_server(answer, path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


async def gathered(data_dir: Path) -> bytes:
    """The numbers of all processes that answer."""
    paths = sorted(_folder(data_dir).glob("*.metrics"))
    answers = await asyncio.gather(*map(_ask, paths))
    texts = {path.stem: text for path, text in zip(paths, answers, strict=True) if text}
    registry = CollectorRegistry()
    registry.register(_Merged(merged(texts)))
    return generate_latest(registry)


async def answering(data_dir: Path) -> dict[str, str]:
    """Which processes run: each that ended without saying so has left its socket behind."""
    paths = sorted(_folder(data_dir).glob("*.metrics"))
    answers = await asyncio.gather(*map(_ask, paths))
    return {path.stem: "running" if text else "silent" for path, text in zip(paths, answers, strict=True)}


async def figures(data_dir: Path, names: Collection[str]) -> dict[str, dict[str, float] | None]:
    """Of each process the sums of these series over their labels; None for one that does not answer."""
    paths = sorted(_folder(data_dir).glob("*.metrics"))
    answers = await asyncio.gather(*map(_ask, paths))
    return {
        path.stem: _sums(text, names) if text else None for path, text in zip(paths, answers, strict=True)
    }


def _sums(text: str, names: Collection[str]) -> dict[str, float]:
    """Only the lines asked for: parsing everything once a few seconds would cost more than what it tells."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in names:
            found[name] = found.get(name, 0.0) + float(line.rpartition(" ")[2])
    return found


async def _ask(path: Path) -> str:
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_ANSWER_BYTES)
            try:
                return (await reader.read(MAX_ANSWER_BYTES)).decode()
            finally:
                writer.close()
    except (OSError, TimeoutError):  # gone, or too busy to answer: the others count
        return ""


class _Merged(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def merged(texts: dict[str, str]) -> list[Metric]:
    """Families of the same name become one, told apart by the label `process`."""
    families: dict[str, Metric] = {}
    for process, text in texts.items():
        for family in text_string_to_metric_families(text):
            into = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type, family.unit)
            )
            for sample in family.samples:
                if sample.name.endswith("_created"):  # a birth date per series, which nobody asks for
                    continue
                labels = {**sample.labels, "process": process}
                into.samples.append(sample._replace(labels=labels))
    return list(families.values())
