"""Drivers for devices that don't speak Telehub's own packets: one file each, found by being here.

A driver is a module with `TOPICS`, the last parts of the topics its device publishes to, and
`decode(topic_tail, payload, received_at_s)`, which raises only DecodeError. Such devices are served as
well as MQTT's QoS 1 allows: they know no `ack`, so what a broker loses nobody can ask for again.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from devices.event import Event
from devices.packet import WaveformPacket
from devices.senml import Measurement

Decoded = tuple[tuple[WaveformPacket, ...], tuple[Measurement, ...], tuple[Event, ...]]


@dataclass(frozen=True, slots=True)
class Driver:
    name: str
    topics: tuple[str, ...]
    decode: Callable[[str, bytes, float], Decoded]


def _load(name: str) -> Driver:
    module = importlib.import_module(f"{__name__}.{name}")
    return Driver(name, module.TOPICS, module.decode)


DRIVERS: Final = {found.name: _load(found.name) for found in pkgutil.iter_modules(__path__)}
