"""Functions the sandbox tests run in the child."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable


def reverse(payload: bytes) -> bytes:
    return payload[::-1]


def refuse(payload: bytes) -> bytes:
    raise ValueError("not a record")


def bug(payload: bytes) -> bytes:
    raise KeyError("x")


def devour(payload: bytes) -> bytes:
    return bytes(2 << 30)


def loop(payload: bytes) -> bytes:
    while True:
        pass


def sleep(payload: bytes) -> bytes:
    time.sleep(600)
    return b""


def die(payload: bytes) -> bytes:
    os.abort()


def environ(payload: bytes) -> bytes:
    return "\n".join(sorted(os.environ)).encode()


def flood(payload: bytes) -> bytes:
    while True:
        os.write(1, bytes(65_536))


def escape(payload: bytes) -> bytes:
    """Names of the ways out that are open."""
    parent = os.getppid()
    ways: dict[str, Callable[[], object]] = {
        "database": lambda: socket.socket(socket.AF_UNIX).connect(payload.decode()),
        "network": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "program": lambda: subprocess.run(["/bin/true"], check=True),
        "signal": lambda: os.kill(parent, 0),
        "memory of the hub": lambda: open(f"/proc/{parent}/mem", "rb").close(),
    }
    open_ways = []
    for name, way in ways.items():
        with contextlib.suppress(OSError):
            way()
            open_ways.append(name)
    return ",".join(open_ways).encode()


def connect(payload: bytes) -> bytes:
    try:
        socket.create_connection(("127.0.0.1", int(payload)), timeout=5).close()
    except OSError:
        return b"unreachable"
    return b"reached"


def obey(payload: bytes) -> bytes:
    """Run the function above that is named, with the word behind it: a resident child has only one."""
    name, _, word = payload.partition(b" ")
    known = {"refuse": refuse, "loop": loop, "die": die, "devour": devour, "escape": escape}
    return known[name.decode()](word) if name.decode() in known else str(os.getpid()).encode()
