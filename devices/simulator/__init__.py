"""Virtual devices as pure state machines: time, chance and messages in, messages to publish out.

They follow docs/protocol/packets.md as a good device does, and know the truth about what they produced and
had to give up, which tests compare with what the hub stored. `hub simulate` gives them sockets and signals.
"""

from devices.simulator.clock import DeviceClock
from devices.simulator.holter import Holter
from devices.simulator.publish import Publish
from devices.simulator.wearable import Wearable

__all__ = ["DeviceClock", "Holter", "Publish", "Wearable"]
