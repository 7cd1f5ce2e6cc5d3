"""Real MQTT clients as devices: paho, with a device's account at the devices' listener."""

import asyncio
import contextlib
from collections.abc import Iterator

import paho.mqtt.client as paho

from tests.monitoring import Worn
from tests.parts import Broker


class Device:
    """A connected device: publishes, and keeps what the hub says to it."""

    def __init__(self, client: paho.Client) -> None:
        self.client = client
        self.heard: list[tuple[str, bytes]] = []
        client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, message.payload)
        )

    async def publish(self, topic: str, payload: bytes) -> None:
        """QoS 1; returns once the broker has taken it."""
        sent = self.client.publish(topic, payload, qos=1)
        await asyncio.to_thread(sent.wait_for_publish, 10)

    def leave_unpolitely(self) -> None:
        sock = self.client.socket()
        if sock is not None:
            sock.close()


@contextlib.contextmanager
def connected(broker: Broker, worn: Worn, password: str | None = None) -> Iterator[Device]:
    """A device of the broker, subscribed to its own topics."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=worn.username, clean_session=False)
    client.username_pw_set(worn.username, password or worn.password)
    device = Device(client)
    client.connect(broker.settings.mqtt_devices_host, broker.settings.mqtt_devices_port)
    client.subscribe([(f"ack/{worn.username}", 1), (f"cmd/{worn.username}", 1)])
    client.loop_start()
    try:
        yield device
    finally:
        client.disconnect()
        client.loop_stop()
