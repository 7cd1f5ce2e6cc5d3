"""The bundle asks nobody but the hub for anything, keeps nothing of a patient, and stays small for a village's line."""

import gzip
import json
import re
import sys
from pathlib import Path

import pytest

SECTIONS = Path(__file__).parents[2] / "web" / "src" / "locales" / "sections.json"
BUNDLE = Path(__file__).parents[2] / "hub" / "web"
ENTRIES = ("index", "desk", "live", "reading", "viewer", "admin")
ADDRESS = re.compile(rb"""(?:https?:)?//([a-z0-9-]+(?:\.[a-z0-9-]+)+)""")
# Names of XML namespaces, never fetched.
NAMESPACES = frozenset({b"www.w3.org"})
# First paint within 1.5 s at 1.6 Mbit/s: what a page loads takes at most a third of that.
# Kibibytes, compressed; never raise silently.
LARGEST_KIB = {"index": 26, "desk": 50, "live": 50, "reading": 62, "viewer": 46, "admin": 48}
STYLE_OR_SCRIPT = re.compile(r"""(?:src|href)="(/assets/[^"]+)\"""")

pytestmark = pytest.mark.skipif(not BUNDLE.joinpath("index.html").exists(), reason="the bundle is not built")


def loaded_by(entry: str) -> list[Path]:
    """Files named in the page, and the larger of the two catalogues of each of its sections."""
    html = (BUNDLE / f"{entry}.html").read_text()
    catalogues = [
        max(BUNDLE.glob(f"assets/*-{section}-*.js"), key=lambda path: path.stat().st_size)
        for section in json.loads(SECTIONS.read_text())[entry]
    ]
    return [BUNDLE / name.lstrip("/") for name in STYLE_OR_SCRIPT.findall(html)] + catalogues


def test_no_file_names_a_third_party_host() -> None:
    found = {
        (path.name, host)
        for path in BUNDLE.rglob("*")
        if path.is_file() and path.suffix != ".gz"
        for host in ADDRESS.findall(path.read_bytes())
        if host not in NAMESPACES
    }
    assert found == set()


@pytest.mark.parametrize("entry", ENTRIES)
def test_pages_run_under_a_policy_without_inline_code(entry: str) -> None:
    html = (BUNDLE / f"{entry}.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html) == []


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_page_is_small(entry: str, capsys: pytest.CaptureFixture[str]) -> None:
    size_kib = sum(path.with_name(f"{path.name}.gz").stat().st_size for path in loaded_by(entry)) / 1024
    with capsys.disabled():
        sys.stdout.write(f"\n{entry}: {size_kib:.1f} KiB compressed\n")
    assert size_kib <= LARGEST_KIB[entry]


def test_compressed_files_hold_what_they_stand_for() -> None:
    plain = [path for path in BUNDLE.glob("assets/*") if path.suffix != ".gz"]
    assert plain
    assert [
        p.name for p in plain if gzip.decompress(p.with_name(f"{p.name}.gz").read_bytes()) != p.read_bytes()
    ] == []


def test_nothing_but_preferences_and_the_encrypted_queue_is_kept_in_the_browser() -> None:
    """Files that wait to be sent lie in IndexedDB, and what puts them there encrypts them."""
    kept = re.compile(rb"sessionStorage|indexedDB|caches\.open|serviceWorker")
    found = [path for path in BUNDLE.glob("assets/*.js") if kept.search(path.read_bytes())]
    assert [path.name.partition("-")[0] for path in found] == ["sender"]
    queue = found[0].read_bytes()
    assert set(kept.findall(queue)) == {b"indexedDB"}
    assert b"AES-GCM" in queue
    assert not re.search(rb"exportKey|wrapKey|,!0,\[.encrypt", queue)
