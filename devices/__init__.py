"""What Telehub knows of bedside and worn devices: bytes in, frozen values out (and back).

Waveform packets, acknowledgements, commands, events and SenML measurements as docs/protocol/packets.md
lays them down, the arithmetic of sample ranges, drivers for foreign devices, and simulated devices.
Everything here is pure: no sockets, clocks, environment or database; time and chance are passed in.
"""

from devices.errors import DecodeError

__all__ = ["DecodeError"]
