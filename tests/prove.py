"""`make prove [ONLY=name]`: the suite's own tests with full counts, on every server, and again and again, seeded."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hub.core import postgres

ROOT = Path(__file__).parents[1]
FIRST_SEED = 20_260_101


@dataclass(frozen=True)
class Proof:
    """Which tests, how often, and what is different from `make test`; or a program of its own, with its words.

    Every round has a seed: the program finds it in SEED, and SEED given to `make prove` replays that one round.
    """

    tests: Sequence[str] = ()
    rounds: int = 1
    environ: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = ()  # module and arguments


def _on(server: Path) -> Proof:
    parts = ("core", "people", "orders", "telemetry", "alarms", "ingest", "reading", "access", "keeping")
    return Proof([f"tests/{part}" for part in parts], environ={"HUB_POSTGRES_BIN": str(server)})


FULL_COUNTS = {"TELEHUB_PROFILE": "prove"}
LOAD = ("takeover", "nats", "backlog", "outage", "disk", "soak")
PROOFS: Mapping[str, Proof] = {
    "fuzz": Proof(["tests/devices", "tests/core/test_mqtt_packets.py"], environ=FULL_COUNTS),
    "models": Proof(
        ["tests/ingest", "tests/telemetry/test_blocks.py", "tests/ecg/test_stream_laws.py"],
        rounds=5,
        environ=FULL_COUNTS,
    ),
    "faults": Proof(
        [
            "tests/core/test_serve.py",
            "tests/core/test_supervisor.py",
            "tests/ingest",
            "tests/telemetry/test_blocks.py",
        ],
        rounds=5,
        environ={"TELEHUB_KILLS": "15"},
    ),
    "dicom": Proof(
        [
            "tests/dicom",
            "tests/imaging/test_killed_receivers.py",
            "tests/imaging/test_real_files.py",
            "tests/imaging/test_dimse.py",
            "tests/imaging/test_stow.py",
        ],
        environ=FULL_COUNTS | {"TELEHUB_KILLS": "50", "TELEHUB_MUTANTS": "10000"},
    ),
    "pixels": Proof(
        [
            "tests/dicom/test_pixels.py",
            "tests/dicom/test_pixels_files.py",
            "tests/imaging/test_images_hostile.py",
        ],
        environ=FULL_COUNTS,
    ),
    "intake": Proof(["tests/imaging"], environ=FULL_COUNTS | {"TELEHUB_CUTS": "100"}),
    "query": Proof(
        [
            "tests/imaging/test_query.py",
            "tests/imaging/test_query_retrieve.py",
            "tests/imaging/test_query_worklist.py",
            "tests/imaging/test_query_commitment.py",
            "tests/imaging/test_query_hostile.py",
            "tests/dicom/test_recoding.py",
        ],
        environ={"TELEHUB_IDENTIFIERS": "1000"},
    ),
    "ohif": Proof(["tests/imaging/test_ohif.py"], environ={"TELEHUB_OHIF": "1"}),
    "backup": Proof(["tests/keeping"], rounds=2, environ=FULL_COUNTS),
    "journeys": Proof(["tests/journeys"], rounds=3),
    "ecg": Proof(program=["tests.ecg.prove"]),
    "nemesis": Proof(program=["tests.nemesis", "--faults", "200"]),
    **{name: Proof(program=["tests.load", name]) for name in LOAD},
    **{f"pg{postgres.major(server)}": _on(server) for server in postgres.candidates()},
}


def prove(name: str) -> bool:
    """Run all rounds of one proof; whether every one was green."""
    proof, green = PROOFS[name], 0
    seeds = _seeds(proof)
    begun_s = time.monotonic()
    for seed in seeds:
        environ = {**os.environ, **proof.environ, "SEED": seed}
        if subprocess.run(_command(proof, seed), cwd=ROOT, env=environ).returncode == 0:
            green += 1
        else:
            sys.stdout.write(f"{name}: replay: make prove ONLY={name} SEED={seed}\n")
    took_s = time.monotonic() - begun_s
    sys.stdout.write(f"{name:<10} {green}/{len(seeds)} rounds green, {took_s:.0f} s\n")
    return green == len(seeds)


def _seeds(proof: Proof) -> list[str]:
    given = os.environ.get("SEED")
    return [given] if given else [str(FIRST_SEED + round_) for round_ in range(proof.rounds)]


def _command(proof: Proof, seed: str) -> list[str]:
    if proof.program:
        return [sys.executable, "-m", *proof.program]
    seeded = (f"--randomly-seed={seed}", f"--hypothesis-seed={seed}")
    return [sys.executable, "-m", "pytest", "-q", *seeded, *proof.tests]


def main() -> None:
    wanted = sys.argv[1:] or list(PROOFS)
    unknown = sorted(set(wanted) - set(PROOFS))
    if unknown:
        raise SystemExit(f"no such proof: {', '.join(unknown)}; there are {', '.join(PROOFS)}")
    red = [name for name in wanted if not prove(name)]
    if red:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
