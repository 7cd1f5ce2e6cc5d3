"""The pages: the bundle of `web/`, one HTML entry per audience, hashed assets that never change."""

import mimetypes
from functools import partial
from pathlib import Path

from hub.core.http import Bytes, Handler, Request, Route

FRONT = "index"  # the entry served at /


def routes(folder: Path) -> list[Route]:
    """One route per HTML entry and per loose file of the bundle, and one for all assets."""
    entries = sorted(folder.glob("*.html"))
    loose = sorted(path for path in folder.glob("*") if path.is_file() and path.suffix != ".html")
    paths = {"/" if entry.stem == FRONT else f"/{entry.stem}": entry for entry in entries}
    paths |= {f"/{path.name}": path for path in loose}
    found = [_route(path, partial(_file, file)) for path, file in paths.items()]
    return [*found, _route(r"/assets/{name:\w[\w.-]*}", partial(_asset, folder / "assets"))]


def _route(path: str, handler: Handler) -> Route:
    return Route("GET", path, handler, "page.read", kind="bytes")


async def _file(file: Path, _request: Request) -> Bytes:
    return Bytes(file, _media_type(file.name), cache="revalidate")


async def _asset(folder: Path, request: Request) -> Bytes:
    """Its name carries the hash of its bytes."""
    name = request.text("name")
    return Bytes(folder / name, _media_type(name), cache="immutable")


def _media_type(name: str) -> str:
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed
