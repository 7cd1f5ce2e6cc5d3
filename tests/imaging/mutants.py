"""Damaged files by the thousand, inside one sandbox: what `looking` says of each, and whether it ever does worse.

Runs in the sandbox as a foreign file does: under its limits, without a network.
"""

import json
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from hub.imaging.index import framing
from hub.imaging.intake import looking

HANG_S = 5.0
MOST_BYTES = 1 << 20  # of a mutant


class Hang(BaseException):
    """Longer than a file may take; no handler of a reader swallows it."""


def _alarm(_number: int, _frame: FrameType | None) -> None:
    raise Hang


def batch(payload: bytes) -> bytes:
    """`{"folder", "seed", "count"}`: mutants of the files of a folder in turn; how many were answered how."""
    asked = json.loads(payload)
    files = [path.read_bytes()[:MOST_BYTES] for path in sorted(Path(asked["folder"]).iterdir())]
    chance, told, faults = random.Random(asked["seed"]), Counter[str](), list[str]()
    signal.signal(signal.SIGALRM, _alarm)
    target = Path("mutant")
    for number in range(asked["count"]):
        mutant = mutated(chance, files[number % len(files)], files)
        target.write_bytes(mutant)
        outcome = _looked(target)
        told[outcome.partition(":")[0]] += 1
        if outcome.startswith(("fault", "hang")):
            faults.append(f"{number}: {outcome}")
    return json.dumps({"told": told, "faults": faults[:10]}).encode()


def _looked(path: Path) -> str:
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        asked = {"path": str(path), "zone": "Asia/Shanghai"}
        head, _ = framing.answered(looking.look(json.dumps(asked).encode()))
        for member in head["members"] if head["kind"] == "zip" else ():
            looking.unpack(json.dumps({"path": str(path), "names": [member["name"]]}).encode())
    except ValueError:
        return "refused"
    except MemoryError:
        return "too large"
    except Hang:
        return "hang"
    except Exception as fault:
        return f"fault: {type(fault).__name__} {fault}"[:200]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "read"


def mutated(chance: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """One to four kinds of damage, one after another."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        chance.choice(DAMAGES)(chance, made, others)
    return bytes(made[:MOST_BYTES])


Damage = Callable[[random.Random, bytearray, list[bytes]], None]


def _flip(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    for _ in range(chance.choice((1, 4, 32))):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)


def _extreme(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    """A number of one to four bytes at its end, early in the file where lengths stand."""
    if data:
        at, width = (
            chance.randrange(min(len(data), chance.choice((64, 512, 1 << 20)))),
            chance.choice((1, 2, 4)),
        )
        data[at : at + width] = chance.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * width


def _cut(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _drop(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    del data[at : at + chance.choice((1, 2, 16, 4096))]


def _repeat(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    at, size = chance.randrange(len(data) + 1), chance.choice((1, 8, 256, 8192))
    data[at:at] = data[at : at + size] * chance.choice((1, 2, 50))


def _splice(chance: random.Random, data: bytearray, others: list[bytes]) -> None:
    other = chance.choice(others)
    at = chance.randrange(len(data) + 1)
    data[at:] = other[chance.randrange(len(other) + 1) :]


def _digits(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    """Numbers written as text, at their worst."""
    places = [k for k in range(min(len(data), 20_000)) if 48 <= data[k] <= 57]
    for k in chance.sample(places, min(len(places), chance.choice((1, 3, 12)))):
        data[k : k + 1] = chance.choice((b"9", b"0", b"-", b"e", b"99999999", b".", b" "))


DAMAGES: tuple[Damage, ...] = (_flip, _extreme, _cut, _drop, _repeat, _splice, _digits)
