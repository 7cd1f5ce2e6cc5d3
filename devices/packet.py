"""The waveform packet: one stretch of ECG of one recording and boot, as a device sends it.

A CBOR map whose samples are an RFC 8746 typed array (tag 77: sint16, little endian), lead after lead, or
the same bytes as differences along each lead packed by Zstandard (RFC 8878). Everything but `oldest` and
`battery_percent` is fixed when the device cuts the packet: a resend is byte for byte the same `body`.
This is the hub's hot path: packets of the usual layout are read in place, all others by `decode_any`.
"""

from __future__ import annotations

import functools
import re
import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import cbor2
import numpy as np
import zstandard
from numpy.typing import NDArray

from devices import fields
from devices.errors import DecodeError
from devices.leads import CODE_BY_LEAD, LEAD_BY_CODE

MAX_LEADS: Final = 16
MAX_SAMPLE_BYTES: Final = fields.MAX_PAYLOAD_BYTES  # also after unpacking: a packed packet can't be a bomb
MAX_FS_HZ: Final = 32000
MAX_UV_PER_LSB: Final = 1000.0
_SINT16_LE: Final = np.dtype("<i2")
_TAG_SINT16_LE: Final = 77
_PACK_LEVEL: Final = 1  # cheap enough for a device's processor

(
    KEY_VERSION, KEY_RECORDING, KEY_BOOT, KEY_SEQUENCE, KEY_FIRST_SAMPLE, KEY_DEVICE_TIME, KEY_FS, KEY_LEADS,
    KEY_UV_PER_LSB, KEY_SAMPLES, KEY_PACKED, KEY_ELECTRODES_OFF, KEY_OLDEST, KEY_BATTERY,
) = range(14)  # fmt: skip
_ENTRIES: Final = 13  # samples are either plain or packed


@dataclass(frozen=True, slots=True, eq=False)
class WaveformPacket:
    """One packet. `samples` is int16[lead, sample]; bit i of `electrodes_off` belongs to `leads[i]`."""

    recording: bytes  # 16 bytes, given by `start`
    boot: int
    sequence: int  # counts packets since boot
    first_sample: int  # index since boot
    oldest: int  # first sample of this boot that the device still holds, as of sending
    device_time_s: float  # unix seconds of the first sample by the device's own clock
    fs_hz: int
    leads: tuple[str, ...]  # MDC_ECG_LEAD_...
    uv_per_lsb: float
    samples: NDArray[np.int16]
    electrodes_off: int
    battery_percent: int | None

    @property
    def end_sample(self) -> int:
        count: int = self.samples.shape[1]
        return self.first_sample + count


def encode(packet: WaveformPacket, compress: bool = False) -> bytes:
    return frame(body(packet, compress), packet.oldest, packet.battery_percent)


def body(packet: WaveformPacket, compress: bool = False) -> bytes:
    """The part of a packet that never changes; a device keeps it until it is acknowledged."""
    plain = np.ascontiguousarray(packet.samples, _SINT16_LE)
    message = {
        KEY_VERSION: fields.VERSION,
        KEY_RECORDING: packet.recording,
        KEY_BOOT: packet.boot,
        KEY_SEQUENCE: packet.sequence,
        KEY_FIRST_SAMPLE: packet.first_sample,
        KEY_DEVICE_TIME: float(packet.device_time_s),
        KEY_FS: packet.fs_hz,
        KEY_LEADS: [CODE_BY_LEAD[lead] for lead in packet.leads],
        KEY_UV_PER_LSB: float(packet.uv_per_lsb),
    }
    if compress:
        message[KEY_PACKED] = _pack(plain)
    else:
        message[KEY_SAMPLES] = cbor2.CBORTag(_TAG_SINT16_LE, plain.tobytes())
    message[KEY_ELECTRODES_OFF] = packet.electrodes_off
    head = bytes([0xA0 | _ENTRIES])  # the map's head counts the two entries of `frame` too
    return head + cbor2.dumps(message)[1:]


def frame(packet_body: bytes, oldest: int, battery_percent: int | None) -> bytes:
    """The packet as it is sent now: the stored body, then the two entries that are as of sending."""
    return b"%b%c%b%c%b" % (
        packet_body,
        KEY_OLDEST,
        cbor2.dumps(oldest),
        KEY_BATTERY,
        cbor2.dumps(battery_percent),
    )


def decode(payload: bytes) -> WaveformPacket:
    """Read one packet; raises only DecodeError."""
    return _read_usual(payload) or decode_any(payload)


def decode_any(payload: bytes) -> WaveformPacket:
    """Read a packet of any layout that is allowed; the authority on what is right and what is not."""
    message = fields.read_map(payload)
    get = message.get
    leads = _leads(get(KEY_LEADS))
    first_sample = fields.index(get(KEY_FIRST_SAMPLE), "first_sample")
    battery_percent = get(KEY_BATTERY)
    if battery_percent is not None:
        battery_percent = fields.whole(battery_percent, "battery_percent", 0, 100)
    uv_per_lsb = _uv_per_lsb(message)
    return WaveformPacket(
        fields.recording(get(KEY_RECORDING), "recording"),
        fields.boot(get(KEY_BOOT), "boot"),
        fields.index(get(KEY_SEQUENCE), "sequence"),
        first_sample,
        # A device holds at least the packet it is sending.
        fields.whole(get(KEY_OLDEST), "oldest", 0, first_sample),
        fields.time_s(get(KEY_DEVICE_TIME), "device_time_s"),
        _fs_hz(message),
        leads,
        uv_per_lsb,
        _samples(message, len(leads)),
        fields.whole(get(KEY_ELECTRODES_OFF), "electrodes_off", 0, (1 << len(leads)) - 1),
        battery_percent,
    )


# The layout `encode` writes, plain samples: what nearly every packet is. Anything else, and anything out of bounds,
# is left to `decode_any`.
_WHOLE: Final = rb"[\x00-\x17]|\x18.|\x19..|\x1a.{4}|\x1b.{8}"
USUAL_HEAD: Final = re.compile(
    rb"\xad\x00\x01\x01\x50(.{16})\x02(%b)\x03(%b)\x04(%b)\x05\xfb(.{8})"
    rb"(\x06(?:%b)\x07[\x81-\x90](?:\x1a.{4})+\x08\xfb.{8})\x09\xd8\x4d(?:\x58(.)|\x59(..))"
    % (_WHOLE, _WHOLE, _WHOLE, _WHOLE),
    re.DOTALL,
)
USUAL_TAIL: Final = re.compile(rb"\x0b(%b)\x0c(%b)\x0d(%b|\xf6)" % (_WHOLE, _WHOLE, _WHOLE), re.DOTALL)
_VALUE_OF: Final = {
    1: 0x1F,
    2: 0xFF,
    3: 0xFFFF,
    5: 0xFFFF_FFFF,
    9: 0xFFFF_FFFF_FFFF_FFFF,
}  # item length: mask
_DOUBLE: Final = struct.Struct(">d")
_FORMATS_KEPT: Final = 1024


def _read_usual(payload: bytes) -> WaveformPacket | None:
    """The usual layout, read where its fields are; equal to `decode_any` in all it accepts."""
    head = USUAL_HEAD.match(payload)
    if head is None or len(payload) > fields.MAX_PAYLOAD_BYTES:
        return None
    recording, boot, sequence, first, time_at, made, short, long = head.groups()
    at, form = head.end(), format_of(made)
    end = at + (short[0] if long is None else int.from_bytes(long, "big"))
    tail = USUAL_TAIL.fullmatch(payload, end)
    if tail is None or form is None or end == at or (end - at) % (2 * len(form.leads)):
        return None
    electrodes, held, battery = tail.groups()
    boot, sequence, first_sample, electrodes_off, oldest, level = [
        int.from_bytes(item, "big") & _VALUE_OF[len(item)]
        for item in (boot, sequence, first, electrodes, held, battery)
    ]
    battery_percent = None if battery == b"\xf6" else level
    (device_time_s,) = _DOUBLE.unpack(time_at)
    if (
        boot > fields.MAX_BOOT
        or sequence > fields.MAX_INDEX
        or not oldest <= first_sample <= fields.MAX_INDEX
        or not 0.0 <= device_time_s <= fields.MAX_TIME_S
        or electrodes_off >> len(form.leads)
        or (battery_percent or 0) > 100
    ):
        return None
    samples = np.frombuffer(payload, _SINT16_LE, (end - at) // 2, at).reshape(len(form.leads), -1)
    return WaveformPacket(
        recording, boot, sequence, first_sample, oldest, device_time_s, form.fs_hz, form.leads, form.uv_per_lsb,
        samples, electrodes_off, battery_percent,
    )  # fmt: skip


class Format(NamedTuple):
    """What does not change from packet to packet."""

    fs_hz: int
    leads: tuple[str, ...]
    uv_per_lsb: float


@functools.lru_cache(_FORMATS_KEPT)
def format_of(made: bytes) -> Format | None:
    """Rate, leads and scale, if these bytes are just those three entries of a packet's map."""
    try:
        entries = fields.read_cbor(b"\xa3" + made)
        return Format(_fs_hz(entries), _leads(entries.get(KEY_LEADS)), _uv_per_lsb(entries))
    except DecodeError:
        return None


def _fs_hz(message: dict[Any, Any]) -> int:
    return fields.whole(message.get(KEY_FS), "fs_hz", 1, MAX_FS_HZ)


def _uv_per_lsb(message: dict[Any, Any]) -> float:
    uv_per_lsb = fields.real(message.get(KEY_UV_PER_LSB), "uv_per_lsb", 0.0, MAX_UV_PER_LSB)
    if uv_per_lsb == 0.0:
        raise DecodeError("bad-field", "uv_per_lsb: zero")
    return uv_per_lsb


def _leads(codes: Any) -> tuple[str, ...]:
    try:
        leads = tuple([LEAD_BY_CODE[code] for code in fields.items(codes, "leads", 1, MAX_LEADS)])
    except (KeyError, TypeError) as error:
        raise DecodeError("bad-field", "leads: an unknown lead code") from error
    if len(set(leads)) != len(leads):
        raise DecodeError("bad-field", "leads: a lead twice")
    return leads


def _samples(message: dict[Any, Any], lead_count: int) -> NDArray[np.int16]:
    plain, packed = message.get(KEY_SAMPLES), message.get(KEY_PACKED)
    if (plain is None) == (packed is None):
        raise DecodeError("missing-field" if plain is None else "bad-field", "samples: neither or both forms")
    data = _unpack(packed) if plain is None else _plain(plain)
    if not data or len(data) % (2 * lead_count):
        raise DecodeError("bad-field", "samples: none, or not the same number in each lead")
    samples = np.frombuffer(data, _SINT16_LE).reshape(lead_count, -1)
    if plain is None:
        samples = np.cumsum(samples, axis=1, dtype=np.int16)  # wraps around, as the differences did
    return samples


def _plain(value: Any) -> bytes:
    if type(value) is not cbor2.CBORTag or value.tag != _TAG_SINT16_LE or type(value.value) is not bytes:
        raise DecodeError("bad-field", "samples: no typed array of sint16, little endian (tag 77)")
    return value.value


def _pack(samples: NDArray[np.int16]) -> bytes:
    differences = np.diff(samples, axis=1, prepend=np.zeros((samples.shape[0], 1), _SINT16_LE))
    return zstandard.ZstdCompressor(level=_PACK_LEVEL).compress(differences.tobytes())


def _unpack(value: Any) -> bytes:
    """Unpack one Zstandard frame that states its size; the size is checked before anything is allocated."""
    if type(value) is not bytes:
        raise DecodeError("bad-field", "samples: packed form is no byte string")
    try:
        if not 0 <= zstandard.frame_content_size(value) <= MAX_SAMPLE_BYTES:
            raise DecodeError("oversize", "samples: unpacked size is not stated or above the limit")
        return zstandard.ZstdDecompressor().decompress(value, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DecodeError("bad-field", "samples: no sound Zstandard frame") from error
