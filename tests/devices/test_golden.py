"""The golden vectors: read as they say, made again byte for byte, refused when cut short, documented."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices import DecodeError, control, event, packet, senml, vocabulary
from devices.drivers import DRIVERS
from devices.errors import REASONS
from devices.leads import CODE_BY_LEAD

GOLDEN = Path(__file__).parent / "golden"
DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol" / "packets.md"
VECTORS = {
    path.stem: json.loads(path.read_text())
    for path in GOLDEN.glob("*.json")
    if not path.stem.startswith("driver-")
}

Decode = Callable[[bytes, float], Any]
Encode = Callable[[Any], bytes]
CODECS: dict[str, tuple[Decode, Encode]] = {
    "packet": (lambda payload, _: packet.decode(payload), packet.encode),
    "ack": (lambda payload, _: control.decode_ack(payload), control.encode_ack),
    "command": (lambda payload, _: control.decode_command(payload), control.encode_command),
    "event": (lambda payload, _: event.decode(payload), event.encode),
    "senml": (senml.decode, lambda decoded: senml.encode_cbor(decoded[0])),
}


def plain(value: Any) -> Any:
    """A decoded value as the vectors write it: bytes as hex, tuples as lists, empty fields left out."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value


def without_empty(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item not in (None, [], "")}


def read(vector: dict[str, Any]) -> Any:
    return CODECS[vector["message"]][0](bytes.fromhex(vector["hex"]), vector.get("received_at_s", 0.0))


@pytest.mark.parametrize("name", [name for name in VECTORS if not name.startswith("senml")])
def test_a_message_is_read_as_it_says(name: str) -> None:
    assert without_empty(plain(read(VECTORS[name]))) == without_empty(VECTORS[name]["value"])


@pytest.mark.parametrize("name", [name for name in VECTORS if name.startswith("senml")])
def test_a_pack_is_read_as_it_says(name: str) -> None:
    measurements, rejected = read(VECTORS[name])
    assert [asdict(measurement) for measurement in measurements] == VECTORS[name]["value"]["measurements"]
    assert [{"index": r.index, "reason": r.reason} for r in rejected] == VECTORS[name]["value"]["rejected"]


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector["canonical"]])
def test_a_canonical_message_is_made_again_byte_for_byte(name: str) -> None:
    vector = VECTORS[name]
    assert CODECS[vector["message"]][1](read(vector)).hex() == vector["hex"]


@pytest.mark.parametrize("name", VECTORS)
def test_a_message_cut_short_is_refused(name: str) -> None:
    decode, _ = CODECS[VECTORS[name]["message"]]
    payload = bytes.fromhex(VECTORS[name]["hex"])
    for length in range(len(payload)):
        with pytest.raises(DecodeError):
            decode(payload[:length], 0.0)


@pytest.mark.parametrize("name", VECTORS)
def test_the_document_shows_these_bytes(name: str) -> None:
    shown = "".join(line for line in DOCUMENT.read_text().splitlines())
    if VECTORS[name]["message"] == "senml" and VECTORS[name]["hex"].startswith("5b"):
        assert bytes.fromhex(VECTORS[name]["hex"]).decode() in shown.replace("\n", "")
    else:
        assert VECTORS[name]["hex"] in shown.replace(" ", "")


@pytest.mark.parametrize("kind", [*control.KINDS, *event.KINDS])
def test_each_kind_has_a_vector(kind: str) -> None:
    assert any(vector["value"].get("kind") == kind for vector in VECTORS.values())


LAYOUTS = {"Ack": control.ACK_LAYOUT, "Command": control.COMMAND_LAYOUT, "Event": event.LAYOUT}


@pytest.mark.parametrize(("title", "row"), [(t, row) for t, layout in LAYOUTS.items() for row in layout])
def test_each_field_is_documented_with_its_key(title: str, row: Any) -> None:
    section = DOCUMENT.read_text().split(f"## {title}", 1)[1].split("\n## ", 1)[0]
    assert f"| {row.key} | `{row.name}` |" in section


PACKET_KEYS = {name: key for name, key in vars(packet).items() if name.startswith("KEY_")}


@pytest.mark.parametrize("key", PACKET_KEYS.values())
def test_each_key_of_the_packet_is_documented(key: int) -> None:
    section = DOCUMENT.read_text().split("## Waveform packet", 1)[1].split("\n## ", 1)[0]
    assert f"\n| {key} | `" in section


@pytest.mark.parametrize(
    "word",
    [
        *control.KINDS,
        *event.KINDS,
        *REASONS,
        *DRIVERS,
        *vocabulary.BY_CODE,
    ],
)
def test_each_kind_reason_driver_and_quantity_is_documented(word: str) -> None:
    assert f"`{word}`" in DOCUMENT.read_text()


@pytest.mark.parametrize(("lead", "code"), CODE_BY_LEAD.items())
def test_each_lead_is_documented(lead: str, code: int) -> None:
    shown = " ".join(DOCUMENT.read_text().split())
    assert f"{lead.removeprefix('MDC_ECG_LEAD_')} {code}" in shown
