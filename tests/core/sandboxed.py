"""Functions the sandbox tests run in the child."""

import os
import socket
import time


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


def connect(payload: bytes) -> bytes:
    try:
        socket.create_connection(("127.0.0.1", int(payload)), timeout=5).close()
    except OSError:
        return b"unreachable"
    return b"reached"
